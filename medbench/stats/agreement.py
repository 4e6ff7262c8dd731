"""How far raters agree: weighted kappa, Krippendorff's alpha, intraclass correlation, limits of agreement, under many weights at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from medbench.stats.bootstrap import Array
from medbench.stats.labels import ratio

Scale = Literal["nominal", "ordinal", "interval"]


def quadratic_kappa(one: Array, other: Array, grades: Sequence[float], weights: Array) -> Array:
    """Return Cohen's kappa with quadratic weights (Cohen 1968) of two raters.

    Grades stand at equal distances in the order given. All that may be given must be named: a grade that nobody used
    changes the distances of the rest, and with them the value.

    Args:
        one: grades of one rater, (rows,); NaN: the row does not enter.
        other: grades of the other rater, (rows,).
        grades: every grade that a rater may give, in order.
        weights: how often each row counts, (resamples, rows).

    Returns:
        (resamples,), at most 1; NaN where both raters gave one and the same grade throughout.

    Raises:
        ValueError: if shapes differ or a grade is not among `grades`.

    >>> one, other = np.array([1, 1, 2]), np.array([1, 5, 2])
    >>> quadratic_kappa(one, other, (1, 2, 3, 4, 5), np.ones((1, 3))).round(6).tolist()
    [-0.090909]
    >>> quadratic_kappa(one, other, (1, 2, 5), np.ones((1, 3))).round(6).tolist()
    [0.0]
    """
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"two raters of the same rows are needed, not {one.shape} and {other.shape}")
    known = ~(np.isnan(one) | np.isnan(other))
    place = {grade: i for i, grade in enumerate(grades)}
    try:
        first, second = (np.array([place[grade] for grade in rater[known]], dtype=np.int64) for rater in (one, other))
    except KeyError as error:
        raise ValueError(f"grade {error.args[0]} is not among the grades {tuple(grades)}") from None
    size = len(grades)
    cells = np.eye(size * size)[first * size + second]
    table = (weights[:, known] @ cells).reshape(len(weights), size, size)
    steps = np.arange(size)
    distance = (steps[:, None] - steps) ** 2
    expected = np.einsum("bi,bj,ij->b", table.sum(axis=2), table.sum(axis=1), distance)
    return 1 - ratio((table * distance).sum(axis=(1, 2)) * table.sum(axis=(1, 2)), expected)


def krippendorff_alpha(ratings: Array, weights: Array, scale: Scale = "nominal") -> Array:
    """Return Krippendorff's alpha, for any number of raters and with gaps (Krippendorff 2004).

    Args:
        ratings: (raters, units), NaN where a rater did not rate; units rated once do not enter.
        weights: how often each unit counts, (resamples, units).
        scale: `nominal`: any two values differ alike; `ordinal`: by the ranks between them; `interval`: by their squared
            difference.

    Returns:
        (resamples,), at most 1; NaN where all ratings are one value or nothing is rated twice.

    >>> ratings = np.array([[1, 2, 3, 3], [1, 2, 3, np.nan], [np.nan, 3, 3, np.nan]])
    >>> krippendorff_alpha(ratings, np.ones((1, 4)), "interval").round(6).tolist()
    [0.840909]
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    values = np.unique(ratings[~np.isnan(ratings)])
    table = (ratings[:, :, None] == values).sum(axis=0).astype(np.float64)
    paired = table.sum(axis=1) >= 2
    table, weights = table[paired], np.asarray(weights, dtype=np.float64)[:, paired]
    totals = weights @ table
    n = totals.sum(axis=1)
    if scale == "ordinal":
        observed, expected = _ordinal(table, weights, totals)
    elif scale == "interval":
        positions = values - values[0] if values.size else values
        observed = weights @ _spread(table, positions, table.sum(axis=1) - 1)
        expected = _spread(totals, positions, np.ones(len(totals)))
    else:
        size = table.sum(axis=1)
        observed = weights @ ((size**2 - (table**2).sum(axis=1)) / (size - 1))
        expected = n**2 - (totals**2).sum(axis=1)
    return 1 - ratio(observed * (n - 1), expected)


def _spread(counts: Array, positions: Array, share: Array) -> Array:
    """Return the squared differences of all ordered pairs of values, summed, of each row of counts, over `share`."""
    total, first, second = counts.sum(axis=1), (counts * positions).sum(axis=1), (counts * positions**2).sum(axis=1)
    return np.asarray(2 * (total * second - first**2) / share)


