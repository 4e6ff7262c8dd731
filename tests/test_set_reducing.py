"""Sets reduced together: sub-samples say how a value varies, by group, and subgroups have real sets of their own."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from medbench.cards import MetricCard, ScoreFacts
from medbench.interfaces import Reals
from medbench.set_reducing import SUBSAMPLES, SetTarget
from medbench.types import Sample

FACTS = {"gap": ScoreFacts(unit="score", low=None, high=None), "share": ScoreFacts(unit="fraction")}
CARD = MetricCard(name="m", load="x:y", takes=("picture",), scores=FACTS, weighted=False)


class Means:
    """Difference of means, and the share of drawn values above -100: always all of them."""

    def reduce_sets(self, rows, drawn, real):
        return {"gap": float(rows["drawn"][drawn].mean() - rows["real"][real].mean()), "share": float((rows["drawn"][drawn] > -100).mean())}


class Quick(Means):
    """Has a way of its own for sub-samples, and takes a tenth."""

    def __init__(self):
        self.asked = []

    def fraction(self, rows, drawn, real):
        return 0.1 if len(drawn) > 100 else 0.5

    def reduce_part(self, rows, drawn, real, names):
        self.asked.append((len(drawn), len(real), names))
        return {name: self.reduce_sets(rows, drawn, real)[name] for name in names}

    def notes(self, rows, drawn, real):
        return {"gap": f"{len(real)} real"}


def samples(count, each=1, start=0, **meta):
    return [Sample(id=f"s{start}-{n}", group=f"g{start + n // each}", split="test", meta=meta) for n in range(count)]


def target(metric, drawn, real, drawn_samples, reals, subgroup=None, chosen=None, card=CARD):
    nothing = np.zeros(len(drawn), bool)
    one = SimpleNamespace(
        plan=SimpleNamespace(card=card),
        metric=metric,
        rows={"drawn": drawn, "real": real},
        samples=drawn_samples,
        reals=Reals(evaluated=tuple(reals)),
        condition={},
        convention={},
        failed=nothing,
        empty=nothing,
        truncated=nothing,
        unmeasured=[],
        flag=lambda name: nothing,
        lacking=dict,
    )
    rows = np.arange(len(drawn)) if chosen is None else np.asarray(chosen)
    return SetTarget(one, rows, rows, subgroup or {}, sorted({s.group for s in drawn_samples}), seed=0)


def scores(made):
    return {score.name: score for score in made.scores(lambda n: "")}


def half_width(score):
    return (score.high - score.low) / 2 / 1.959964


def test_the_spread_is_that_of_the_value():
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        made = target(Means(), rng.normal(size=200), rng.normal(size=100), samples(200), samples(100, start=1000))
        found.append(half_width(scores(made)["gap"]))
    assert np.mean(found) == pytest.approx(np.sqrt(1 / 200 + 1 / 100), rel=0.1)


def test_a_small_part_is_scaled_to_the_whole():
    rng = np.random.default_rng(1)
    made = target(Quick(), rng.normal(size=1000), rng.normal(size=1000), samples(1000), samples(1000, start=5000))
    assert half_width(scores(made)["gap"]) == pytest.approx(np.sqrt(2 / 1000), rel=0.35)
    assert "100 drawn and 100 real" in scores(made)["gap"].method


def test_pictures_of_one_group_are_no_independent_draws():
    rng = np.random.default_rng(2)
    drawn = np.repeat(rng.normal(size=50), 4)  # four alike in each group
    apart = target(Means(), drawn, np.zeros(100), samples(200), samples(100, start=1000))
    grouped = target(Means(), drawn, np.zeros(100), samples(200, each=4), samples(100, start=1000))
    assert half_width(scores(grouped)["gap"]) == pytest.approx(drawn.std() / np.sqrt(50), rel=0.35)
    assert half_width(scores(grouped)["gap"]) > 1.5 * half_width(scores(apart)["gap"])


def test_the_drawn_and_the_real_picture_of_a_group_are_taken_together():
    rng = np.random.default_rng(3)
    real = rng.normal(size=100)
    made = target(Means(), real + 0.01 * rng.normal(size=100), real, samples(100), samples(100))
    assert half_width(scores(made)["gap"]) < 0.005  # apart: 0.14


def test_the_interval_holds_its_value_and_a_rate_that_never_varied_gets_its_exact_one():
    rng = np.random.default_rng(4)
    found = scores(target(Means(), rng.normal(size=60), rng.normal(size=30), samples(60), samples(30, start=1000)))
    assert found["gap"].low < found["gap"].value < found["gap"].high
    assert (found["share"].value, found["share"].high) == (1, 1)
    assert found["share"].low == pytest.approx(0.025 ** (1 / 30))  # of the smaller side
    assert "Clopper-Pearson" in found["share"].method


def test_a_subgroup_has_a_real_set_of_its_own_and_a_part_of_its_own_size():
    rng, metric = np.random.default_rng(5), Quick()
    reals = [*samples(300, start=1000, centre="a"), *samples(40, start=2000, centre="b"), *samples(5, start=3000)]
    drawn = [*samples(500, centre="a"), *samples(60, start=600, centre="b")]
    made = target(metric, rng.normal(size=560), rng.normal(size=345), drawn, reals, {"centre": "b"}, np.arange(500, 560))
    gap = scores(made)["gap"]
    assert gap.note == "40 real"
    assert gap.n == 60
    assert metric.asked == [(30, 20, ("gap", "share"))] * SUBSAMPLES
    assert gap.low < gap.value < gap.high


def test_a_column_that_no_real_picture_has_divides_the_drawn_ones_alone():
    made = target(Means(), np.arange(20.0), np.arange(10.0), samples(20, kind="x"), samples(10, start=1000), {"kind": "x"})
    assert len(made.real) == 10
    absent = target(Means(), np.arange(20.0), np.arange(10.0), samples(20, kind="x"), samples(10, start=1000, kind="y"), {"kind": "x"})
    assert absent.point == {}
    assert scores(absent) == {}


class Undefined(Means):
    def reduce_sets(self, rows, drawn, real):
        return {"gap": float("nan")}

    def notes(self, rows, drawn, real):
        return {"gap": "said of it"}


def test_few_pictures_have_no_interval_and_an_undefined_value_says_so():
    few = scores(target(Means(), np.arange(6.0), np.arange(6.0), samples(6), samples(6, start=1000)))["gap"]
    assert (few.low, few.note) == (None, "no interval: too few pictures")
    undefined = scores(target(Undefined(), np.arange(60.0), np.arange(60.0), samples(60), samples(60, start=1000)))["gap"]
    assert (undefined.value, undefined.note) == (None, "undefined: too few pictures; said of it")
