"""Paired tests agree with SciPy and statsmodels, reject as often as they say, and exchange whole groups."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.stats import paired, power, subgroups
from medbench.stats.bootstrap import percentile_interval, replicate
from medbench.stats.intervals import standard_error
from medbench.stats.multiplicity import benjamini_hochberg, holm


def _clustered(groups=40, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(groups), rng.integers(1, 5, groups))
    return rng.normal(size=groups)[index] + 0.5 * rng.normal(size=index.size) + shift, index


def test_difference_is_paired_through_shared_draws():
    shared, index = _clustered()
    one, other = shared + 0.1, shared + 0.02 * np.random.default_rng(1).normal(size=shared.size)
    points = (one.mean(), other.mean())
    values = [replicate(lambda w, v=v: w @ v / w.sum(axis=1), index, resamples=500, seed=2) for v in (one, other)]
    found = paired.contrast(points, values)
    assert 0.08 < found.low < found.difference < found.high < 0.12
    assert found.p == 2 / 501
    apart = [np.ptp(percentile_interval(v)) for v in values]
    assert min(apart) > 10 * (found.high - found.low)


def test_a_resample_undefined_for_one_is_dropped_for_both():
    one, other = np.linspace(0, 1, 50), np.linspace(0, 1, 50) - 0.5
    one[:5] = np.nan
    assert paired.contrast((0.5, 0.0), (one, other)).low == pytest.approx(0.5)


@pytest.mark.parametrize("points", [(0.5, np.nan), (0.5, 0.4)])
def test_no_difference_of_what_is_undefined(points):
    found = paired.contrast(points, (np.full(9, np.nan), np.ones(9)))
    assert (found.low, found.p) == (None, None)
    assert found.difference == (None if np.isnan(points[1]) else pytest.approx(0.1))
    assert found.note


def test_points_and_replicates_must_match():
    with pytest.raises(ValueError, match="do not match"):
        paired.contrast((1.0,), (np.ones(3), np.ones(3)))


def test_p_is_never_zero_nor_above_one():
    assert paired.replicate_p(np.ones(999)) == 2 / 1000
    assert paired.replicate_p(np.zeros(999)) == 1.0
    assert np.isnan(paired.replicate_p(np.full(3, np.nan)))


def test_exact_sign_flip_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle here")
    differences = np.random.default_rng(0).normal(size=10) + 0.4
    expected = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert paired.sign_flip(differences, np.arange(10)).p == pytest.approx(expected, abs=1e-12)


def test_random_sign_flips_come_near_the_exact_ones():
    values, index = _clustered(groups=13, shift=0.5)
    exact, drawn = paired.sign_flip(values, index, trials=9999), paired.sign_flip(values, index, trials=4000)
    assert exact.method == "exact sign flips of 13 groups"
    assert drawn.method == "sign flips: 4000 turns of 13 groups, seed 0"
    assert drawn.p == pytest.approx(exact.p, abs=0.03)


def test_the_smallest_p_counts_the_sample_itself():
    assert paired.sign_flip(np.ones(100), np.arange(100), trials=999).p == 1 / 1000
    assert paired.randomisation(lambda w: w @ np.repeat([1.0, 0.0], 50), np.arange(50), trials=99).p == 1 / 100


def test_equal_systems_are_not_told_apart():
    assert paired.sign_flip(np.zeros(100), np.arange(100), trials=99).p == 1.0
    assert paired.randomisation(lambda w: w @ np.ones(40), np.arange(20), trials=99).p == 1.0


def test_sign_flip_and_randomisation_of_a_mean_are_one_test():
    values, index = _clustered(groups=12, shift=0.4)
    rows = np.r_[values, np.zeros_like(values)]
    drawn = paired.randomisation(lambda w: w @ rows / values.size, index, trials=4000)
    exact = paired.sign_flip(values, index)
    assert drawn.difference == pytest.approx(exact.difference)
    assert drawn.p == pytest.approx(exact.p, abs=0.03)


def test_whole_groups_are_exchanged():
    """Four patients, all for one system, are 1 in 8 however many rows each has."""
    index = np.repeat(np.arange(4), 25)
    assert paired.sign_flip(np.ones(100), index).p == 0.125
    assert paired.randomisation(lambda w: w @ np.repeat([1.0, 0.0], 100), index, trials=2000).p == pytest.approx(0.125, abs=0.03)


def test_a_gap_does_not_enter():
    values, index = _clustered()
    gaps = np.where(np.arange(values.size) % 5 == 0, np.nan, values)
    kept = ~np.isnan(gaps)
    assert paired.sign_flip(gaps, index) == paired.sign_flip(values[kept], index[kept])
    assert paired.sign_flip(np.full(3, np.nan), np.arange(3)).difference is None


def test_a_figure_undefined_for_one_system_is_not_compared():
    found = paired.randomisation(lambda w: np.where(w[:, 0] > 0, 1.0, np.nan), np.arange(3), trials=9)
    assert (found.difference, found.p) == (None, None)


def test_sign_flip_rejects_as_often_as_it_says():
    p = np.array([paired.sign_flip(*_clustered(groups=20, seed=s), trials=199).p for s in range(300)])
    assert 0.02 <= (p <= 0.05).mean() <= 0.08


def test_mcnemar_agrees_with_statsmodels():
    tables = pytest.importorskip("statsmodels.stats.contingency_tables", reason="statsmodels is the oracle here")
    rng = np.random.default_rng(0)
    one, other = (rng.random(200) < 0.8).astype(float), (rng.random(200) < 0.7).astype(float)
    table = [[((one == a) & (other == b)).sum() for b in (1, 0)] for a in (1, 0)]
    assert paired.mcnemar(one, other).p == pytest.approx(tables.mcnemar(table, exact=True).pvalue, rel=1e-12)
    twice = paired.mcnemar(np.tile(one, 2), np.tile(other, 2), np.tile(np.arange(200), 2))
    assert twice.p == pytest.approx(tables.mcnemar(table, exact=False, correction=False).pvalue, rel=1e-12)
    assert twice.method.startswith("clustered McNemar: ")


def test_mcnemar_without_any_disagreement():
    right = np.array([1.0, 0.0, 1.0, np.nan])
    assert paired.mcnemar(right, right).p == 1.0
    assert paired.mcnemar(right, right, np.zeros(4, dtype=int)).p == 1.0
    assert paired.mcnemar(right[3:], right[3:]).difference is None


@pytest.mark.parametrize(("adjust", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_adjustments_agree_with_statsmodels(adjust, name):
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is the oracle here")
    rng = np.random.default_rng(0)
    for size in (1, 2, 7, 50):
        p = rng.random(size) ** 3
        np.testing.assert_allclose(adjust(p), multitest.multipletests(p, method=name)[1], rtol=1e-12)
        with_gaps = np.insert(p, [0, size // 2], np.nan)
        np.testing.assert_allclose(adjust(with_gaps)[~np.isnan(with_gaps)], adjust(p), rtol=1e-15)


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_adjusting_nothing(adjust):
    assert adjust(np.array([])).size == 0
    assert np.isnan(adjust(np.full(2, np.nan))).all()


@pytest.mark.parametrize("groups", [30, 100, 1000])
def test_minimum_detectable_difference_agrees_with_statsmodels(groups):
    solver = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is the oracle here")
    expected = solver.TTestPower().solve_power(nobs=groups, alpha=0.05, power=0.8) / np.sqrt(groups)
    assert power.minimum_detectable(1 / groups, groups) == pytest.approx(expected, rel=0.01)


def test_minimum_detectable_difference_is_detected_as_often_as_it_says():
    values, index = _clustered(groups=60)
    least = power.minimum_detectable(standard_error(values, index)[1], 60)
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(200):
        means = rng.normal(size=60)[index] + 0.5 * rng.normal(size=index.size) + least
        found += paired.sign_flip(means, index, trials=199).p <= 0.05
    assert 0.65 <= found / 200 <= 0.92
    assert power.minimum_detectable(0.1, 1) == np.inf


def test_more_groups_are_needed_for_less():
    assert power.groups_needed(0.02, 100, 0.02) == pytest.approx(4 * power.groups_needed(0.02, 100, 0.04), abs=4)
    assert power.groups_needed(0.01, 500, -0.03) == power.groups_needed(0.01, 500, 0.03)


def _figures(values, index, masks):
    return {
        name: (
            float(values[mask].mean()),
            replicate(lambda w, m=mask: (w * m) @ values / (w @ m), index, resamples=800, seed=0),
        )
        for name, mask in masks.items()
    }


def test_interaction_finds_a_lead_that_differs_and_no_other():
    rng = np.random.default_rng(5)
    index = np.repeat(np.arange(300), 2)
    female = index % 2 == 0
    masks = {"f": female * 1.0 > 0, "m": ~female, "all": np.ones(600, dtype=bool)}
    other = rng.normal(size=300)[index] + 0.3 * rng.normal(size=600)
    even, uneven = other + 0.5 + 0.1 * rng.normal(size=600), other + 0.5 + 0.4 * female + 0.1 * rng.normal(size=600)
    others = _figures(other, index, masks)
    without = subgroups.interactions(_figures(even, index, masks), others)[("f", "m")]
    found = subgroups.interactions(_figures(uneven, index, masks), others)[("f", "m")]
    assert without.low < 0 < without.high
    assert without.p > 0.05
    assert 0.35 < found.low < 0.4 < found.high < 0.45
    assert found.p == pytest.approx(3 * 2 / 801)
    assert found.method == "paired percentile bootstrap: 800 resamples; Holm over 3"


def test_gaps_name_every_pair_and_skip_what_is_undefined():
    flat = np.linspace(-0.01, 0.01, 101)
    levels = {"old": (0.5, 0.5 + flat), "young": (0.9, 0.9 + flat), "none": (np.nan, np.full(101, np.nan))}
    found = subgroups.gaps(levels)
    assert list(found) == [("none", "old"), ("none", "young"), ("old", "young")]
    assert found[("none", "old")].p is None
    assert found[("old", "young")].p == pytest.approx(2 / 102)
    assert found[("old", "young")].difference == pytest.approx(-0.4)
