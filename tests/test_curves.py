"""Learning curves: through the scores in order of shots, and nothing drawn where there is none."""

from __future__ import annotations

import pytest

from medbench.cards import ScoreFacts
from medbench.curves import learning_curves
from medbench.record import Score


def facts(one):
    return ScoreFacts(primary=one.name == "accuracy", label="accuracy")


def point(shots, value, name="accuracy", **more):
    return Score(metric="m", name=name, value=value, low=value - 0.1, high=value + 0.1, condition={"shots": shots, "head": "mlp"}, **more)


def test_a_curve_goes_through_its_scores_in_order_of_shots():
    scores = [point("all", 0.9), point(100, 0.8), point(10, 0.5, repeats=5), point(10, 0.1, name="other")]
    (curve,) = learning_curves(scores, facts, n_train=5000)
    (line,) = curve.lines
    assert line.label == "head=mlp"
    assert line.x == (10.0, 100.0, 5000.0)
    assert line.y == (0.5, 0.8, 0.9)
    assert (line.low[0], line.high[0]) == (pytest.approx(0.4), pytest.approx(0.6))
    assert curve.log_x
    assert "mean of up to 5 draws" in curve.note


def test_nothing_is_drawn_of_one_point_or_of_subgroups():
    assert list(learning_curves([point(10, 0.5)], facts)) == []
    assert list(learning_curves([point(10, 0.5), point("all", 0.9)], facts, n_train=0)) == []
    assert list(learning_curves([point(10, 0.5, subgroup={"sex": "F"}), point(20, 0.5, subgroup={"sex": "F"})], facts)) == []
    assert list(learning_curves([Score(metric="m", name="accuracy", value=1.0)], facts)) == []
