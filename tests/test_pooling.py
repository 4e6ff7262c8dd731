"""Repetitions taken together: values, intervals and spread of a mean over seeds."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.cards import MetricCard
from medbench.metric_plans import MetricPlan
from medbench.scoring import Scored, score
from medbench.types import Prediction, Probabilities, Sample

SAMPLES = [
    Sample(id=str(n), group=f"g{n % 25}", split="test", labels={"x": float(n % 2)}, meta={"sex": "F" if n < 25 else "M"}) for n in range(50)
]


def predictions(shots, seed, wrong, images=None):
    """Right but for the first `wrong` samples."""
    extra = {"images": images} if images else {}
    for n, sample in enumerate(SAMPLES):
        right = sample.labels["x"]
        value = Probabilities(labels=("x",), values=(1 - right if n < wrong else right,))
        yield Prediction(sample=sample.id, value=value, condition={"shots": shots, "seed": seed, **extra})


@pytest.fixture
def scored(tmp_path, registry):
    def run(made, **options):
        card = registry.get(MetricCard, "accuracy")
        plan = MetricPlan(card=card, convention={}, options={})
        for event in score(SAMPLES, made, [plan], tmp_path, seed=0, salt="s", **options):
            if isinstance(event, Scored):
                return event
        raise AssertionError

    return run


def named(scores, name="accuracy", **condition):
    found = [one for one in scores if one.name == name and one.condition == condition and not one.subgroup]
    assert len(found) == 1
    return found[0]


def test_a_score_is_the_mean_over_seeds_with_the_spread_beside(scored):
    made = [p for seed, wrong in enumerate((5, 10, 30)) for p in predictions(10, seed, wrong)]
    one = named(scored(made, over=("seed",)).scores, shots=10)
    values = [0.9, 0.8, 0.4]
    assert one.value == pytest.approx(np.mean(values))
    assert one.spread == pytest.approx(np.std(values, ddof=1))
    assert (one.repeats, one.n, one.n_groups) == (3, 50, 25)
    assert one.low < one.value < one.high
    assert one.method.endswith("of the mean of 3 repetitions")


def test_the_interval_is_that_of_the_mean_under_shared_resamples(scored):
    alone = named(scored(list(predictions(10, 0, 10))).scores, shots=10, seed=0)
    twice = named(scored([*predictions(10, 0, 10), *predictions(10, 1, 10)], over=("seed",)).scores, shots=10)
    assert (twice.value, twice.low, twice.high) == (alone.value, alone.low, alone.high)
    assert twice.spread == 0


def test_one_repetition_is_a_score_like_any_other(scored):
    one = named(scored(list(predictions("all", 0, 5)), over=("seed",)).scores, shots="all")
    assert (one.repeats, one.spread, one.value) == (1, None, 0.9)


def test_conditions_that_repeat_nothing_stay_apart(scored):
    made = [*predictions(10, 0, 25), *predictions(50, 0, 5), *predictions(10, 1, 25)]
    found = scored(made, over=("seed",)).scores
    assert named(found, shots=10).value == 0.5
    assert named(found, shots=50).value == 0.9


def test_subgroups_and_image_conditions_are_pooled_too(scored):
    made = [p for seed in (0, 1) for p in (*predictions(10, seed, 5 + seed), *predictions(10, seed, 30 + seed, images="blank"))]
    found = scored(made, over=("seed",), by=("sex",))
    women = [one for one in found.scores if one.subgroup == {"sex": "F"} and one.name == "accuracy" and "images" not in one.condition]
    assert [round(one.value, 6) for one in women] == [round(1 - 5.5 / 25, 6)]
    differences = [one for one in found.contrasts if one.name == "accuracy" and "images=blank" in one.one and not one.condition]
    blank = [one for one in differences if "sex" not in one.one]
    assert [round(one.difference, 6) for one in blank] == [-0.5]
    assert all("seed" not in one.one + one.other for one in found.contrasts)


def test_an_undefined_repetition_leaves_the_mean_undefined(tmp_path, registry):
    card = registry.get(MetricCard, "auroc")
    one_kind = [s for s in SAMPLES if s.labels["x"] == 1]
    made = [p for seed in (0, 1) for p in predictions(10, seed, 5) if p.sample in {s.id for s in one_kind}]
    events = score(one_kind, made, [MetricPlan(card=card, convention={}, options={})], tmp_path, seed=0, salt="t", over=("seed",))
    found = next(event for event in events if isinstance(event, Scored))
    assert all(one.value is None and one.low is None and one.note for one in found.scores)
