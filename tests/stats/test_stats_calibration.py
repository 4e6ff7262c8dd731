"""Log loss, Brier score, calibration errors, slope and intercept agree with scikit-learn, statsmodels and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.stats import calibration, recalibration
from medbench.stats.bootstrap import draws, once

FIGURES = (
    calibration.log_loss,
    calibration.brier,
    calibration.ece_positive,
    calibration.ece_confidence,
    recalibration.slope,
    recalibration.in_the_large,
)


def _data(rows=300, labels=2, seed=0):
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=(rows, labels)) - 1
    truth = (rng.random((rows, labels)) < 1 / (1 + np.exp(-0.6 * logit + 0.4))).astype(float)
    return truth, 1 / (1 + np.exp(-logit))


def _again(weights):
    return np.repeat(np.arange(weights.size), weights.astype(int))


def test_losses_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle here")
    truth, values = _data()
    values[0] = [0.0, 1.0]
    weights = next(draws(300, 5, 0, 5))
    loss, squares = calibration.log_loss(truth, values, weights), calibration.brier(truth, values, weights)
    for row in range(5):
        again = _again(weights[row])
        for label in range(2):
            assert loss[row, label] == pytest.approx(metrics.log_loss(truth[again, label], values[again, label]), rel=1e-12)
            assert squares[row, label] == pytest.approx(metrics.brier_score_loss(truth[again, label], values[again, label]), rel=1e-12)


def _plain_error(hits, values, bins):
    total = 0.0
    for b in range(bins):
        inside = (values > b / bins) & (values <= (b + 1) / bins) | ((values == 0) & (b == 0))
        total += abs((hits[inside] - values[inside]).sum())
    return total / len(values)


@pytest.mark.parametrize("bins", [1, 4, 10, 15])
def test_errors_agree_with_a_plain_loop_over_bins(bins):
    truth, values = _data(labels=1)
    values[:4, 0] = [0.0, 0.5, 0.25, 1.0]
    weights = next(draws(300, 4, 0, 4))
    positive, confidence = (f(truth, values, weights, bins) for f in (calibration.ece_positive, calibration.ece_confidence))
    for row in range(4):
        again = _again(weights[row])
        t, p = truth[again, 0], values[again, 0]
        assert positive[row, 0] == pytest.approx(_plain_error(t, p, bins), abs=1e-12)
        assert confidence[row, 0] == pytest.approx(_plain_error((p >= 0.5) == t, np.maximum(p, 1 - p), bins), abs=1e-12)


def test_the_two_definitions_differ_on_the_same_data():
    truth, values = _data(rows=3000, labels=1)
    positive = calibration.ece_positive(truth, values, once(3000))[0, 0]
    assert calibration.ece_confidence(truth, values, once(3000))[0, 0] < 0.95 * positive


@pytest.mark.parametrize(("rows", "expected"), [(100, 0.123), (500, 0.055), (2000, 0.027)])
def test_the_floor_is_what_perfect_probabilities_show(rows, expected):
    rng = np.random.default_rng(1)
    values = rng.random((rows, 1))
    floor = calibration.ece_floor(np.zeros((rows, 1)), values)
    assert floor == pytest.approx([expected], rel=0.12)
    shown = [calibration.ece_positive((rng.random(values.shape) < values) * 1.0, values, once(rows))[0, 0] for _ in range(60)]
    assert floor[0] == pytest.approx(np.mean(shown), rel=0.06)


def test_the_floor_of_confidence_counts_known_rows_only():
    values = np.random.default_rng(2).random(400)
    truth = np.where(np.arange(400) < 100, 1.0, np.nan)
    kept = calibration.ece_floor(truth[:100], values[:100], definition="confidence")
    assert calibration.ece_floor(truth, values, definition="confidence") == kept
    assert kept > 1.5 * calibration.ece_floor(np.ones(400), values, definition="confidence")
    assert np.isnan(calibration.ece_floor(np.full(3, np.nan), np.full(3, 0.5)))


def test_slope_and_intercept_agree_with_statsmodels():
    api = pytest.importorskip("statsmodels.api", reason="statsmodels is the oracle here")
    truth, values = _data(labels=1)
    weights = next(draws(300, 6, 0, 6))
    slopes, intercepts = (f(truth, values, weights) for f in (recalibration.slope, recalibration.in_the_large))
    for row in range(6):
        again = _again(weights[row])
        t, odds = truth[again, 0], np.log(values[again, 0] / (1 - values[again, 0]))
        binomial = {"family": api.families.Binomial()}
        joint = api.GLM(t, np.column_stack([np.ones_like(t), odds]), **binomial).fit(tol=1e-12)
        held = api.GLM(t, np.ones_like(t), offset=odds, **binomial).fit(tol=1e-12)
        assert slopes[row, 0] == pytest.approx(joint.params[1], rel=1e-7)
        assert intercepts[row, 0] == pytest.approx(held.params[0], rel=1e-7)


def test_too_extreme_probabilities_have_a_slope_below_one():
    rng = np.random.default_rng(4)
    logit = rng.normal(size=20_000)
    truth = (rng.random(20_000) < 1 / (1 + np.exp(-logit))).astype(float)
    twice = 1 / (1 + np.exp(-2 * logit))
    assert recalibration.slope(truth, twice, once(20_000)) == pytest.approx([0.5], abs=0.03)
    assert recalibration.in_the_large(truth, 1 / (1 + np.exp(-logit - 1)), once(20_000)) == pytest.approx([-1.0], abs=0.06)


def test_far_outliers_do_not_lead_the_fit_astray():
    api = pytest.importorskip("statsmodels.api", reason="statsmodels is the oracle here")
    truth, values = _data(rows=60, labels=1)
    values[:3, 0], truth[:3, 0] = [0.0, 1.0, 1e-9], [1.0, 1.0, 0.0]
    clipped = np.clip(values[:, 0], 1e-6, 1 - 1e-6)
    design = np.column_stack([np.ones(60), np.log(clipped / (1 - clipped))])
    expected = api.GLM(truth[:, 0], design, family=api.families.Binomial()).fit(tol=1e-12).params[1]
    assert recalibration.slope(truth, values, once(60))[0, 0] == pytest.approx(expected, rel=1e-6)


def test_fits_find_every_solution_there_is_and_no_other():
    rng = np.random.default_rng(0)
    for _ in range(300):
        rows = rng.integers(3, 30)
        odds = np.clip(rng.standard_t(1, rows) * rng.choice([0.5, 2, 5]), -13, 13)
        truth = (rng.random(rows) < 1 / (1 + np.exp(-odds * rng.choice([-1, 0.3, 1, 3])))).astype(float)
        values = 1 / (1 + np.exp(-odds))
        slope, intercept = (f(truth, values, once(rows))[0] for f in (recalibration.slope, recalibration.in_the_large))
        mixed = 0 < truth.sum() < rows
        assert np.isnan(intercept) != mixed
        ones, noughts = odds[truth == 1], odds[truth == 0]
        overlapping = mixed and ones.min() < noughts.max() and noughts.min() < ones.max()
        assert np.isnan(slope) != overlapping
        if mixed:
            assert (1 / (1 + np.exp(-odds - intercept))).sum() == pytest.approx(truth.sum(), abs=1e-7)


def test_a_model_that_is_sure_and_wrong_has_a_far_intercept():
    found = recalibration.in_the_large(np.array([1, 0, 0, 0]), np.full(4, 1.0), once(4))
    assert found == pytest.approx([-np.log(3) - np.log((1 - 1e-6) / 1e-6)], rel=1e-9)


@pytest.mark.parametrize("truth", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]])
def test_a_fit_without_a_solution_has_no_slope(truth):
    assert np.isnan(recalibration.slope(np.array(truth), np.array([0.1, 0.2, 0.7, 0.8]), once(4))).all()


def test_one_probability_throughout_has_an_intercept_and_no_slope():
    truth, values = np.array([1, 0, 0, 0, 0]), np.full(5, 0.2)
    assert np.isnan(recalibration.slope(truth, values, once(5))).all()
    assert recalibration.in_the_large(truth, values, once(5)) == pytest.approx([0.0], abs=1e-9)


@pytest.mark.parametrize("figure", FIGURES)
def test_shape_unknown_rows_and_empty_resamples(figure):
    truth, values = _data(rows=60)
    truth[::5] = np.nan
    values[::5] = np.nan
    weights = np.vstack([next(draws(60, 3, 0, 3)), np.zeros(60)])
    found = figure(truth, values, weights)
    assert found.shape == (4, 2)
    assert np.isnan(found).tolist() == [[False] * 2] * 3 + [[True] * 2]
    keep = np.arange(60) % 5 > 0
    np.testing.assert_allclose(figure(truth[keep, 1], values[keep, 1], weights[:, keep]), found[:, 1], rtol=1e-9)


@pytest.mark.parametrize("figure", FIGURES)
def test_numbers_that_are_no_probabilities_are_refused(figure):
    with pytest.raises(ValueError, match="within 0 and 1"):
        figure(np.array([0, 1]), np.array([0.5, 1.5]), once(2))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=1, max_size=20), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60, derandomize=True)
def test_order_of_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    for figure in FIGURES:
        found = []
        for case in (rows, shuffled):
            truth, eighths = (np.array(column, dtype=float) for column in zip(*case, strict=True))
            found.append(figure(truth, eighths / 8, once(len(case))))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-6, atol=1e-9)
