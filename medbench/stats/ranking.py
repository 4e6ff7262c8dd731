"""How well scores separate positives from negatives: AUROC, AUPRC, sensitivity at a specificity, under many weights at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from medbench.stats.bootstrap import Array
from medbench.stats.labels import columns, ratio, shaped

_CELLS = 250_000  # weights of a block (resamples x rows) that stay in the processor's cache


class _Order(NamedTuple):
    """One label's rows in descending order of score; a step is a distinct score that a positive has."""

    positives: Array
    negatives: Array
    starts: Array
    """Where each step begins among the positives."""
    cuts: Array
    """Where the negatives are cut: before and after the negatives of each step."""
    before: Array
    after: Array
    """Of each step: the cuts before and after its own negatives."""


class _Steps(NamedTuple):
    """Weights at each step, (steps, resamples), and in all, (resamples,)."""

    positives: Array
    """Positives with this very score."""
    above: Array
    """Negatives with a higher score."""
    reached: Array
    """Negatives with this score or a higher one."""
    all_positives: Array
    all_negatives: Array


def _order(truth: Array, scores: Array) -> _Order | None:
    positives, negatives = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)
    if not (positives.size and negatives.size):
        return None
    positives = positives[np.argsort(-scores[positives], kind="stable")]
    negatives = negatives[np.argsort(-scores[negatives], kind="stable")]
    descending = -scores[positives]
    starts = np.flatnonzero(np.r_[True, descending[1:] != descending[:-1]])
    first = np.searchsorted(-scores[negatives], descending[starts], "left")
    last = np.searchsorted(-scores[negatives], descending[starts], "right")
    cuts = np.unique(np.r_[0, first, last, negatives.size])
    return _Order(positives, negatives, starts, cuts, np.searchsorted(cuts, first), np.searchsorted(cuts, last))


def _steps(order: _Order, weights: Array) -> _Steps:
    """Sum weights, (rows, resamples), up to each step; only what lies between two steps is ever summed row by row."""
    positives = np.add.reduceat(weights[order.positives], order.starts, axis=0)
    between = np.add.reduceat(weights[order.negatives], order.cuts[:-1], axis=0)
    running = np.zeros((len(order.cuts), weights.shape[1]))
    np.cumsum(between, axis=0, out=running[1:])
    return _Steps(positives, running[order.before], running[order.after], positives.sum(axis=0), running[-1])


def _each(truth: Array, scores: Array, weights: Array, figure: Callable[[_Steps], tuple[Array, ...]], count: int) -> list[Array]:
    """Return `count` figures for every label and resample, NaN for labels with one kind of row."""
    columns_of_truth, columns_of_scores = columns(truth, scores)
    orders = [_order(t, s) for t, s in zip(columns_of_truth.T, columns_of_scores.T, strict=True)]
    found = np.full((count, len(weights), len(orders)), np.nan)
    size = max(8, min(64, _CELLS // max(1, weights.shape[1])))
    for start in range(0, len(weights), size):
        block = np.ascontiguousarray(weights[start : start + size].T, dtype=np.float64)
        for label, order in enumerate(orders):
            if order is not None:
                found[:, start : start + size, label] = figure(_steps(order, block))
    return [shaped(values, truth) for values in found]


def _areas(steps: _Steps) -> tuple[Array, Array]:
    below = steps.all_negatives - (steps.above + steps.reached) / 2
    area = ratio((steps.positives * below).sum(axis=0), steps.all_positives * steps.all_negatives)
    right = np.cumsum(steps.positives, axis=0)
    called = right + steps.reached
    precision = np.divide(right, called, out=np.zeros_like(right), where=called > 0)
    average = ratio((steps.positives * precision).sum(axis=0), steps.all_positives)
    return area, np.where(steps.all_negatives > 0, average, np.nan)


def areas(truth: Array, scores: Array, weights: Array) -> tuple[Array, Array]:
    """Return AUROC and AUPRC together, for little more than the price of one; see `auroc` and `auprc`.

    >>> auc, average = areas(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.35, 0.8]), np.ones((1, 4)))
    >>> auc.tolist(), average.tolist()
    ([1.0], [1.0])
    """
    area, average = _each(truth, scores, weights, _areas, 2)
    return area, average


def auroc(truth: Array, scores: Array, weights: Array) -> Array:
    """Return the area under the ROC curve: how often a positive outscores a negative, a tie counting half (midranks).

    Args:
        truth: 1, 0 or NaN (the row does not enter this label), (rows,) or (rows, labels).
        scores: of the same shape; higher means more likely.
        weights: how often each row counts, (resamples, rows); `once(rows)` for the value itself.

    Returns:
        (resamples,) or (resamples, labels), 0 to 1; NaN where a resample has no positive or no negative.

    Raises:
        ValueError: if shapes differ, a truth is not 0, 1 or NaN, or a known truth has no score.

    >>> truth, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    >>> auroc(truth, scores, np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 0, 2, 2]])).tolist()
    [0.75, 1.0, nan]
    """
    return areas(truth, scores, weights)[0]


def auprc(truth: Array, scores: Array, weights: Array) -> Array:
    """Return average precision: the step sum of precision over recall, not the trapezoid, which is too kind.

    Arguments, shape and NaN as for `auroc`. Chance is the share of positives, so compare it on one set only.

    >>> auprc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), np.ones((1, 4))).round(6).tolist()
    [0.833333]
    """
    return areas(truth, scores, weights)[1]


def sensitivity_at(truth: Array, scores: Array, weights: Array, specificity: float) -> Array:
    """Return the highest sensitivity at a threshold that keeps at least this specificity.

    The threshold is chosen on the rows it is scored on, anew in each resample: a property of the curve, not of a threshold
    fixed beforehand.

    Args:
        truth: 1, 0 or NaN, (rows,) or (rows, labels).
        scores: of the same shape; a row is called positive at or above the threshold.
        weights: how often each row counts, (resamples, rows).
        specificity: least share of negatives below the threshold, 0 to 1.

    Returns:
        (resamples,) or (resamples, labels), 0 to 1; NaN where a resample has no positive or no negative.

    Raises:
        ValueError: if `specificity` is not within 0 and 1, or as for `auroc`.

    >>> truth, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    >>> sensitivity_at(truth, scores, np.ones((1, 4)), 0.9).tolist()
    [0.5]
    >>> sensitivity_at(truth, scores, np.ones((1, 4)), 0.5).tolist()
    [1.0]
    """
    if not 0 <= specificity <= 1:
        raise ValueError(f"specificity must be within 0 and 1, not {specificity}")

    def figure(steps: _Steps) -> tuple[Array]:
        allowed = (1 - specificity) * steps.all_negatives
        right = np.cumsum(steps.positives, axis=0)
        # 1 - 0.95 is a little more than 0.05, 1 - 0.9 a little less than 0.1: the slack keeps whole counts exact
        best = np.where(steps.reached <= allowed + 1e-9, right, 0.0).max(axis=0)
        return (np.where(steps.all_negatives > 0, ratio(best, steps.all_positives), np.nan),)

    return _each(truth, scores, weights, figure, 1)[0]
