"""FID and KID: equal to clean-fid's own functions and to references in other arithmetic, at every shape."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from medbench_imagegen.frechet import Moments, distance, extrapolated, frechet_distance, moments
from medbench_imagegen.kernels import BLOCK, kernel_distance

SHAPES = [(50, 61, 20), (40, 40, 40), (30, 45, 64), (12, 300, 64), (300, 12, 64), (2, 2, 5)]


def features(n, d, seed, scale=1.0, shift=0.0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * scale + shift).astype(np.float32)


def reference(x, y):
    """The definition, by the square root of symmetric matrices in float64."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    one, other = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm((half := _root(one)) @ other @ half)
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(one) + np.trace(other) - 2 * np.trace(root.real)


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


@pytest.mark.parametrize(("n", "m", "d"), [shape for shape in SHAPES if min(shape[:2]) > shape[2]])
def test_the_distance_is_its_definition_where_covariances_have_full_rank(n, m, d):
    x, y = features(n, d, 1), features(m, d, 2, 1.3, 0.4)
    assert frechet_distance(x, y) == pytest.approx(reference(x, y), rel=1e-9)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("n", "m", "d"), SHAPES[:-1])
def test_the_distance_is_clean_fids_within_its_own_error(n, m, d):
    cleanfid = pytest.importorskip("cleanfid.fid")
    x, y = features(n, d, 1), features(m, d, 2, 1.3, 0.4)
    theirs = cleanfid.frechet_distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))
    assert frechet_distance(x, y) == pytest.approx(theirs, rel=2e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_distance_is_clean_fids_from_the_same_features():
    cleanfid = pytest.importorskip("cleanfid.fid")
    x, y = features(400, 60, 1).astype(float), features(300, 60, 2, 1.1, 0.2).astype(float)
    assert frechet_distance(x, y) == pytest.approx(cleanfid.fid_from_feats(x, y), rel=1e-8)


@pytest.mark.parametrize(("n", "m"), [(80, 90), (80, 30), (30, 80), (41, 40)])
def test_both_ways_agree_where_both_can_be_gone(n, m):
    x, y = features(n, 40, 1), features(m, 40, 2, 1.2)
    padded = [np.hstack([side, np.zeros((len(side), 60), np.float32)]) for side in (x, y)]  # 100 features: the other way
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(*padded), rel=1e-9)


@pytest.mark.parametrize("rank", [3, 25, 49])
def test_features_that_depend_on_each_other_cost_no_accuracy(rank):
    mixing = np.linalg.qr(np.random.default_rng(0).normal(size=(50, rank)))[0].T
    x, y = features(200, rank, 1).astype(float), features(150, rank, 2, 1.2, 0.3).astype(float)
    assert frechet_distance(x @ mixing, y @ mixing) == pytest.approx(frechet_distance(x, y), rel=1e-9)


@pytest.mark.parametrize("n", [2, 30, 200])
def test_equal_sets_are_at_distance_zero(n):
    x = features(n, 40, 1)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert distance(moments(x), Moments(*moments(x))) == frechet_distance(x, x)


def test_constant_features_are_no_failure_and_lost_ones_are_undefined():
    assert frechet_distance(np.ones((30, 4)), np.ones((40, 4))) == 0
    assert frechet_distance(np.ones((30, 4)), np.zeros((40, 4))) == pytest.approx(4)
    for n in (3, 30):
        lost = features(n, 8, 1)
        lost[0, 0] = np.nan
        assert np.isnan(frechet_distance(lost, features(20, 8, 2)))
        lost[0, 0] = np.inf
        assert np.isnan(frechet_distance(features(20, 8, 2), lost))


def test_the_extrapolation_takes_most_of_the_bias_away():
    x, y = features(200, 100, 1), features(200, 100, 2)
    assert frechet_distance(x, y) > 20  # the truth is 0
    assert abs(extrapolated(x, y)) < frechet_distance(x, y) / 3
    assert extrapolated(x, y, seed=4) == extrapolated(x, y, seed=4)


def test_the_extrapolation_is_an_estimate_of_the_distance_itself():
    truth, seeds = 20 * (0.5**2 + 0.25**2), range(0, 80, 2)
    pairs = [(features(150, 20, seed, 1.25, 0.5), features(150, 20, seed + 1)) for seed in seeds]
    assert np.mean([extrapolated(*pair) for pair in pairs]) == pytest.approx(truth, abs=0.5)
    assert np.mean([frechet_distance(*pair) for pair in pairs]) > truth + 1.5


def test_kid_is_clean_fids_from_the_same_features():
    cleanfid = pytest.importorskip("cleanfid.fid")
    x, y = features(60, 24, 1).astype(np.float64), features(60, 24, 2, 1.1, 0.2).astype(np.float64)
    assert kernel_distance(x, y) == pytest.approx(cleanfid.kernel_distance(x, y), rel=1e-9)  # of sets of one size a subset is the set


def plain(x, y, rng, subsets, size):
    values = []
    for _ in range(subsets):
        a, b = rng.choice(len(x), size, replace=False), rng.choice(len(y), size, replace=False)
        kxx, kyy, kxy = (((p @ q.T) / x.shape[1] + 1) ** 3 for p, q in ((x[a], x[a]), (y[b], y[b]), (x[a], y[b])))
        within = ((kxx.sum() - np.trace(kxx)) + (kyy.sum() - np.trace(kyy))) / (size * (size - 1))
        values.append(within - 2 * kxy.mean())
    return np.mean(values)


@pytest.mark.parametrize(("n", "m"), [(40, 30), (BLOCK + 5, 30)])
def test_kid_of_subsets_is_the_plain_loop_with_the_same_draws(n, m):
    x, y = features(n, 12, 1).astype(np.float64), features(m, 12, 2, 1.1).astype(np.float64)
    expected = plain(x, y, np.random.default_rng(5), 20, 10)
    assert kernel_distance(x, y, seed=5, subsets=20, size=10) == pytest.approx(expected, rel=1e-10)


def test_kid_is_about_zero_for_one_distribution_at_every_size_and_undefined_for_one_picture():
    for n in (50, 200):
        assert abs(kernel_distance(features(n, 16, 1), features(n, 16, 2))) < 0.05
    assert np.isnan(kernel_distance(features(1, 16, 1), features(9, 16, 2)))
