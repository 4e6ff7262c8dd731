"""The distribution functions agree with SciPy's."""

from __future__ import annotations

import math

import pytest

from medbench.stats import distributions as ours

scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle here")


@pytest.mark.parametrize("z", [-8.0, -1.96, -0.3, 0.0, 1.2, 6.0])
def test_normal_cdf(z):
    assert ours.normal_cdf(z) == pytest.approx(scipy_stats.norm.cdf(z), rel=1e-12)


@pytest.mark.parametrize("p", [1e-9, 0.025, 0.5, 0.8, 0.9995])
def test_normal_quantile(p):
    assert ours.normal_quantile(p) == pytest.approx(scipy_stats.norm.ppf(p), abs=1e-12)


def test_normal_quantile_is_infinite_at_the_ends():
    assert ours.normal_quantile(0.0) == -math.inf
    assert ours.normal_quantile(1.0) == math.inf


@pytest.mark.parametrize("df", [1, 2, 4.5, 29, 149, 1e4, 1e6])
@pytest.mark.parametrize("p", [1e-6, 0.025, 0.4, 0.5, 0.8, 0.975, 0.9999])
def test_student(p, df):
    t = scipy_stats.t.ppf(p, df)
    assert ours.t_quantile(p, df) == pytest.approx(t, rel=1e-9, abs=1e-9)
    assert ours.t_cdf(t, df) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize(("x", "a", "b"), [(0.01, 0.5, 0.5), (0.3, 2, 7), (0.99, 30, 0.5), (0.5, 500, 500), (0.0, 1, 1), (1.0, 1, 1)])
def test_incomplete_beta(x, a, b):
    assert ours.beta_cdf(x, a, b) == pytest.approx(scipy_stats.beta.cdf(x, a, b), rel=1e-10)


@pytest.mark.parametrize("x", [0.0, 0.5, 3.84, 40.0])
def test_chi_square_tail(x):
    assert ours.chi_square_tail(x) == pytest.approx(scipy_stats.chi2.sf(x, 1), rel=1e-12)


@pytest.mark.parametrize(("heads", "tails"), [(0, 0), (0, 1), (0, 6), (3, 3), (4, 3), (12, 31), (700, 800), (2000, 2100)])
def test_coin(heads, tails):
    expected = scipy_stats.binomtest(heads, heads + tails).pvalue if heads + tails else 1.0
    assert ours.coin_two_sided(heads, tails) == pytest.approx(expected, rel=1e-9)
