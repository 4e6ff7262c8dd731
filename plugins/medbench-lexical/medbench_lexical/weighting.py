"""Weighted sums and means over samples, for many resamples at once."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Reduced = dict[str, tuple[Array, np.ndarray[Any, np.dtype[np.bool_]]]]
"""Score name -> (values of shape (resamples,), mask over the rows that enter them)."""


def sums(rows: Any, weights: Any) -> tuple[Array, Array]:
    """Return weighted column sums, shape (resamples, columns), and the total weight of each resample.

    Counts stay exact: weights are integers, and so are the products.
    """
    weights = np.asarray(weights, dtype=np.float64)
    return weights @ np.asarray(rows, dtype=np.float64), weights.sum(axis=1)


def mean(values: Any, weights: Any) -> Array:
    """Return the weighted mean of the values that are not NaN, shape (resamples,); NaN where nothing has weight.

    A resample that takes each row at most once is averaged as `numpy.mean` does it, so that a plain mean has the very bits
    of the reference implementations.

    >>> mean([1.0, 2.0, float("nan")], [[1, 1, 1], [0, 3, 1], [0, 0, 5]]).tolist()
    [1.5, 2.0, nan]
    """
    values = np.asarray(values, dtype=np.float64)
    weights = np.asarray(weights, dtype=np.float64)
    known = np.isfinite(values)
    totals = weights @ known.astype(np.float64)
    made = np.full(len(weights), np.nan)
    np.divide(weights @ np.where(known, values, 0.0), totals, out=made, where=totals > 0)
    plain = weights.max(axis=1, initial=0.0) <= 1
    for resample in np.flatnonzero(plain & (totals > 0)):
        made[resample] = np.mean(values[known & (weights[resample] == 1)])
    return made


def means(columns: dict[str, Any], weights: Any) -> Reduced:
    """Return the weighted mean of each named column, and which rows enter it."""
    return {name: (mean(values, weights), np.isfinite(np.asarray(values, dtype=np.float64))) for name, values in columns.items()}
