"""Where right partners stand: accuracy and probability in a batch, recall and rank in a whole split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from medbench.errors import DataError, PluginError
from medbench.stats.labels import ratio
from medbench.types import Pair, Ranking

Array = np.ndarray[Any, np.dtype[Any]]
Values = dict[str, tuple[Array, Array]]

STRICT = "strict-"
"""Names that begin so count the own partner alone, where the others count every candidate with an equal caption."""

_ROW = np.dtype(
    [("rank", np.int64), ("strict", np.int64), ("pool", np.int64), ("probability", np.float64), ("strict_probability", np.float64)]
)


class _Ranked:
    """Measures rankings; a subclass says what the numbers are."""

    NAME: ClassVar[str]

    def __init__(self, *, convention: Mapping[str, str] | None = None) -> None:
        del convention  # these metrics have one way of computing each score
        self._stated: dict[str, Any] = {}

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return one record per pair, in order: ranks (-1 unknown), number of candidates (0 unknown), probabilities (NaN unknown).

        Raises:
            PluginError: a prediction is no ranking.
            DataError: a rank is below 1 or beyond the candidates, or a probability is not within 0 and 1.
        """
        rows = np.array([_row(pair, self.NAME) for pair in pairs], dtype=_ROW)
        pools = sorted({int(pool) for pool in rows["pool"] if pool})
        sizes = {"candidates": f"{pools[0]} to {pools[-1]}" if len(pools) > 1 else str(pools[0])} if pools else {}
        self._stated = {**sizes, "ties": "count against the right candidate", "strict": "the own partner alone is right"}
        return rows

    def signature(self) -> dict[str, Any]:
        """Return among how many candidates was looked, and what ties and equal captions count."""
        return self._stated


class Matching(_Ranked):
    """How well the partners of a batch are told apart.

    `accuracy` is the share of queries whose best right candidate comes first, `probability` the mean probability of the right
    candidates, `mean-rank` the mean rank of the best right one. The same with `strict-` count the own partner alone.

    >>> from medbench.types import Sample
    >>> sample = Sample(id="1", group="1", split="test")
    >>> metric = Matching()
    >>> rows = metric.measure([Pair(sample, Ranking(rank=rank, top=(), probability=p)) for rank, p in ((1, 0.5), (3, 0.1))])
    >>> {name: float(values[0]) for name, (values, _) in metric.reduce(rows, np.ones((1, 2))).items()}
    {'accuracy': 0.5, 'probability': 0.3, 'mean-rank': 2.0}
    """

    NAME = "matching"

    def reduce(self, rows: Any, weights: Any) -> Values:
        """Return score name -> (values of shape (resamples,), boolean mask of the rows that enter)."""
        made: Values = {}
        for prefix, ranks, given in _variants(rows):
            probability = rows[given]
            made[f"{prefix}accuracy"] = _mean(_at_most(ranks, 1), weights)
            if not np.isnan(probability).all():
                made[f"{prefix}probability"] = _mean(probability, weights)
            made[f"{prefix}mean-rank"] = _mean(ranks, weights)
        return made

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return whether each query's right candidate comes first, and its rank."""
        ranks = _known(rows["rank"])
        return {"accuracy": _at_most(ranks, 1), "mean-rank": ranks}


class Retrieval(_Ranked):
    """How early the right candidate comes among all of the split.

    `recall-at-K` is the share of queries with a right candidate among the first K, `mrr` the mean of 1 / rank, `median-rank`
    the median rank of the best right one. The same with `strict-` count the own partner alone. Numbers depend on how many
    candidates there are: compare on equal manifests. The interval of a median is rough, since ranks are whole numbers.
    """

    NAME = "retrieval"
    DEPTHS = (1, 5, 10)

    def reduce(self, rows: Any, weights: Any) -> Values:
        """Return score name -> (values of shape (resamples,), boolean mask of the rows that enter)."""
        made: Values = {}
        for prefix, ranks, _ in _variants(rows):
            for depth in self.DEPTHS:
                made[f"{prefix}recall-at-{depth}"] = _mean(_at_most(ranks, depth), weights)
            made[f"{prefix}median-rank"] = (weighted_median(ranks, weights), ~np.isnan(ranks))
            made[f"{prefix}mrr"] = _mean(1 / ranks, weights)
        return made

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return what each query adds to recall, rank and reciprocal rank."""
        ranks = _known(rows["rank"])
        return {**{f"recall-at-{depth}": _at_most(ranks, depth) for depth in self.DEPTHS}, "median-rank": ranks, "mrr": 1 / ranks}


def weighted_median(values: Array, weights: Any) -> Array:
    """Return the median of values that count as often as their weights say, (resamples,); NaN where nothing counts.

    Of an even number it is the mean of the two in the middle, as elsewhere; values that are NaN do not count.

    >>> weighted_median(np.array([1.0, 9.0, 2.0]), np.array([[1, 1, 1], [1, 1, 0], [0, 0, 0]])).tolist()
    [2.0, 5.0, nan]
    """
    known = ~np.isnan(values)
    order = np.argsort(values[known], kind="stable")
    ranked = values[known][order]
    counts = np.asarray(weights, dtype=np.float64)[:, known][:, order].cumsum(axis=1)
    if not ranked.size:
        return np.full(len(counts), np.nan)
    half = counts[:, -1:] / 2
    low, high = (counts >= half).argmax(axis=1), (counts > half).argmax(axis=1)
    return np.where(half[:, 0] > 0, (ranked[low] + ranked[high]) / 2, np.nan)


def _variants(rows: Any) -> list[tuple[str, Array, str]]:
    """Return (prefix of the names, ranks, column of the probabilities); the strict ones where they are known."""
    strict = _known(rows["strict"])
    given = [("", _known(rows["rank"]), "probability")]
    return given if np.isnan(strict).all() else [*given, (STRICT, strict, "strict_probability")]


def _mean(values: Array, weights: Any) -> tuple[Array, Array]:
    known = ~np.isnan(values)
    counts = np.asarray(weights, dtype=np.float64)[:, known]
    return ratio(counts @ values[known], counts.sum(axis=1)), known


def _at_most(ranks: Array, depth: int) -> Array:
    return np.where(np.isnan(ranks), np.nan, (ranks <= depth).astype(np.float64))


def _known(ranks: Array) -> Array:
    return np.where(ranks > 0, ranks.astype(np.float64), np.nan)


def _row(pair: Pair, metric: str) -> tuple[int, int, int, float, float]:
    value = pair.value
    if not isinstance(value, Ranking):
        raise PluginError(
            f"metric {metric} measures rankings; the prediction for sample {pair.sample.id} is a {type(value).__name__}",
            hint="a protocol whose card gives `ranking` must yield Ranking, or Failed, which is not measured",
        )
    strict = -1 if value.strict_rank is None else value.strict_rank
    for rank in (value.rank, *([strict] if value.strict_rank is not None else [])):
        if rank < 1 or (value.pool and rank > value.pool):
            among = f" among {value.pool}" if value.pool else ""
            raise DataError(f"sample {pair.sample.id}: the rank {rank}{among}", hint="1 is the best, the number of candidates the worst")
    given = [np.nan if p is None else float(p) for p in (value.probability, value.strict_probability)]
    wrong = next((p for p in given if p < 0 or p > 1), None)
    if wrong is not None:
        raise DataError(f"sample {pair.sample.id}: the probability {wrong:g}", hint="a number from 0 to 1")
    return value.rank, strict, value.pool, given[0], given[1]
