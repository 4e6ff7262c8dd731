"""Confidence intervals that keep the rows of one group together and say how they were made."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from medbench.stats.bootstrap import Array, once, percentile_interval, replicate
from medbench.stats.distributions import normal_cdf, normal_quantile, t_quantile
from medbench.types import Struct


class Interval(Struct, frozen=True):
    """Bounds and how they were made; bounds of None: there is no interval, `note` says why."""

    low: float | None
    high: float | None
    level: float
    method: str
    note: str = ""


def bootstrap(
    statistic: Callable[[Array], Array],
    index: Array,
    *,
    kind: Literal["percentile", "bca"] = "percentile",
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return a clustered bootstrap interval: groups are drawn whole, with replacement.

    Not for medians or other quantiles, whose replicates sit on a few of the data's own values: `median` is.

    Args:
        statistic: from weights (resamples, rows) to values (resamples,).
        index: the group of each row, (rows,), numbered from 0.
        kind: `percentile` (Efron 1979), or `bca`: bias-corrected and accelerated (Efron 1987), the acceleration from leaving
            out one group at a time, so as many evaluations again as there are groups.
        resamples: number of resamples.
        seed: seed of the draws.
        level: nominal coverage, between 0 and 1.

    >>> values, index = np.arange(40.0), np.arange(40) // 2
    >>> mean = lambda weights: weights @ values / weights.sum(axis=1)
    >>> interval = bootstrap(mean, index, resamples=200, seed=1)
    >>> round(interval.low, 4), round(interval.high, 4), interval.method
    (14.1925, 24.615, 'percentile bootstrap: 200 resamples of 20 groups, seed 1')
    """
    groups = int(index.max()) + 1 if len(index) else 0
    method = f"{kind} bootstrap: {resamples} resamples of {groups} groups, seed {seed}"
    if groups < 2:
        return Interval(low=None, high=None, level=level, method=method, note="fewer than two groups")
    replicates = replicate(statistic, index, resamples=resamples, seed=seed)
    undefined = int(np.isnan(replicates).sum())
    if kind == "percentile":
        bounds = percentile_interval(replicates, level)
    else:
        point = float(np.asarray(statistic(once(len(index))))[0])
        bounds = bca_interval(point, replicates, leave_one_out(statistic, index), level)
    return _interval(bounds, level, method, f"undefined in {undefined} resamples" if undefined else "")


def _interval(bounds: tuple[float, float] | None, level: float, method: str, note: str) -> Interval:
    if bounds is None:
        return Interval(low=None, high=None, level=level, method=method, note=note or "not enough defined or distinct resamples")
    return Interval(low=bounds[0], high=bounds[1], level=level, method=method, note=note)


def leave_one_out(statistic: Callable[[Array], Array], index: Array, block: int = 128) -> Array:
    """Return a figure's value without each group in turn, (groups,): its jackknife.

    >>> values = np.array([1.0, 2.0, 6.0])
    >>> leave_one_out(lambda w: w @ values / w.sum(axis=1), np.array([0, 1, 1])).tolist()
    [4.0, 1.0]
    """
    groups = np.arange(int(index.max()) + 1)
    starts = range(0, len(groups), block)
    return np.concatenate([np.asarray(statistic((groups[s : s + block, None] != index).astype(np.float64))) for s in starts])


