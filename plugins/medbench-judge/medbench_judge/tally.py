"""From rows to scores under many weights: means, counts of what came of asking, controls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

import numpy as np

from medbench.stats.correlation import spearman
from medbench_judge.conversation import Status

Array = np.ndarray[Any, np.dtype[Any]]
Reduced = dict[str, tuple[Array, Array]]
"""Score name -> (values of shape (resamples,), mask over the rows that enter)."""

SCORED: tuple[Status, ...] = ("parsed", "empty")
COUNTED: tuple[Status, ...] = ("parsed", "unparsable", "refused", "failed")


def numbers(values: Iterable[float | None]) -> Array:
    """Return numbers as an array, None as NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def mean(values: Array, weights: Any) -> tuple[Array, Array]:
    """Return the weighted mean of the values that are not NaN, (resamples,), and which rows those are; NaN over no weight.

    >>> mean(np.array([1.0, np.nan, 4.0]), [[1, 1, 1], [2, 5, 1], [0, 1, 0]])[0].tolist()
    [2.5, 2.0, nan]
    """
    weights = np.asarray(weights, dtype=np.float64)
    known = ~np.isnan(values)
    total = weights @ known.astype(np.float64)
    made = np.full(len(weights), np.nan)
    np.divide(weights @ np.where(known, values, 0.0), total, out=made, where=total > 0)
    return made, known


def counts(statuses: Sequence[str], weights: Any) -> Reduced:
    """Return how many rows there are of each status, the empty ones aside; every row enters."""
    assert set(statuses) <= set(get_args(Status))
    weights = np.asarray(weights, dtype=np.float64)
    there = weights.sum(axis=1) > 0
    made: Reduced = {}
    for status in COUNTED:
        of_it = np.array([one == status for one in statuses], dtype=np.float64)
        made[status] = np.where(there, weights @ of_it, np.nan), np.ones(len(statuses), dtype=bool)
    return made


def bounds(values: Array, statuses: Sequence[str], weights: Any, worst: float, best: float) -> Reduced:
    """Return what the mean would be with every row without a verdict at its worst and at its best."""
    open_ = np.isnan(values) & unscored(statuses)
    made = {name: mean(np.where(open_, filled, values), weights)[0] for name, filled in (("at-worst", worst), ("at-best", best))}
    return {name: (value, ~np.isnan(values)) for name, value in made.items()}


def with_length(values: Array, lengths: Array, weights: Any) -> tuple[Array, Array]:
    """Return Spearman's correlation of the verdicts with the length of what was judged, and the rows that enter."""
    known = ~(np.isnan(values) | np.isnan(lengths))
    return spearman(values, lengths, np.asarray(weights, dtype=np.float64)), known


def unscored(statuses: Sequence[str]) -> Array:
    """Return a mask of the rows that have no verdict."""
    return np.array([status not in SCORED for status in statuses], dtype=bool)


def tried(calls: Iterable[Any], purpose: str) -> bool:
    """Say whether a sample was put to the judge for a purpose (`rate`, `shuffled`, `canary`, `again`)."""
    return any(call.purpose.partition(" ")[0] == purpose for call in calls)


def agreeing(first: float | None, later: Sequence[float | None]) -> float | None:
    """Return the share of repeated calls that gave the first verdict again; None where there is nothing to compare."""
    known = [value for value in later if value is not None]
    return sum(value == first for value in known) / len(known) if known and first is not None else None
