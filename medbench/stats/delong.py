"""Variance of AUROC without resampling: DeLong's, and Obuchowski's for rows that come in groups."""

from __future__ import annotations

import math

import numpy as np

from medbench.stats.bootstrap import Array
from medbench.stats.distributions import normal_cdf, normal_quantile
from medbench.stats.intervals import Interval, logit_interval
from medbench.stats.paired import Comparison
from medbench.types import Struct

_FEW = 20


class Areas(Struct, frozen=True):
    """AUROC of several models on one set of rows, and how they vary together; NaN where undefined."""

    values: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    positives: int
    negatives: int
    groups: int


def delong(truth: Array, scores: Array, index: Array | None = None) -> Areas:
    """Return AUROCs and their covariance (DeLong 1988; with groups Obuchowski 1997), in the time of a sort.

    Args:
        truth: 1, 0 or NaN (the row does not enter), (rows,).
        scores: (models, rows); higher means more likely.
        index: the group of each row, (rows,); None: every row stands alone.

    Returns:
        AUROCs, NaN without a positive or a negative; the covariance is NaN with fewer than two groups of either.

    Raises:
        ValueError: if shapes differ.

    >>> areas = delong(np.array([0, 0, 1, 1, 1]), np.array([[0.1, 0.6, 0.35, 0.8, 0.7]]))
    >>> round(areas.values[0], 6), round(areas.covariance[0][0], 6)
    (0.833333, 0.055556)
    """
    truth, scores = np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1:] != truth.shape:
        raise ValueError(f"scores {scores.shape} must be (models, rows) for truth {truth.shape}")
    known = ~np.isnan(truth)
    truth, scores = truth[known] == 1, scores[:, known]
    groups = np.arange(truth.size) if index is None else np.unique(index[known], return_inverse=True)[1]
    m, n = int(truth.sum()), int((~truth).sum())
    if not (m and n):
        return _undefined(len(scores), m, n, np.unique(groups).size)
    placed = [_placements(row[truth], row[~truth]) for row in scores]
    values = np.array([p.mean() for p, _ in placed])
    size = int(groups.max()) + 1
    # a group's part: what its positives, and its negatives, add above or below their expected share
    ups = np.array([np.bincount(groups[truth], p - a, size) for (p, _), a in zip(placed, values, strict=True)]) / m
    downs = np.array([np.bincount(groups[~truth], q - a, size) for (_, q), a in zip(placed, values, strict=True)]) / n
    cross = ups @ downs.T * _correction(size)
    covariance = ups @ ups.T * _correction(np.unique(groups[truth]).size) + cross
    covariance += downs @ downs.T * _correction(np.unique(groups[~truth]).size) + cross.T
    return Areas(values=tuple(values.tolist()), covariance=tuple(map(tuple, covariance.tolist())), positives=m, negatives=n, groups=size)


def _undefined(models: int, positives: int, negatives: int, groups: int) -> Areas:
    nothing = (math.nan,) * models
    return Areas(values=nothing, covariance=(nothing,) * models, positives=positives, negatives=negatives, groups=groups)


def _correction(groups: int) -> float:
    return groups / (groups - 1) if groups > 1 else math.nan


def _placements(positives: Array, negatives: Array) -> tuple[Array, Array]:
    """Return for each positive the share of negatives below it, for each negative the share of positives above; ties half."""
    up, down = np.sort(positives), np.sort(negatives)
    under = np.searchsorted(down, positives, "left") + np.searchsorted(down, positives, "right")
    over = 2 * up.size - np.searchsorted(up, negatives, "left") - np.searchsorted(up, negatives, "right")
    return under / (2 * down.size), over / (2 * up.size)


def auroc_interval(truth: Array, scores: Array, index: Array | None = None, level: float = 0.95) -> Interval:
    """Return an interval of one model's AUROC on the logit scale, which keeps its level better than DeLong's own.

    Args:
        truth: 1, 0 or NaN (the row does not enter), (rows,).
        scores: (rows,); higher means more likely.
        index: the group of each row, (rows,); None: every row stands alone.
        level: nominal coverage, between 0 and 1.

    >>> rng = np.random.default_rng(0)
    >>> truth = np.arange(200) % 4 == 0
    >>> interval = auroc_interval(truth, rng.normal(size=200) + truth)
    >>> round(interval.low, 4), round(interval.high, 4), interval.method
    (0.6795, 0.8297, 'DeLong on the logit scale: 200 rows')
    """
    found = delong(truth, np.asarray(scores)[None], index)
    variance, rows = found.covariance[0][0], found.positives + found.negatives
    method = f"{'DeLong' if index is None else 'Obuchowski'} on the logit scale: {rows} rows" + (
        "" if index is None else f" in {found.groups} groups"
    )
    if math.isnan(variance):
        why = "fewer than two groups with a positive, or with a negative"
        return Interval(low=None, high=None, level=level, method=method, note=why)
    bounds = logit_interval(found.values[0], math.sqrt(max(variance, 0.0)), level)
    if bounds is None:
        return Interval(low=None, high=None, level=level, method=method, note="positives and negatives do not overlap: no variance")
    fewest = min(found.positives, found.negatives)
    kinds = "positives" if found.positives <= found.negatives else "negatives"
    note = f"only {fewest} {kinds}: expect less coverage than stated" if fewest < _FEW else ""
    return Interval(low=bounds[0], high=bounds[1], level=level, method=method, note=note)


def auroc_difference(truth: Array, one: Array, other: Array, index: Array | None = None, level: float = 0.95) -> Comparison:
    """Return the paired difference of two models' AUROC, with interval and two-sided p-value by the normal distribution.

    Args:
        truth: 1, 0 or NaN (the row does not enter), (rows,).
        one: scores of one model, (rows,).
        other: scores of the other, (rows,).
        index: the group of each row, (rows,); None: every row stands alone.
        level: nominal coverage, between 0 and 1.

    Returns:
        One minus other; no interval where the variance is undefined.

    >>> truth = np.array([0, 0, 0, 1, 1, 1])
    >>> found = auroc_difference(truth, np.array([1, 2, 4, 3, 5, 6]), np.array([1, 5, 3, 2, 4, 6]))
    >>> round(found.difference, 4), round(found.p, 4)
    (0.2222, 0.3711)
    """
    found = delong(truth, np.stack([one, other]), index)
    difference = found.values[0] - found.values[1]
    method = f"{'DeLong' if index is None else 'Obuchowski'}: {found.groups} {'rows' if index is None else 'groups'}"
    (a, c), (_, b) = found.covariance
    if math.isnan(a):
        known = None if math.isnan(difference) else difference
        return Comparison(difference=known, level=level, method=method, note="too few groups with a positive, or with a negative")
    error = math.sqrt(max(a + b - 2 * c, 0.0))
    if error < 1e-12:
        return Comparison(difference=difference, level=level, method=method, note="the two rank all rows alike: no variance")
    p = 2 * normal_cdf(-abs(difference) / error)
    half = normal_quantile((1 + level) / 2) * error
    return Comparison(difference=difference, low=difference - half, high=difference + half, level=level, p=p, method=method)