def bca_interval(point: float, replicates: Array, jackknife: Array, level: float = 0.95) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated interval (Efron 1987; ties counted half, as in Efron & Tibshirani 1993, 14.14).

    Args:
        point: the figure on the sample itself.
        replicates: the figure under each resample; NaN is dropped.
        jackknife: the figure without each group; NaN is dropped.
        level: nominal coverage, between 0 and 1.

    Returns:
        Low and high; None if fewer than half of the replicates are defined, all lie on one side of `point`, or the
        acceleration is too great for an order of the bounds.

    >>> replicates = np.linspace(0.0, 1.0, 1001)
    >>> bca_interval(0.5, replicates, np.array([0.4, 0.5, 0.6]), level=0.5)
    (0.25, 0.75)
    >>> low, high = bca_interval(0.6, replicates, np.array([0.4, 0.5, 0.9]), level=0.5)
    >>> round(low, 4), round(high, 4)
    (0.4291, 0.8716)
    """
    defined = replicates[~np.isnan(replicates)]
    if defined.size < 2 or 2 * defined.size < replicates.size:
        return None
    below = float((defined < point).mean() + (defined == point).mean() / 2)
    if below in {0.0, 1.0}:
        return None
    bias = normal_quantile(below)
    pulls = jackknife[~np.isnan(jackknife)]
    pulls = pulls.mean() - pulls
    spread = float((pulls**2).sum())
    acceleration = float((pulls**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0

    z = normal_quantile((1 + level) / 2)
    if abs(acceleration) * (abs(bias) + z) >= 1:
        return None

    def adjusted(z: float) -> float:
        return normal_cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))

    low, high = np.quantile(defined, [adjusted(-z), adjusted(z)])
    return float(low), float(high)


def standard_error(values: Array, index: Array) -> tuple[float, float, int]:
    """Return mean, cluster-robust standard error of the mean, and number of groups.

    The sandwich estimate with the factor G/(G-1) (Liang & Zeger 1986; Miller 2024, arXiv 2411.00640).

    Args:
        values: one value per row, (rows,); NaN: the row does not enter.
        index: the group of each row, (rows,), numbered from 0.

    >>> standard_error(np.array([1.0, 3.0, 5.0]), np.array([0, 1, 1]))
    (3.0, 1.3333333333333333, 2)
    """
    kept = ~np.isnan(values)
    values, (_, index) = values[kept], np.unique(index[kept], return_inverse=True)
    if not values.size:
        return math.nan, math.nan, 0
    mean = float(values.mean())
    sums = np.bincount(index, values - mean)
    groups = len(sums)
    scale = groups / (groups - 1) if groups > 1 else math.nan
    return mean, math.sqrt(scale * float(sums @ sums)) / values.size, groups


def cluster_t(values: Array, index: Array, level: float = 0.95) -> Interval:
    """Return the cluster-robust t interval of a mean, with one degree of freedom less than there are groups.

    Args:
        values: one value per row, (rows,); NaN: the row does not enter.
        index: the group of each row, (rows,), numbered from 0.
        level: nominal coverage, between 0 and 1.

    >>> interval = cluster_t(np.array([1.0, 2.0, 4.0, 5.0]), np.array([0, 1, 2, 3]))
    >>> round(interval.low, 4), round(interval.high, 4), interval.method
    (0.0948, 5.9052, 'cluster-robust t: 4 groups')
    """
    mean, error, groups = standard_error(values, index)
    method = f"cluster-robust t: {groups} groups"
    if groups < 2:
        return Interval(low=None, high=None, level=level, method=method, note="fewer than two groups")
    half = t_quantile((1 + level) / 2, groups - 1) * error
    return Interval(low=mean - half, high=mean + half, level=level, method=method)


def logit_interval(point: float, error: float, level: float = 0.95) -> tuple[float, float] | None:
    """Return a normal interval made on the logit scale, so that it stays within 0 and 1 and leans as a rate does.

    Args:
        point: estimate, between 0 and 1.
        error: its standard error, on its own scale.
        level: nominal coverage, between 0 and 1.

    Returns:
        Low and high; None where the logit is infinite (0 and 1) or the error undefined.

    >>> low, high = logit_interval(0.9, 0.03)
    >>> round(low, 4), round(high, 4)
    (0.824, 0.9453)
    """
    if not 0 < point < 1 or math.isnan(error):
        return None
    centre = math.log(point / (1 - point))
    half = normal_quantile((1 + level) / 2) * error / (point * (1 - point))
    return 1 / (1 + math.exp(half - centre)), 1 / (1 + math.exp(-half - centre))


def median(values: Array, index: Array, level: float = 0.95) -> Interval:
    """Return an interval of the median by inverting the share of values below it (Woodruff 1952), never by a bootstrap.

    The replicates of a bootstrapped median sit on a few of the data's own values, and its interval can fail badly.

    Args:
        values: one value per row, (rows,); NaN: the row does not enter.
        index: the group of each row, (rows,), numbered from 0.
        level: nominal coverage, between 0 and 1.

    >>> interval = median(np.arange(101.0), np.arange(101))
    >>> interval.low, interval.high, interval.method
    (40.0, 60.0, 'median by Woodruff: 101 groups')
    """
    kept = ~np.isnan(values)
    values, index = values[kept], index[kept]
    below = np.where(values < (middle := float(np.median(values)) if values.size else math.nan), 1.0, 0.0) + (values == middle) / 2
    share, error, groups = standard_error(below, index)
    method = f"median by Woodruff: {groups} groups"
    half = t_quantile((1 + level) / 2, groups - 1) * error if groups > 1 else math.nan
    if not (half < share and share + half < 1):
        return Interval(low=None, high=None, level=level, method=method, note="too few groups for an interval of the median")
    ordered, last = np.sort(values), values.size - 1
    low, high = math.floor((share - half) * last), math.ceil((share + half) * last)
    return Interval(low=float(ordered[low]), high=float(ordered[high]), level=level, method=method)


def boundary_interval(value: float, groups: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a rate that is 0 or 1 in every group (Clopper and Pearson 1934).

    A bootstrap of rows that are all alike has no width and would claim certainty; with `groups` independent groups a rate of
    up to 1 - (alpha / 2)^(1 / groups) could still have shown nothing.

    Args:
        value: 0 or 1.
        groups: number of independent groups, 1 or more.
        level: nominal coverage, between 0 and 1.

    Raises:
        ValueError: if `value` is neither.

    >>> [round(bound, 4) for bound in boundary_interval(0.0, groups=20)]
    [0.0, 0.1684]
    """
    if value not in (0.0, 1.0):
        raise ValueError(f"{value} is not at a bound")
    reach = 1.0 - ((1.0 - level) / 2) ** (1.0 / groups)
    return (0.0, reach) if value == 0.0 else (1.0 - reach, 1.0)
