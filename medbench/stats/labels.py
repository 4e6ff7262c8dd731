"""Truth and scores with one column per label: their shapes, what is not known, and which labels carry no number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medbench.stats.bootstrap import Array


def columns(truth: Array, scores: Array) -> tuple[Array, Array]:
    """Return truth and scores as float64 (rows, labels), after checking them.

    Args:
        truth: 1, 0 or NaN (not known: the row does not enter this label), (rows,) or (rows, labels).
        scores: numbers of the same shape; they may be NaN only where the truth is.

    Raises:
        ValueError: if shapes differ, a truth is another number, or a known truth has no score.

    >>> columns(np.array([0, 1]), np.array([0.2, 0.7]))[1].tolist()
    [[0.2], [0.7]]
    """
    truth, scores = np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if truth.shape != scores.shape or truth.ndim not in {1, 2}:
        raise ValueError(f"truth {truth.shape} and scores {scores.shape} must have one shape, (rows,) or (rows, labels)")
    known = ~np.isnan(truth)
    if not np.isin(truth[known], (0, 1)).all():
        raise ValueError(f"truth must be 0, 1 or NaN, not {truth[known][~np.isin(truth[known], (0, 1))][0]}")
    if np.isnan(scores[known]).any():
        raise ValueError("a row whose truth is known has no score")
    width = truth.shape[1] if truth.ndim == 2 else 1
    return truth.reshape(len(truth), width), scores.reshape(len(scores), width)


def ratio(top: Array, bottom: Array) -> Array:
    """Return top / bottom, NaN where `bottom` is 0: undefined, and no warning.

    >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
    [0.25, nan]
    """
    top, bottom = np.broadcast_arrays(top, bottom)
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0))


def shaped(values: Array, truth: Array) -> Array:
    """Return (resamples, labels) as (resamples,) where the truth has no axis for labels.

    >>> shaped(np.ones((2, 1)), np.array([0, 1, 1])).shape
    (2,)
    """
    return values.reshape(len(values), *np.shape(truth)[1:])


def both_kinds(truth: Array) -> Array:
    """Return which labels have a positive and a negative row, (labels,): the others have no AUROC.

    >>> both_kinds(np.array([[1, 0], [0, np.nan]])).tolist()
    [True, False]
    """
    truth = np.asarray(truth, dtype=np.float64).reshape(len(truth), -1)
    return np.asarray((truth == 1).any(axis=0) & (truth == 0).any(axis=0))


def macro(values: Array, kept: Array) -> Array:
    """Return the unweighted mean over labels, (resamples,).

    The labels are the same in every resample; where one of them is undefined the mean is too, rather than a mean of others.

    Args:
        values: (resamples, labels).
        kept: which labels enter, (labels,): those defined on the sample itself. None of them: all NaN.

    >>> macro(np.array([[0.5, 1.0, np.nan], [np.nan, 1.0, np.nan]]), np.array([True, True, False])).tolist()
    [0.75, nan]
    """
    chosen = values[:, np.asarray(kept, dtype=bool)]
    return ratio(chosen.sum(axis=1), np.asarray(float(chosen.shape[1])))


def undefined(values: Array, names: Sequence[str]) -> list[str]:
    """Return the names whose value, (labels,), is NaN: to be listed beside a mean that leaves them out.

    >>> undefined(np.array([0.9, np.nan]), ["edema", "hernia"])
    ['hernia']
    """
    return [name for name, value in zip(names, values, strict=True) if np.isnan(value)]


def rare(truth: Array, names: Sequence[str], least: int = 20) -> dict[str, int]:
    """Return the labels with too few rows of one kind for their intervals to keep their level, and how few.

    With 15 positives of 300, intervals of AUROC at 95 % cover about 87 to 90 % (percentile, DeLong, its logit).

    Args:
        truth: 1, 0 or NaN, (rows, labels).
        names: the labels.
        least: number of positives, and of negatives, below which a label is named.

    >>> rare(np.array([[1, 0]] * 30 + [[0, 1]] * 19), ["edema", "hernia"], least=20)
    {'edema': 19, 'hernia': 19}
    """
    truth = np.asarray(truth, dtype=np.float64).reshape(len(truth), -1)
    fewest = np.minimum((truth == 1).sum(axis=0), (truth == 0).sum(axis=0))
    return {name: int(count) for name, count in zip(names, fewest, strict=True) if count < least}
