"""Ranks as intervals, from replicates alone: who is significantly better than whom, on the same samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from medbench.stats.multiplicity import holm
from medbench.types import Struct

ALPHA = 0.05
METHOD = "paired bootstrap over groups (standard error of the difference, normal tails), Holm over all pairs"

Array = np.ndarray[Any, np.dtype[Any]]


class Rank(Struct):
    """Where a system may stand: from 1 + those significantly better to k - those significantly worse."""

    first: int
    last: int


def pair_p_values(points: Array, replicates: Array) -> Array:
    """Return the two-sided p-values of no difference between every two systems.

    The standard error of a difference comes from replicates under shared weights, so what two systems have in common
    cancels. Its tail is taken as normal: counting replicates beyond zero could never reach the small p-values that Holm
    asks for among many systems (10,000 replicates resolve 0.0002, a board of 30 systems asks for 0.0001).

    Args:
        points: The systems' values, (k,).
        replicates: The same under each resample, (k, resamples); a resample that is undefined for a system is left out for all.

    Returns:
        float64 array (k, k), symmetric; NaN on the diagonal and where the difference does not vary.

    >>> points = np.array([0.9, 0.5])
    >>> replicates = np.array([[0.9, 0.8, 1.0], [0.5, 0.5, 0.5]])
    >>> pair_p_values(points, replicates).round(5).tolist()
    [[nan, 6e-05], [6e-05, nan]]
    """
    made = np.full((len(points), len(points)), np.nan)
    kept = replicates[:, ~np.isnan(replicates).any(axis=0)].astype(np.float64)
    if kept.shape[1] < 2:
        return made
    kept -= kept.mean(axis=1, keepdims=True)
    products = kept @ kept.T / (kept.shape[1] - 1)
    spread = np.diag(products)
    variance = spread[:, None] + spread[None, :] - 2 * products
    # what cancels to within rounding is no variance
    variance[variance <= 1e-12 * (spread[:, None] + spread[None, :])] = np.nan
    upper = np.triu_indices(len(points), 1)
    z = (points[:, None] - points[None, :])[upper] / np.sqrt(variance[upper])
    made[upper] = list(map(math.erfc, (np.abs(z) / math.sqrt(2)).tolist()))
    made.T[upper] = made[upper]
    return made


def rank_intervals(points: Array, replicates: Array, direction: float) -> list[Rank]:
    """Return where each system may stand among those given.

    Args:
        points: The systems' values, (k,).
        replicates: The same under each resample, (k, resamples).
        direction: 1 where higher is better, -1 where lower is.

    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(0, 0.01, (3, 1000))
    >>> points = np.array([0.9, 0.89, 0.5])
    >>> [(r.first, r.last) for r in rank_intervals(points, points[:, None] + noise, 1.0)]
    [(1, 2), (1, 2), (3, 3)]
    """
    count = len(points)
    if count == 1:
        return [Rank(first=1, last=1)]
    upper = np.triu_indices(count, 1)
    adjusted = holm(pair_p_values(points, replicates)[upper])
    one, other = (side[adjusted < ALPHA] for side in upper)
    ahead = direction * (points[one] - points[other]) > 0
    winners, losers = np.where(ahead, one, other), np.where(ahead, other, one)
    better_than = np.bincount(winners, minlength=count)
    worse_than = np.bincount(losers, minlength=count)
    return [Rank(first=1 + int(worse_than[i]), last=count - int(better_than[i])) for i in range(count)]
