"""Which test suits which score: areas by DeLong, shares by McNemar, the rest by bootstrap or by exchanging outputs."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from medbench.measuring import Array, take
from medbench.pooling import Pair
from medbench.reducing import Target
from medbench.report.measured import own_values
from medbench.stats.delong import auroc_difference
from medbench.stats.paired import Comparison, mcnemar, randomisation, sign_flip

Test = Literal["bootstrap", "randomisation"]
TESTS: tuple[Test, ...] = ("bootstrap", "randomisation")
TRIALS = 9_999


def tested(pair: Pair, name: str, test: Test, seed: int) -> Comparison | None:
    """Return the test of one score's difference; None: the bootstrap that made its interval has its p-value, too.

    Args:
        pair: One and other, over the same samples in the same order.
        name: The score.
        test: What is done where the score is neither an area nor a share.
        seed: Seed of random exchanges.
    """
    one, other = pair
    if type(one) is not Target or not len(one.rows):
        return None
    index = clusters(one)
    areas = [_ranked(side, name) for side in pair]
    if areas[0] is not None and areas[1] is not None:
        truth, mine = areas[0]
        return auroc_difference(truth, mine, areas[1][1], index)
    values = [_means(side, name) for side in pair]
    if values[0] is not None and values[1] is not None:
        if all(set(np.unique(v[np.isfinite(v)]).tolist()) <= {0.0, 1.0} for v in values if v is not None):
            return mcnemar(values[0], values[1], index)
        if test == "randomisation":
            return sign_flip(values[0] - values[1], np.arange(len(one.rows)) if index is None else index, trials=TRIALS, seed=seed)
    return _exchanged(one, other, name, seed) if test == "randomisation" else None


def clusters(target: Target) -> Array | None:
    """Return the group of each row, numbered from 0; None where every row is a group of its own."""
    numbered = np.unique(target.groups, return_inverse=True)[1]
    return None if len(numbered) == 0 or numbered.max() + 1 == len(numbered) else numbered


def _ranked(side: Target, name: str) -> tuple[Array, Array] | None:
    """Return truth and probability of the rows, where the score is the area under one ROC curve."""
    if not hasattr(side.one.metric, "ranked"):
        return None
    found: tuple[Array, Array] | None = side.one.metric.ranked(take(side.one.rows, side.rows), name)
    return found


def _means(side: Target, name: str) -> Array | None:
    """Return each row's own value, where the score is nothing but their mean."""
    values = own_values(side.one).get(name)
    value = side.value(name)
    if values is None or value is None:
        return None
    own = values[side.rows]
    return own if np.isfinite(own).any() and abs(float(np.nanmean(own)) - value) < 1e-9 else None


def _exchanged(one: Target, other: Target, name: str, seed: int) -> Comparison:
    """Return the test of a figure that is no mean: outputs are exchanged group by group, the figure computed anew each time."""
    rows = joined(take(one.one.rows, one.rows), take(other.one.rows, other.rows))
    metric = one.one.metric

    def statistic(weights: Array) -> Array:
        return np.asarray(metric.reduce(rows, weights)[name][0])

    index = clusters(one)
    return randomisation(statistic, np.arange(len(one.rows)) if index is None else index, trials=TRIALS, seed=seed)


def joined(one: Any, other: Any) -> Any:
    """Return the rows of one run followed by those of another, arrays and lists alike."""
    return np.concatenate([one, other]) if isinstance(one, np.ndarray) else [*one, *other]