def _ordinal(table: Array, weights: Array, totals: Array) -> tuple[Array, Array]:
    """Return observed and expected disagreement; the distance of two grades depends on the totals of each resample."""
    positions = np.cumsum(totals, axis=1) - totals / 2
    expected = _spread(totals, positions, np.ones(len(totals)))
    width = table.shape[1]
    pairs = table[:, :, None] * table[:, None, :] / (table.sum(axis=1) - 1)[:, None, None]
    together = (weights @ pairs.reshape(len(table), width * width)).reshape(len(weights), width, width)
    distance = (positions[:, :, None] - positions[:, None, :]) ** 2
    return (together * distance).sum(axis=(1, 2)), expected


def icc_agreement(ratings: Array, weights: Array) -> Array:
    """Return ICC(2,1), also called ICC(A,1): absolute agreement of single ratings, raters being a sample (Shrout & Fleiss 1979).

    Args:
        ratings: (raters, units), without gaps.
        weights: how often each unit counts, (resamples, units).

    Returns:
        (resamples,), at most 1; NaN with fewer than two units or without any variance.

    Raises:
        ValueError: if a rating is missing or there is one rater only.

    >>> shrout_fleiss = np.array([[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]])
    >>> icc_agreement(shrout_fleiss, np.ones((1, 6))).round(2).tolist()
    [0.29]
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    raters = ratings.shape[0]
    if raters < 2 or np.isnan(ratings).any():
        raise ValueError("the intraclass correlation needs two or more raters and a rating in every place")
    weights = np.asarray(weights, dtype=np.float64)
    centred = ratings - (ratings.flat[0] if ratings.size else 0.0)
    units = weights.sum(axis=1)
    by_rater = ratio(weights @ centred.T, units[:, None])
    grand = by_rater.mean(axis=1)
    between = raters * (weights @ centred.mean(axis=0) ** 2 - units * grand**2)
    columns = units * ((by_rater - grand[:, None]) ** 2).sum(axis=1)
    residual = weights @ (centred**2).sum(axis=0) - raters * units * grand**2 - between - columns
    mean_between = ratio(between, units - 1)
    mean_residual = ratio(residual, (units - 1) * (raters - 1))
    mean_columns = columns / (raters - 1)
    bottom = mean_between + (raters - 1) * mean_residual + raters * ratio(mean_columns - mean_residual, units)
    return ratio(mean_between - mean_residual, bottom)


def limits_of_agreement(one: Array, other: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Return bias and 95 % limits of agreement of two ways of measuring (Bland & Altman 1986): mean difference, -/+ 1.96 SD.

    Args:
        one: measurements, (rows,); NaN: the row does not enter.
        other: measurements of the same things, (rows,).
        weights: how often each row counts, (resamples, rows).

    Returns:
        Mean of one - other, lower and upper limit, each (resamples,); NaN with fewer than two rows.

    Raises:
        ValueError: if shapes differ.

    >>> bias, low, high = limits_of_agreement(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]), np.ones((1, 3)))
    >>> bias.tolist(), low.round(2).tolist(), high.round(2).tolist()
    ([0.0], [-1.96], [1.96])
    """
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"two measurements of the same rows are needed, not {one.shape} and {other.shape}")
    known = ~(np.isnan(one) | np.isnan(other))
    difference, weights = (one - other)[known], np.asarray(weights, dtype=np.float64)[:, known]
    n = weights.sum(axis=1)
    bias = ratio(weights @ difference, n)
    spread = (weights * (difference - bias[:, None]) ** 2).sum(axis=1)
    deviation = np.sqrt(ratio(spread, np.maximum(n - 1, 0)))
    bias = np.where(np.isnan(deviation), np.nan, bias)
    return bias, bias - 1.96 * deviation, bias + 1.96 * deviation


def same_share(ratings: Array, weights: Array) -> Array:
    """Return the mean share of pairs of ratings of one unit that are equal, over units rated twice or more.

    Args:
        ratings: (raters, units), NaN where a rater did not rate.
        weights: how often each unit counts, (resamples, units).

    Returns:
        (resamples,), 0 to 1; NaN where nothing is rated twice.

    >>> same_share(np.array([[1, 2, 3], [1, 2, np.nan], [1, 3, np.nan]]), np.ones((1, 3))).round(4).tolist()
    [0.6667]
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    known = (~np.isnan(ratings)).sum(axis=0)
    values = np.unique(ratings[~np.isnan(ratings)])
    counts = (ratings[:, :, None] == values).sum(axis=0)
    paired = known >= 2
    shares = (counts * (counts - 1)).sum(axis=1)[paired] / (known * (known - 1))[paired]
    weights = np.asarray(weights, dtype=np.float64)[:, paired]
    return ratio(weights @ shares, weights.sum(axis=1))
