"""Intervals agree with SciPy's and statsmodels', and keep their level on clustered data where naive ones do not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medbench.stats import intervals
from medbench.stats.bootstrap import draws, percentile_interval
from medbench.stats.distributions import t_quantile


def _mean(values):
    return lambda weights: weights @ values / weights.sum(axis=1)


@pytest.mark.parametrize("digits", [0, 9])
def test_bca_agrees_with_scipy_on_the_same_replicates(digits):
    stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle here")
    values = np.round(np.random.default_rng(3).gamma(1.5, size=60), digits)
    found = stats.bootstrap((values,), np.mean, n_resamples=999, method="BCa", rng=np.random.default_rng(0))
    jackknife = intervals.leave_one_out(_mean(values), np.arange(60), block=7)
    assert digits or (found.bootstrap_distribution == values.mean()).any()
    ours = intervals.bca_interval(values.mean(), found.bootstrap_distribution, jackknife)
    assert ours == pytest.approx(tuple(found.confidence_interval), rel=1e-9)


def test_bca_leans_with_the_skew_and_percentile_is_recorded():
    values, index = np.random.default_rng(0).gamma(0.5, size=40), np.arange(40)
    plain = intervals.bootstrap(_mean(values), index, resamples=999)
    leaning = intervals.bootstrap(_mean(values), index, kind="bca", resamples=999)
    assert leaning.low > plain.low
    assert leaning.high > plain.high
    assert leaning.method == "bca bootstrap: 999 resamples of 40 groups, seed 0"


@pytest.mark.parametrize("point", [-1.0, 2.0])
def test_bca_refuses_when_all_replicates_lie_on_one_side(point):
    assert intervals.bca_interval(point, np.linspace(0, 1, 100), np.array([0.1, 0.2])) is None


def test_bca_refuses_bounds_out_of_order():
    replicates, jackknife = np.linspace(0, 1, 20001), np.r_[0.0, [1.0] * 199]
    assert intervals.bca_interval(0.9999, replicates, jackknife) is not None
    assert intervals.bca_interval(0.9999, replicates, jackknife, level=0.9999) is None


def test_cluster_t_agrees_with_statsmodels():
    api = pytest.importorskip("statsmodels.api", reason="statsmodels is the oracle here")
    rng = np.random.default_rng(1)
    index = rng.integers(0, 12, 80)
    values = rng.normal(size=80) + index / 4
    fit = api.OLS(values, np.ones(80)).fit(cov_type="cluster", cov_kwds={"groups": index}, use_t=True)
    ours = intervals.cluster_t(values, index)
    assert (ours.low, ours.high) == pytest.approx(tuple(fit.conf_int()[0]), rel=1e-9)
    assert intervals.standard_error(values, index)[1] == pytest.approx(fit.bse[0], rel=1e-9)


def test_rows_without_a_value_do_not_enter():
    with_gap = intervals.cluster_t(np.array([1.0, np.nan, 2.0, 4.0, np.nan]), np.array([0, 0, 1, 2, 5]))
    assert with_gap == intervals.cluster_t(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 2]))


@pytest.mark.parametrize("make", [intervals.cluster_t, intervals.median])
@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [np.nan, np.nan]])
def test_one_group_gives_no_interval(make, values):
    found = make(np.array(values), np.zeros(len(values), dtype=int))
    assert (found.low, found.high) == (None, None)
    assert "few" in found.note


def test_bootstrap_of_one_group_says_so():
    assert intervals.bootstrap(_mean(np.ones(3)), np.zeros(3, dtype=int)).note == "fewer than two groups"
    assert intervals.bootstrap(_mean(np.ones(0)), np.zeros(0, dtype=int)).note == "fewer than two groups"


def test_undefined_resamples_are_told():
    def often_undefined(weights):
        return np.where(weights[:, 0] > 0, weights @ np.arange(4.0), np.nan)

    found = intervals.bootstrap(often_undefined, np.arange(4), resamples=400)
    assert found.low is not None
    assert found.note.startswith("undefined in ")
    assert 80 < int(found.note.split()[2]) < 180


def test_logit_interval_stays_within_its_bounds():
    low, high = intervals.logit_interval(0.99, 0.02)
    assert 0 < low < 0.99 < high < 1
    assert 0.99 - low > high - 0.99


@pytest.mark.parametrize(("point", "error"), [(0.0, 0.1), (1.0, 0.1), (math.nan, 0.1), (0.5, math.nan)])
def test_logit_interval_of_nothing(point, error):
    assert intervals.logit_interval(point, error) is None


def test_clustered_bootstrap_keeps_its_level_and_the_naive_one_does_not():
    """150 patients with 1 to 6 reports, half of the variance between patients; the true mean is 0."""
    rng = np.random.default_rng(11)
    index = np.repeat(np.arange(150), rng.integers(1, 7, 150))
    patients, reports = rng.normal(size=(2000, 150)), rng.normal(size=(2000, index.size))
    values = patients[:, index] + reports
    counts = np.vstack(list(draws(150, 500, 0, 500)))[:, index]
    naive = np.vstack(list(draws(index.size, 500, 1, 500)))
    shares = {}
    for name, weights in (("clustered", counts), ("naive", naive)):
        bounds = [percentile_interval(column) for column in ((weights @ values.T) / weights.sum(axis=1)[:, None]).T]
        shares[name] = np.mean([low <= 0 <= high for low, high in bounds])
    errors = np.array([intervals.standard_error(row, index)[1] for row in values])
    shares["t"] = np.mean(np.abs(values.mean(axis=1)) <= t_quantile(0.975, 149) * errors)
    assert 0.93 <= shares["clustered"] <= 0.97
    assert 0.93 <= shares["t"] <= 0.97
    assert shares["naive"] < 0.88


def test_median_interval_keeps_its_level_on_clustered_data():
    rng = np.random.default_rng(5)
    index = np.repeat(np.arange(60), rng.integers(1, 5, 60))
    values = np.exp(rng.normal(size=(400, 60))[:, index] + rng.normal(size=(400, index.size)))
    found = [intervals.median(row, index) for row in values]
    assert 0.92 <= np.mean([i.low <= 1 <= i.high for i in found]) <= 0.99
