"""DeLong's and Obuchowski's variances equal their definitions, pair by pair, and keep their level."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medbench.stats import delong as ours
from medbench.stats.bootstrap import once
from medbench.stats.distributions import normal_cdf
from medbench.stats.ranking import auroc


def _data(rows=80, models=3, seed=0):
    rng = np.random.default_rng(seed)
    truth = (rng.random(rows) < 0.3).astype(float)
    return truth, np.round(rng.normal(size=(models, rows)) + truth, 1)


def _kernel(truth, scores):
    """Return the comparison of every positive with every negative, (models, positives, negatives)."""
    return np.sign(scores[:, truth == 1][:, :, None] - scores[:, truth == 0][:, None, :]) / 2 + 0.5


def test_covariance_is_delongs_definition():
    truth, scores = _data()
    pairs = _kernel(truth, scores)
    expected = np.cov(pairs.mean(2)) / pairs.shape[1] + np.cov(pairs.mean(1)) / pairs.shape[2]
    found = ours.delong(truth, scores)
    assert found.values == pytest.approx(pairs.mean((1, 2)), abs=1e-15)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-12)
    assert (found.positives, found.negatives, found.groups) == (pairs.shape[1], pairs.shape[2], 80)


def _obuchowski(truth, scores, index):
    """The formulas of Obuchowski 1997, group by group, for two models."""
    pairs = _kernel(truth, scores)
    areas, (_, m, n) = pairs.mean((1, 2)), pairs.shape
    tens, ones = pairs.mean(2), pairs.mean(1)
    groups = np.unique(index)
    s10, s01, s11 = np.zeros((3, 2, 2))
    with_positive = with_negative = 0
    for group in groups:
        mine_up, mine_down = index[truth == 1] == group, index[truth == 0] == group
        up = tens[:, mine_up].sum(1) - mine_up.sum() * areas
        down = ones[:, mine_down].sum(1) - mine_down.sum() * areas
        with_positive += mine_up.any()
        with_negative += mine_down.any()
        s10 += np.outer(up, up)
        s01 += np.outer(down, down)
        s11 += np.outer(up, down)
    s10 *= with_positive / ((with_positive - 1) * m)
    s01 *= with_negative / ((with_negative - 1) * n)
    s11 *= len(groups) / (len(groups) - 1)
    return s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def test_covariance_with_groups_is_obuchowskis_definition():
    truth, scores = _data(rows=90, models=2)
    index = np.random.default_rng(1).integers(0, 25, 90)
    np.testing.assert_allclose(ours.delong(truth, scores, index).covariance, _obuchowski(truth, scores, index), rtol=1e-10)


def test_rows_that_are_there_twice_teach_nothing_new():
    truth, scores = _data()
    plain = ours.delong(truth, scores)
    doubled = ours.delong(np.tile(truth, 2), np.tile(scores, 2), np.tile(np.arange(80), 2))
    np.testing.assert_allclose(doubled.covariance, plain.covariance, rtol=1e-12)
    assert ours.delong(np.tile(truth, 2), np.tile(scores, 2)).covariance[0][0] < 0.55 * plain.covariance[0][0]


def test_groups_of_one_row_change_nothing():
    truth, scores = _data()
    np.testing.assert_allclose(ours.delong(truth, scores, np.arange(80)).covariance, ours.delong(truth, scores).covariance)


def test_values_are_the_same_as_in_the_bootstrap():
    truth, scores = _data()
    truth[::7] = np.nan
    assert ours.delong(truth, scores).values == pytest.approx([auroc(truth, row, once(80))[0] for row in scores], abs=1e-15)


def test_difference_is_the_normal_test_of_the_covariance():
    truth, scores = _data(models=2)
    pairs = _kernel(truth, scores)
    spread = np.cov(pairs.mean(2)) / pairs.shape[1] + np.cov(pairs.mean(1)) / pairs.shape[2]
    difference = pairs[0].mean() - pairs[1].mean()
    error = math.sqrt(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1])
    found = ours.auroc_difference(truth, *scores)
    assert found.difference == pytest.approx(difference)
    assert found.p == pytest.approx(2 * normal_cdf(-abs(difference) / error))
    assert (found.low, found.high) == pytest.approx((difference - 1.959964 * error, difference + 1.959964 * error), rel=1e-6)
    assert found.method == "DeLong: 80 rows"
    assert ours.auroc_difference(truth, *scores, index=np.arange(80) // 2).method == "Obuchowski: 40 groups"


def test_a_model_does_not_differ_from_itself():
    truth, scores = _data(models=1)
    found = ours.auroc_difference(truth, scores[0], 2 * scores[0] + 1)
    assert (found.difference, found.p) == (0.0, None)
    assert "alike" in found.note


@pytest.mark.parametrize("truth", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [np.nan] * 4])
def test_too_few_of_one_kind_have_no_variance(truth):
    truth, scores = np.array(truth, dtype=float), np.array([0.1, 0.5, 0.2, 0.4])
    interval, difference = ours.auroc_interval(truth, scores), ours.auroc_difference(truth, scores, -scores)
    assert (interval.low, interval.high, difference.low, difference.p) == (None, None, None, None)
    assert "fewer than two" in interval.note
    assert "too few" in difference.note


def test_perfect_separation_has_no_interval():
    assert "do not overlap" in ours.auroc_interval(np.array([0, 0, 1, 1]), np.arange(4.0)).note


@pytest.mark.parametrize(("positives", "flagged"), [(19, True), (20, False)])
def test_few_positives_are_flagged(positives, flagged):
    truth = (np.arange(200) < positives).astype(float)
    note = ours.auroc_interval(truth, np.random.default_rng(0).normal(size=200) + truth).note
    assert note == ("only 19 positives: expect less coverage than stated" if flagged else "")


def test_shapes_must_match():
    with pytest.raises(ValueError, match="models, rows"):
        ours.delong(np.zeros(3), np.zeros((2, 4)))


def test_interval_with_groups_keeps_its_level_where_delong_does_not():
    rng = np.random.default_rng(8)
    index = np.repeat(np.arange(100), 4)
    hits = {"grouped": [], "alone": []}
    for _ in range(200):
        truth = np.repeat(rng.random(100) < 0.3, 4).astype(float)
        scores = rng.normal(size=100)[index] + 0.5 * rng.normal(size=400) + 1.3 * truth
        for name, groups in (("grouped", index), ("alone", None)):
            found = ours.auroc_interval(truth, scores, groups)
            hits[name].append(found.low <= normal_cdf(1.3 / math.sqrt(2 * 1.25)) <= found.high)
    assert 0.90 <= np.mean(hits["grouped"]) <= 0.99
    assert np.mean(hits["alone"]) < 0.80
