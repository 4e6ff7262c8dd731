"""Decisions against truth, label by label: F1 and its averages, accuracies, sensitivity and specificity, under many weights."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from medbench.stats.bootstrap import Array
from medbench.stats.labels import columns, macro, ratio, shaped

Average = Literal["none", "macro", "micro", "weighted", "samples"]


class Counts(NamedTuple):
    """Weighted numbers of rows, each (resamples, labels)."""

    true_positive: Array
    false_positive: Array
    false_negative: Array
    true_negative: Array


def counts(truth: Array, decided: Array, weights: Array) -> Counts:
    """Return the four cells of every label's table.

    Each is (resamples, labels), whatever the shape of the truth.

    Args:
        truth: 1, 0 or NaN (the row does not enter this label), (rows,) or (rows, labels).
        decided: 1 or 0, of the same shape.
        weights: how often each row counts, (resamples, rows).

    Raises:
        ValueError: if shapes differ, or a value is none of these.

    >>> cells = counts(np.array([1, 1, 0, np.nan]), np.array([1, 0, 1, 1]), np.ones((1, 4)))
    >>> [cell.tolist() for cell in cells]
    [[[1.0]], [[1.0]], [[1.0]], [[0.0]]]
    """
    truth, decided, known = _tables(truth, decided)
    cells = np.hstack([truth * decided, truth, decided, known])
    both, positive, called, every = np.split(weights @ cells, 4, axis=1)
    return Counts(both, called - both, positive - both, every - positive - called + both)


def _tables(truth: Array, decided: Array) -> tuple[Array, Array, Array]:
    """Return truth and decisions with 0 for what is not known, and what is known, each (rows, labels)."""
    truth, decided = columns(truth, decided)
    known = ~np.isnan(truth)
    if not np.isin(decided[known], (0, 1)).all():
        raise ValueError("decisions must be 0 or 1: put a threshold to probabilities first")
    return np.where(known, truth, 0.0), np.where(known, decided, 0.0), known.astype(np.float64)


def f1(truth: Array, decided: Array, weights: Array, average: Average = "macro", empty: float = np.nan) -> Array:
    """Return F1 = 2 TP / (2 TP + FP + FN).

    Print macro beside micro: a model that always says "normal" can reach a fair micro F1 with a macro F1 near 0.

    Args:
        truth: 1, 0 or NaN (the row does not enter this label), (rows,) or (rows, labels).
        decided: 1 or 0, of the same shape.
        weights: how often each row counts, (resamples, rows).
        average: `none`: of each label; `macro`: their mean over the labels that the sample defines; `micro`: of the summed
            counts; `weighted`: their mean weighted by positives; `samples`: the mean of each row's own F1.
        empty: for `samples`, the value of a row with no label on either side: NaN leaves it out (scikit-learn counts 0).

    Returns:
        (resamples,), for `none` one value for each label as the truth has them; NaN where nothing is positive on either side.

    Raises:
        ValueError: if shapes differ, or a value is none of these.

    >>> truth, decided = np.array([[1, 0], [1, 1], [0, 1]]), np.array([[1, 0], [0, 1], [0, 0]])
    >>> [f1(truth, decided, np.ones((1, 3)), average).round(4).tolist() for average in ("macro", "micro", "samples")]
    [[0.6667], [0.6667], [0.5556]]
    >>> f1(np.array([0, 0]), np.array([0, 0]), np.ones((1, 2)), "none").tolist()
    [nan]
    """
    if average == "samples":
        return _f1_of_rows(truth, decided, weights, empty)
    cells = counts(truth, decided, weights)
    if average == "micro":
        cells = Counts(*(cell.sum(axis=1, keepdims=True) for cell in cells))
    wrong = cells.false_positive + cells.false_negative
    values = ratio(2 * cells.true_positive, 2 * cells.true_positive + wrong)
    if average == "macro":
        known_truth, known_decided, _ = _tables(truth, decided)
        return macro(values, np.asarray((known_truth + known_decided).any(axis=0)))
    if average == "weighted":
        support = cells.true_positive + cells.false_negative
        return ratio((np.nan_to_num(values) * support).sum(axis=1), support.sum(axis=1))
    return values[:, 0] if average == "micro" else shaped(values, truth)


def _f1_of_rows(truth: Array, decided: Array, weights: Array, empty: float) -> Array:
    known_truth, known_decided, known = _tables(truth, decided)
    values = ratio(2 * (known_truth * known_decided).sum(axis=1), (known_truth + known_decided).sum(axis=1))
    values = np.where(known.any(axis=1) & np.isnan(values), empty, values)
    return weighted_mean(values, weights)


def weighted_mean(values: Array, weights: Array) -> Array:
    """Return the mean of one value per row, (resamples,); rows of NaN do not enter, NaN where none is left.

    >>> weighted_mean(np.array([1.0, 3.0, np.nan]), np.array([[1, 1, 1], [3, 1, 0], [0, 0, 2]])).tolist()
    [2.0, 1.5, nan]
    """
    known = ~np.isnan(values)
    sums = weights @ np.column_stack([np.where(known, values, 0.0), known])
    return ratio(sums[:, 0], sums[:, 1])


def subset_accuracy(truth: Array, decided: Array, weights: Array) -> Array:
    """Return the share of rows whose known labels are all right (exact match), (resamples,); arguments as for `f1`.

    A row without any known label does not enter.

    >>> subset_accuracy(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]), np.ones((1, 2))).tolist()
    [0.5]
    """
    known_truth, known_decided, known = _tables(truth, decided)
    right = (known_truth == known_decided).all(axis=1)
    return weighted_mean(np.where(known.any(axis=1), right.astype(np.float64), np.nan), weights)


def label_accuracy(truth: Array, decided: Array, weights: Array) -> Array:
    """Return the share of rows that are right, of each label: (resamples, labels), or (resamples,) for one; arguments as for `f1`.

    Its mean over labels is high wherever labels are rare; it is not the subset accuracy.

    >>> label_accuracy(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]), np.ones((1, 2))).tolist()
    [[0.5, 1.0]]
    """
    cells = counts(truth, decided, weights)
    return shaped(ratio(cells.true_positive + cells.true_negative, sum(cells, np.zeros(1))), truth)


def sensitivity(truth: Array, decided: Array, weights: Array) -> Array:
    """Return the share of positives that are called so (recall), of each label; NaN without a positive.

    >>> sensitivity(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]), np.ones((1, 4))).tolist()
    [0.5]
    """
    cells = counts(truth, decided, weights)
    return shaped(ratio(cells.true_positive, cells.true_positive + cells.false_negative), truth)


def specificity(truth: Array, decided: Array, weights: Array) -> Array:
    """Return the share of negatives that are called so, of each label; NaN without a negative.

    >>> specificity(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]), np.ones((1, 4))).tolist()
    [1.0]
    """
    cells = counts(truth, decided, weights)
    return shaped(ratio(cells.true_negative, cells.true_negative + cells.false_positive), truth)


def precision(truth: Array, decided: Array, weights: Array) -> Array:
    """Return the share of calls that are right, of each label; NaN where nothing is called.

    >>> precision(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0]), np.ones((1, 4))).tolist()
    [0.5]
    """
    cells = counts(truth, decided, weights)
    return shaped(ratio(cells.true_positive, cells.true_positive + cells.false_positive), truth)
