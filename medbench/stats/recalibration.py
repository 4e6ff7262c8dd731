"""Calibration slope and calibration in the large: the logistic regression of truth on the log-odds that a model gave."""

from __future__ import annotations

import numpy as np

from medbench.stats.bootstrap import Array
from medbench.stats.labels import columns, shaped

_STEPS = 60
_BLOCK = 64


def slope(truth: Array, probabilities: Array, weights: Array, clip: float = 1e-6) -> Array:
    """Return the calibration slope: 1 is ideal, below 1 the probabilities are too extreme (Cox 1958; Van Calster 2016).

    Args:
        truth: 1, 0 or NaN (the row does not enter this label), (rows,) or (rows, labels).
        probabilities: of a 1, 0 to 1, of the same shape.
        weights: how often each row counts, (resamples, rows).
        clip: probabilities are moved into clip .. 1 - clip before their log-odds are taken.

    Returns:
        (resamples,) or (resamples, labels); NaN where the fit has no solution: one kind of truth, one probability, or
        probabilities that separate the two kinds.

    Raises:
        ValueError: if shapes differ, or a value is out of its range.

    >>> truth, odds = np.array([1, 0, 0, 0, 1, 1, 1, 0]), np.array([0.25, 0.25, 0.25, 0.25, 0.75, 0.75, 0.75, 0.75])
    >>> slope(truth, odds, np.ones((1, 8))).round(6).tolist()
    [1.0]
    """
    return _fits(truth, probabilities, weights, clip, sloped=True)


def in_the_large(truth: Array, probabilities: Array, weights: Array, clip: float = 1e-6) -> Array:
    """Return the calibration intercept, the slope held at 1: 0 is ideal, below 0 the probabilities are too high.

    In log-odds. Arguments and shape as for `slope`; NaN where there is only one kind of truth.

    >>> in_the_large(np.array([1, 0, 0, 0]), np.array([0.5, 0.5, 0.5, 0.5]), np.ones((1, 4))).round(6).tolist()
    [-1.098612]
    """
    return _fits(truth, probabilities, weights, clip, sloped=False)


def _fits(truth: Array, probabilities: Array, weights: Array, clip: float, *, sloped: bool) -> Array:
    known_truth, values = columns(truth, probabilities)
    if ((values < 0) | (values > 1)).any():
        raise ValueError("probabilities must be within 0 and 1")
    values = np.clip(values, clip, 1 - clip)
    found = np.full((len(weights), values.shape[1]), np.nan)
    for label in range(values.shape[1]):
        known = ~np.isnan(known_truth[:, label])
        odds = np.log(values[known, label] / (1 - values[known, label]))
        for start in range(0, len(weights), _BLOCK):
            block = np.asarray(weights[start : start + _BLOCK, known], dtype=np.float64)
            found[start : start + _BLOCK, label] = _fit(known_truth[known, label], odds, block, sloped=sloped)
    return shaped(found, truth)


def _fit(truth: Array, odds: Array, weights: Array, *, sloped: bool) -> Array:
    """Fit truth on odds for every row of weights by Newton's method; return the slope, or the intercept at slope 1."""
    found = np.full(len(weights), np.nan)
    both = (weights @ truth > 0) & (weights @ (1 - truth) > 0)
    # centred and scaled, so that a limit on the step means the same for any probabilities
    centre, scale = (odds.mean(), float(odds.std())) if sloped and odds.size else (0.0, 1.0)
    if not scale > 1e-12:
        return found
    x = (odds - centre) / scale
    going = np.flatnonzero(both)
    intercept, gradient = np.zeros(len(going)), np.full(len(going), 0.0 if sloped else 1.0)
    for _ in range(_STEPS):
        step = _newton(truth, x, weights[going], intercept, gradient, sloped=sloped)
        intercept, gradient = intercept + step[0], gradient + step[1]
        size = np.abs(step).max(axis=0)
        done = size < 1e-10
        found[going[done]] = gradient[done] / scale if sloped else intercept[done]
        left = ~done & np.isfinite(size)
        going, intercept, gradient = going[left], intercept[left], gradient[left]
        if not going.size:
            break
    return found


def _newton(truth: Array, x: Array, weights: Array, intercept: Array, gradient: Array, *, sloped: bool) -> Array:
    """Return the next step (2, resamples), NaN where the information is singular: the truth is separated, or all alike.

    A step is cut to a little more than the slope so far: from far away the full one lands where the likelihood is flat.
    """
    fitted = 1 / (1 + np.exp(-np.clip(intercept[:, None] + gradient[:, None] * x, -150, 150)))
    pull = weights * (truth - fitted)
    information = weights * fitted * (1 - fitted)
    g0, g1 = pull.sum(axis=1), pull @ x
    h00, h01, h11 = information.sum(axis=1), information @ x, information @ (x * x)
    if not sloped:
        g1, h01, h11 = np.zeros_like(g1), np.zeros_like(h01), np.ones_like(h11)
    determinant = h00 * h11 - h01 * h01
    determinant = np.where(determinant > 1e-12 * h00 * h11, determinant, np.nan)
    step = np.stack([(h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant])
    reach = 2 + np.abs(gradient)
    return np.asarray(step * np.minimum(1.0, reach / np.maximum(np.abs(step).max(axis=0), 1e-30)))
