"""Rank correlations under many weights at once: Spearman's rho and Kendall's tau-b."""

from __future__ import annotations

import numpy as np

from medbench.stats.bootstrap import Array
from medbench.stats.labels import ratio

_BLOCK = 64
_TILE = 512  # rows of the comparison matrix held at once


def _ranked(x: Array) -> tuple[Array, Array, Array]:
    """Return the order of the rows, where each distinct value starts in it, and which distinct value each row has."""
    order = np.argsort(x, kind="stable")
    new = np.r_[True, x[order][1:] != x[order][:-1]] if x.size else np.zeros(0, dtype=bool)
    value = np.empty(x.size, dtype=np.int64)
    value[order] = np.cumsum(new) - 1
    return order, np.flatnonzero(new), value


def _checked(x: Array, y: Array, weights: Array) -> tuple[Array, Array, Array]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"two columns of the same rows are needed, not {x.shape} and {y.shape}")
    known = ~(np.isnan(x) | np.isnan(y))
    return x[known], y[known], np.asarray(weights, dtype=np.float64)[:, known]


def _ties(weights: Array, ranked: tuple[Array, Array, Array]) -> Array:
    """Return the weight of each distinct value, (values, resamples), of weights (rows, resamples)."""
    order, starts, _ = ranked
    return np.asarray(np.add.reduceat(weights[order], starts, axis=0))


def _midranks(weights: Array, ranked: tuple[Array, Array, Array]) -> Array:
    """Return every row's midrank, less half, minus the mean rank, (rows, resamples)."""
    tied = _ties(weights, ranked)
    middle = np.cumsum(tied, axis=0) - tied / 2
    return np.asarray(middle[ranked[2]] - weights.sum(axis=0) / 2)


def spearman(x: Array, y: Array, weights: Array) -> Array:
    """Return Spearman's rank correlation, ties at midranks.

    Args:
        x: numbers, (rows,); a row with NaN on either side does not enter.
        y: numbers, (rows,).
        weights: how often each row counts, (resamples, rows).

    Returns:
        (resamples,), -1 to 1; NaN where one side does not vary.

    Raises:
        ValueError: if shapes differ.

    >>> spearman(np.array([1, 2, 3, 4]), np.array([1, 3, 2, 4]), np.array([[1, 1, 1, 1], [1, 0, 0, 1]])).tolist()
    [0.8, 1.0]
    """
    x, y, weights = _checked(x, y, weights)
    found = np.full(len(weights), np.nan)
    if not x.size:
        return found
    ranked_x, ranked_y = _ranked(x), _ranked(y)
    for start in range(0, len(weights), _BLOCK):
        block = np.ascontiguousarray(weights[start : start + _BLOCK].T)
        one, other = _midranks(block, ranked_x), _midranks(block, ranked_y)
        spread = np.sqrt((block * one**2).sum(axis=0) * (block * other**2).sum(axis=0))
        found[start : start + _BLOCK] = ratio((block * one * other).sum(axis=0), spread)
    return np.asarray(np.clip(found, -1, 1))


def kendall(x: Array, y: Array, weights: Array) -> Array:
    """Return Kendall's tau-b (Kendall 1945): concordant less discordant pairs, corrected for ties on both sides.

    Every pair of rows is compared once for all resamples, so time grows with the square of the rows. Arguments, shape and
    NaN as for `spearman`; a row that counts twice is tied with itself.

    >>> kendall(np.array([1, 2, 3, 4]), np.array([1, 3, 2, 4]), np.array([[1, 1, 1, 1], [1, 0, 0, 1]])).round(6).tolist()
    [0.666667, 1.0]
    """
    x, y, weights = _checked(x, y, weights)
    if not x.size:
        return np.full(len(weights), np.nan)
    total = weights.sum(axis=1)
    pairs = total * (total - 1)
    tied = [(counts * (counts - 1)).sum(axis=0) for counts in (_ties(weights.T, _ranked(side)) for side in (x, y))]
    agreeing = np.zeros(len(weights))
    for start in range(0, x.size, _TILE):
        part = slice(start, start + _TILE)
        signs = np.sign(x[part, None] - x) * np.sign(y[part, None] - y)
        agreeing += ((weights @ signs.T) * weights[:, part]).sum(axis=1)
    return np.clip(ratio(agreeing, np.sqrt((pairs - tied[0]) * (pairs - tied[1]))), -1, 1)
