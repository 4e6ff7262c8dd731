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


BLAND_ALTMAN_1986 = np.array(
    [
        [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427],
        [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451],
    ]
)
"""Lancet 327:307, table: peak flow (l/min) of 17 people, first readings by a Wright meter and a mini Wright meter."""

TUNA = np.array([[44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1], [2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8]])
"""Hollander and Wolfe, Nonparametric Statistical Methods (1973), p. 185: lightness and panel score of tuna; tau is .444."""

TELEVISION = np.array([[106, 100, 86, 101, 99, 103, 97, 113, 112, 110], [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]])
"""The worked example of Wikipedia's page on Spearman's coefficient: IQ and hours of television; rho is -29/165."""


def test_limits_of_agreement_of_the_published_example():
    bias, low, high = agreement.limits_of_agreement(*BLAND_ALTMAN_1986, once(17))
    assert bias == pytest.approx([-2.1], abs=0.05)
    assert (high - low) / (2 * 1.96) == pytest.approx([38.8], abs=0.05)
    # the paper rounds to two standard deviations: -79.7 and 75.5
    assert (bias - 2 * (high - bias) / 1.96)[0] == pytest.approx(-79.7, abs=0.1)
    assert (bias + 2 * (high - bias) / 1.96)[0] == pytest.approx(75.5, abs=0.1)


def test_limits_of_agreement_count_a_row_as_often_as_its_weight():
    one, other = BLAND_ALTMAN_1986.astype(float)
    one[3] = np.nan
    weights = next(draws(17, 6, 0, 6))
    ours = agreement.limits_of_agreement(one, other, weights)
    for row in range(6):
        again = _again(weights[row])
        difference = (one - other)[again][~np.isnan(one[again])]
        spread = 1.96 * difference.std(ddof=1)
        expected = difference.mean(), difference.mean() - spread, difference.mean() + spread
        assert [figure[row] for figure in ours] == pytest.approx(expected)


def test_limits_of_agreement_need_two_rows_of_the_same_things():
    assert np.isnan(np.array(agreement.limits_of_agreement(np.ones(1), np.ones(1), once(1)))).all()
    with pytest.raises(ValueError, match="same rows"):
        agreement.limits_of_agreement(np.ones(2), np.ones(3), once(2))


def test_rank_correlations_of_the_published_example():
    assert correlation.kendall(*TUNA, once(9)) == pytest.approx([0.4444444], abs=1e-6)
    assert correlation.spearman(*TELEVISION, once(10)) == pytest.approx([-29 / 165])


def test_the_share_of_equal_ratings_is_that_of_pairs():
    ratings = np.array([[1, 2, 3, np.nan], [1, 2, np.nan, 5], [1, 3, np.nan, np.nan]], dtype=float)
    weights = np.array([[1.0, 1, 1, 1], [2, 0, 5, 5], [0, 0, 1, 1]])
    assert agreement.same_share(ratings, weights).round(6).tolist()[:2] == [round((1 + 1 / 3) / 2, 6), 1.0]
    assert np.isnan(agreement.same_share(ratings, weights)[2])


def test_quadratic_kappa_of_a_table_agrees_with_statsmodels():
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater", reason="statsmodels is the oracle here")
    table = np.array([[11, 3, 1, 0], [1, 19, 9, 0], [0, 1, 26, 12], [0, 0, 2, 15]])
    one, other = np.repeat(np.indices((4, 4)).reshape(2, 16), table.ravel(), axis=1)
    ours = agreement.quadratic_kappa(one, other, range(4), once(one.size))
    assert ours == pytest.approx([inter_rater.cohens_kappa(table, wt="quadratic").kappa], abs=1e-12)
