"""How well probabilities mean what they say: log loss, Brier score, calibration error and what of it is mere chance."""

from __future__ import annotations

from typing import Literal

import numpy as np

from medbench.stats.bootstrap import Array
from medbench.stats.classification import weighted_mean
from medbench.stats.labels import columns, ratio, shaped

Definition = Literal["positive", "confidence"]


def _probabilities(truth: Array, probabilities: Array) -> tuple[Array, Array]:
    known_truth, known = columns(truth, probabilities)
    if ((known < 0) | (known > 1)).any():
        raise ValueError("probabilities must be within 0 and 1")
    return known_truth, known


def _means(losses: Array, weights: Array, truth: Array) -> Array:
    return shaped(np.column_stack([weighted_mean(column, weights) for column in losses.T]), truth)


def log_loss(truth: Array, probabilities: Array, weights: Array, clip: float = float(np.finfo(np.float64).eps)) -> Array:
    """Return the mean of -ln(probability given to what is true), in nats.

    Args:
        truth: 1, 0 or NaN (the row does not enter this label), (rows,) or (rows, labels).
        probabilities: of a 1, 0 to 1, of the same shape.
        weights: how often each row counts, (resamples, rows).
        clip: probabilities are moved into clip .. 1 - clip, so that one wrong certainty is dear and not infinite.

    Returns:
        (resamples,) or (resamples, labels); NaN where no row is left.

    Raises:
        ValueError: if shapes differ, or a value is out of its range.

    >>> log_loss(np.array([1, 0]), np.array([0.8, 0.4]), np.ones((1, 2))).round(6).tolist()
    [0.366985]
    """
    known, values = _probabilities(truth, probabilities)
    values = np.clip(values, clip, 1 - clip)
    given = np.where(known == 1, values, 1 - values)
    return _means(np.where(np.isnan(known), np.nan, -np.log(given)), weights, truth)


def brier(truth: Array, probabilities: Array, weights: Array) -> Array:
    """Return the mean squared distance of probability and truth, 0 to 1 (Brier 1950, one class); arguments as for `log_loss`.

    >>> brier(np.array([1, 0]), np.array([0.8, 0.4]), np.ones((1, 2))).round(6).tolist()
    [0.1]
    """
    known, values = _probabilities(truth, probabilities)
    return _means((values - known) ** 2, weights, truth)


def ece_positive(truth: Array, probabilities: Array, weights: Array, bins: int = 15) -> Array:
    """Return the expected calibration error of P(y = 1) in bins of equal width (Naeini 2015).

    The mean over rows of the distance, in each bin, between mean probability and share of positives. A bin holds its upper
    edge, the first one its lower edge too. Chance alone makes it positive: see `ece_floor`. Of several classes, give
    whether the best class was right as `truth` and its probability: that is the confidence error of Guo et al. (2017).

    Args:
        truth: 1, 0 or NaN (the row does not enter this label), (rows,) or (rows, labels).
        probabilities: of a 1, 0 to 1, of the same shape.
        weights: how often each row counts, (resamples, rows).
        bins: number of bins.

    Returns:
        (resamples,) or (resamples, labels), 0 to 1; NaN where no row is left.

    Raises:
        ValueError: if shapes differ, or a value is out of its range.

    >>> ece_positive(np.array([1, 0, 1, 1]), np.array([0.9, 0.95, 0.3, 0.8]), np.ones((1, 4)), bins=2).round(6).tolist()
    [0.3375]
    """
    known, values = _probabilities(truth, probabilities)
    return shaped(np.column_stack([_gap(t, p, weights, bins) for t, p in zip(known.T, values.T, strict=True)]), truth)


def ece_confidence(truth: Array, probabilities: Array, weights: Array, bins: int = 15) -> Array:
    """Return the calibration error of the confidence max(p, 1 - p) in the decision at 0.5 (Guo et al. 2017).

    Another number than `ece_positive` on the same data, mostly a smaller one. Arguments and shape as there.

    >>> ece_confidence(np.array([1, 0, 1, 1]), np.array([0.9, 0.95, 0.3, 0.8]), np.ones((1, 4)), bins=2).round(6).tolist()
    [0.3375]
    """
    right, confidence = _confidence(*_probabilities(truth, probabilities))
    return ece_positive(right.reshape(np.shape(truth)), confidence.reshape(np.shape(truth)), weights, bins)


def _confidence(truth: Array, probabilities: Array) -> tuple[Array, Array]:
    right = ((probabilities >= 0.5) == (truth == 1)).astype(np.float64)
    return np.where(np.isnan(truth), np.nan, right), np.maximum(probabilities, 1 - probabilities)


def _bins(probabilities: Array, bins: int) -> Array:
    """Return which bin each row is in, as (rows, bins) of 0 and 1."""
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    return np.asarray(np.searchsorted(edges, probabilities, "left")[:, None] == np.arange(bins), dtype=np.float64)


def _gap(truth: Array, probabilities: Array, weights: Array, bins: int) -> Array:
    known = ~np.isnan(truth)
    weights, truth, probabilities = weights[:, known], truth[known], probabilities[known]
    distances = np.abs(weights @ (_bins(probabilities, bins) * (probabilities - truth)[:, None]))
    return ratio(distances.sum(axis=1), weights.sum(axis=1))


def ece_floor(
    truth: Array, probabilities: Array, *, bins: int = 15, definition: Definition = "positive", simulations: int = 200, seed: int = 0
) -> Array:
    """Return the calibration error that perfectly calibrated probabilities would show on as many rows: its floor.

    The mean over simulated truths, drawn with these very probabilities and independent of each other. With 15 bins and even
    probabilities it is about 0.12 for 100 rows, 0.055 for 500, 0.027 for 2,000.

    Args:
        truth: 1, 0 or NaN, (rows,) or (rows, labels); only what is known matters here.
        probabilities: 0 to 1, of the same shape.
        bins: number of bins.
        definition: `positive` as `ece_positive`, `confidence` as `ece_confidence`.
        simulations: number of simulated truths.
        seed: seed of the simulation.

    Returns:
        A number for each label: () or (labels,); NaN without a known row.

    Raises:
        ValueError: if shapes differ, or a value is out of its range.

    >>> floor = ece_floor(np.zeros(100), np.linspace(0.005, 0.995, 100))
    >>> round(float(floor), 2)
    0.12
    """
    known, values = _probabilities(truth, probabilities)
    if definition == "confidence":
        _, values = _confidence(known, values)
    generator = np.random.default_rng(seed)
    floors = [_floor(p[~np.isnan(t)], bins, simulations, generator) for t, p in zip(known.T, values.T, strict=True)]
    return np.asarray(floors).reshape(np.shape(truth)[1:])


def _floor(probabilities: Array, bins: int, simulations: int, generator: np.random.Generator) -> float:
    if not probabilities.size:
        return float("nan")
    member, errors = _bins(probabilities, bins), 0.0
    for start in range(0, simulations, 32):
        drawn = generator.random((min(32, simulations - start), probabilities.size)) < probabilities
        errors += float(np.abs((drawn - probabilities) @ member).sum())
    return errors / probabilities.size / simulations
