"""Agreement and rank correlation agree with published examples and with scikit-learn, krippendorff and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medbench.stats import agreement, correlation
from medbench.stats.bootstrap import draws, once
from medbench.stats.intervals import bootstrap

KRIPPENDORFF_2011 = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, np.nan, np.nan, np.nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, np.nan, 3],
        [np.nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, np.nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, np.nan],
    ]
)
"""Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C."""

SHROUT_FLEISS_1979 = np.array([[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]])
"""Psychological Bulletin 86, table 2: four judges, six targets; ICC(2,1) is .29."""


def _again(weights):
    return np.repeat(np.arange(weights.size), weights.astype(int))


@pytest.mark.parametrize(("scale", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_published_example(scale, published):
    assert agreement.krippendorff_alpha(KRIPPENDORFF_2011, once(12), scale) == pytest.approx([published], abs=5e-4)


@pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval"])
def test_alpha_agrees_with_the_package_on_every_resample(scale):
    package = pytest.importorskip("krippendorff", reason="krippendorff is the oracle here")
    rng = np.random.default_rng(0)
    base = rng.integers(1, 6, 60)
    ratings = np.clip(base + rng.integers(-1, 2, (4, 60)), 1, 5).astype(float)
    ratings[rng.random(ratings.shape) < 0.25] = np.nan
    weights = next(draws(60, 8, 0, 8))
    ours = agreement.krippendorff_alpha(ratings, weights, scale)
    for row in range(8):
        expected = package.alpha(reliability_data=ratings[:, _again(weights[row])], level_of_measurement=scale)
        assert ours[row] == pytest.approx(expected, abs=1e-12)


def test_icc_of_the_published_example():
    assert agreement.icc_agreement(SHROUT_FLEISS_1979, once(6)) == pytest.approx([0.29], abs=0.005)


def _plain_icc(ratings):
    raters, units = ratings.shape
    grand = ratings.mean()
    between = raters * ((ratings.mean(0) - grand) ** 2).sum() / (units - 1)
    columns = units * ((ratings.mean(1) - grand) ** 2).sum() / (raters - 1)
    rest = ratings - ratings.mean(0) - ratings.mean(1)[:, None] + grand
    error = (rest**2).sum() / ((units - 1) * (raters - 1))
    return (between - error) / (between + (raters - 1) * error + raters * (columns - error) / units)


def test_icc_agrees_with_the_sums_of_squares_on_every_resample():
    rng = np.random.default_rng(1)
    ratings = 1000 + rng.normal(size=40) + rng.normal(size=(3, 40)) + np.array([[0.0], [0.5], [1.0]])
    weights = next(draws(40, 8, 0, 8))
    expected = [_plain_icc(ratings[:, _again(row)]) for row in weights]
    assert agreement.icc_agreement(ratings, weights) == pytest.approx(expected, abs=1e-9)


def test_icc_needs_every_rating_and_two_raters():
    for ratings in (np.ones((1, 4)), np.array([[1.0, np.nan], [1.0, 2.0]])):
        with pytest.raises(ValueError, match="two or more raters"):
            agreement.icc_agreement(ratings, once(ratings.shape[1]))


def test_kappa_agrees_with_scikit_learn_on_every_resample():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle here")
    rng = np.random.default_rng(2)
    one = rng.integers(1, 6, 200).astype(float)
    other = np.clip(one + rng.integers(-1, 2, 200), 1, 5)
    weights = next(draws(200, 20, 0, 20))
    ours = agreement.quadratic_kappa(one, other, range(1, 6), weights)
    for row in range(20):
        pair = one[_again(weights[row])], other[_again(weights[row])]
        assert ours[row] == pytest.approx(metrics.cohen_kappa_score(*pair, weights="quadratic", labels=range(1, 6)), abs=1e-12)


def test_kappa_needs_to_know_every_grade():
    with pytest.raises(ValueError, match=r"grade 5\.0 is not among"):
        agreement.quadratic_kappa(np.array([1, 5]), np.array([1, 1]), (1, 2, 3), once(2))
    with pytest.raises(ValueError, match="two raters"):
        agreement.quadratic_kappa(np.array([1, 5]), np.array([1]), (1, 5), once(2))


def test_a_row_that_one_rater_left_out_does_not_enter():
    one, other = np.array([1, 2, 3, np.nan]), np.array([1, 3, 3, 2])
    expected = agreement.quadratic_kappa(one[:3], other[:3], (1, 2, 3), once(3))
    assert agreement.quadratic_kappa(one, other, (1, 2, 3), once(4)).tolist() == expected.tolist()


def test_raters_who_never_vary_have_no_agreement():
    constant = np.full((2, 5), 0.1)
    assert np.isnan(agreement.quadratic_kappa(constant[0], constant[1], (0.1, 0.2), once(5))).all()
    assert np.isnan(agreement.icc_agreement(constant, once(5))).all()
    for scale in ("nominal", "ordinal", "interval"):
        assert np.isnan(agreement.krippendorff_alpha(constant, once(5), scale)).all()
    for figure in (correlation.spearman, correlation.kendall):
        assert np.isnan(figure(constant[0], np.arange(5), once(5))).all()


@pytest.mark.parametrize("digits", [0, 1, 9])
def test_correlations_agree_with_scipy_on_every_resample(digits):
    stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle here")
    rng = np.random.default_rng(3)
    x = np.round(rng.normal(size=700), digits)
    y = np.round(x / 2 + rng.normal(size=700), digits)
    weights = next(draws(700, 70, 0, 70))
    rho, tau = correlation.spearman(x, y, weights), correlation.kendall(x, y, weights)
    for row in range(0, 70, 10):
        again = _again(weights[row])
        assert rho[row] == pytest.approx(stats.spearmanr(x[again], y[again]).statistic, abs=1e-12)
        assert tau[row] == pytest.approx(stats.kendalltau(x[again], y[again]).statistic, abs=1e-12)


def test_correlations_leave_out_rows_with_a_gap():
    x, y = np.array([1, 2, 3, np.nan, 5]), np.array([2, 1, 3, 4, np.nan])
    for figure in (correlation.spearman, correlation.kendall):
        assert figure(x, y, once(5)).tolist() == figure(x[:3], y[:3], once(3)).tolist()
        assert np.isnan(figure(x[3:], y[3:], once(2))).all()
        with pytest.raises(ValueError, match="same rows"):
            figure(x, y[:2], once(5))


@given(arrays.arrays(np.int8, st.tuples(st.just(2), st.integers(1, 15)), elements=st.integers(1, 4)))
@settings(deadline=None, max_examples=100, derandomize=True)
def test_agreement_is_bounded_symmetric_and_blind_to_order(ratings):
    ratings = ratings.astype(float)
    weights = np.vstack([once(ratings.shape[1]), np.arange(ratings.shape[1]) % 3, np.zeros(ratings.shape[1])])
    figures = [
        lambda r, w: agreement.quadratic_kappa(r[0], r[1], (1, 2, 3, 4), w),
        lambda r, w: agreement.krippendorff_alpha(r, w, "ordinal"),
        lambda r, w: agreement.krippendorff_alpha(r, w, "interval"),
        agreement.icc_agreement,
        lambda r, w: correlation.spearman(r[0], r[1], w),
        lambda r, w: correlation.kendall(r[0], r[1], w),
    ]
    for figure in figures:
        values = figure(ratings, weights)
        assert ((values <= 1 + 1e-12) | np.isnan(values)).all()
        assert np.isnan(values[2])
        np.testing.assert_allclose(figure(ratings[::-1], weights), values, atol=1e-9)
        np.testing.assert_allclose(figure(ratings[:, ::-1], weights[:, ::-1]), values, atol=1e-9)


def test_an_interval_of_agreement_keeps_groups_together():
    rng = np.random.default_rng(4)
    base = rng.integers(1, 6, 50)
    one, other = np.repeat(base, 4), np.repeat(np.clip(base + rng.integers(-1, 2, 50), 1, 5), 4)

    def kappa(weights):
        return agreement.quadratic_kappa(one, other, range(1, 6), weights)

    grouped, alone = bootstrap(kappa, np.repeat(np.arange(50), 4)), bootstrap(kappa, np.arange(200))
    assert grouped.high - grouped.low > 1.6 * (alone.high - alone.low)
