"""Matching and retrieval scores against counts over lists, hostile rankings among them."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.builtin.metrics.rankings import Matching, Retrieval, weighted_median
from medbench.cards import MetricCard
from medbench.errors import DataError, PluginError
from medbench.testing import check_metric
from medbench.types import Pair, Ranking, Sample, Text


def pair(number, **ranking):
    return Pair(Sample(id=str(number), group=str(number), split="test"), Ranking(top=(), **ranking))


RANKS = [(1, 2), (3, 3), (12, 20), (1, 1), (6, 9)]
PAIRS = [pair(n, rank=r, strict_rank=s, probability=1 / (r + 1), strict_probability=1 / (s + 1), pool=64) for n, (r, s) in enumerate(RANKS)]


def test_promises_of_the_cards(registry):
    found = check_metric(registry.get(MetricCard, "matching"), PAIRS)
    assert found["accuracy"] == 2 / 5
    assert found["strict-accuracy"] == 1 / 5
    assert found["mean-rank"] == pytest.approx(23 / 5)
    assert found["probability"] == pytest.approx(sum(1 / (r + 1) for r, _ in RANKS) / 5)
    found = check_metric(registry.get(MetricCard, "retrieval"), PAIRS)
    assert [found[f"recall-at-{k}"] for k in (1, 5, 10)] == [2 / 5, 3 / 5, 4 / 5]
    assert [found[f"strict-recall-at-{k}"] for k in (1, 5, 10)] == [1 / 5, 3 / 5, 4 / 5]
    assert (found["median-rank"], found["strict-median-rank"]) == (3, 3)
    assert found["mrr"] == pytest.approx(sum(1 / r for r, _ in RANKS) / 5)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.none() | st.integers(1, 30), st.none() | st.floats(0, 1)), min_size=1, max_size=12),
    st.data(),
)
@settings(max_examples=120, deadline=None)
def test_scores_are_those_of_the_rows_repeated_as_often_as_they_weigh(rankings, data):
    pairs = [pair(n, rank=rank, strict_rank=strict, probability=given) for n, (rank, strict, given) in enumerate(rankings)]
    weights = np.array([data.draw(st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs)))])
    matching, retrieval = Matching(), Retrieval()
    found = {**matching.reduce(matching.measure(pairs), weights), **retrieval.reduce(retrieval.measure(pairs), weights)}
    repeated = [one for one, weight in zip(rankings, weights[0], strict=True) for _ in range(weight)]

    def same(name, expected):
        value = found[name][0][0]
        assert (np.isnan(value) and expected is None) or value == pytest.approx(expected), name

    same("accuracy", statistics.fmean(rank == 1 for rank, _, _ in repeated) if repeated else None)
    same("mrr", statistics.fmean(1 / rank for rank, _, _ in repeated) if repeated else None)
    same("median-rank", statistics.median(rank for rank, _, _ in repeated) if repeated else None)
    strict = [one for _, one, _ in repeated if one is not None]
    if any(one is not None for _, one, _ in rankings):
        same("strict-recall-at-5", statistics.fmean(one <= 5 for one in strict) if strict else None)
    else:
        assert not any(name.startswith("strict-") for name in found)
    given = [one for _, _, one in repeated if one is not None]
    if any(one is not None for _, _, one in rankings):
        same("probability", statistics.fmean(given) if given else None)
    else:
        assert "probability" not in found


@given(st.lists(st.floats(-100, 100) | st.just(float("nan")), max_size=9), st.data())
@settings(max_examples=100, deadline=None)
def test_the_weighted_median_is_that_of_repeated_values(values, data):
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values)))
    repeated = [v for v, w in zip(values, weights, strict=True) for _ in range(w) if not np.isnan(v)]
    found = weighted_median(np.array(values, dtype=float), np.array([weights], dtype=float).reshape(1, len(values)))[0]
    assert np.isnan(found) if not repeated else found == pytest.approx(statistics.median(repeated))


def test_how_many_candidates_there_were_is_on_record():
    metric = Retrieval()
    metric.measure(PAIRS)
    assert metric.signature()["candidates"] == "64"
    metric.measure([*PAIRS, pair(9, rank=1, pool=10)])
    assert metric.signature()["candidates"] == "10 to 64"


@pytest.mark.parametrize(
    ("ranking", "said"),
    [
        ({"rank": 0}, "the rank 0"),
        ({"rank": 5, "pool": 4}, "the rank 5 among 4"),
        ({"rank": 1, "strict_rank": -2}, "the rank -2"),
        ({"rank": 1, "probability": 1.5}, "the probability 1.5"),
        ({"rank": 1, "probability": 0.1, "strict_probability": -0.5}, "the probability -0.5"),
    ],
)
def test_rankings_that_cannot_be_are_refused(ranking, said):
    with pytest.raises(DataError, match=said):
        Matching().measure([pair(0, **ranking)])


def test_what_is_no_ranking_is_the_protocols_fault():
    with pytest.raises(PluginError, match="sample 0 is a Text"):
        Retrieval().measure([Pair(Sample(id="0", group="0", split="test"), Text(text="x"))])
