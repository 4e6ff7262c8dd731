"""FID and KID: equal to clean-fid's own functions and to references in other arithmetic, at every shape."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from medbench_imagegen.frechet import extrapolated, frechet_distance, halves_distance
from medbench_imagegen.kernels import full_kid, grams, subset_kid

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


def test_both_ways_agree_where_both_can_be_gone():
    x, y = features(80, 40, 1), features(90, 40, 2, 1.2)
    padded = [np.hstack([side, np.zeros((len(side), 60), np.float32)]) for side in (x, y)]  # 100 features: the other way
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(*padded), rel=1e-9)


def test_equal_sets_are_at_distance_zero_and_constant_features_are_no_failure():
    x = features(30, 10, 1)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(np.ones((30, 4)), np.ones((40, 4))) == 0
    assert frechet_distance(np.ones((30, 4)), np.zeros((40, 4))) == pytest.approx(4)


def test_the_extrapolation_takes_most_of_the_bias_away():
    x, y = features(200, 100, 1), features(200, 100, 2)
    assert frechet_distance(x, y) > 20  # the truth is 0
    assert abs(extrapolated(x, y)) < frechet_distance(x, y) / 3
    assert extrapolated(x, y, seed=4) == extrapolated(x, y, seed=4)


def test_the_floor_is_the_distance_of_two_halves():
    x = features(101, 30, 1)
    assert halves_distance(x) == halves_distance(x) > 1
    assert np.isnan(halves_distance(x[:3]))


def test_kid_is_clean_fids_from_the_same_features():
    cleanfid = pytest.importorskip("cleanfid.fid")
    x, y = features(60, 24, 1).astype(np.float64), features(60, 24, 2, 1.1, 0.2).astype(np.float64)
    made = grams(x, y)
    theirs = cleanfid.kernel_distance(x, y)  # with sets of one size, a subset is the set
    assert subset_kid(made) == pytest.approx(theirs, rel=1e-9)
    assert full_kid(made, np.arange(60), np.arange(60)) == pytest.approx(theirs, rel=1e-9)


def test_kid_of_subsets_is_the_plain_loop_with_the_same_draws():
    x, y = features(40, 12, 1).astype(np.float64), features(30, 12, 2, 1.1).astype(np.float64)
    rng, values = np.random.default_rng(5), []
    for _ in range(20):
        a, b = rng.choice(40, 10, replace=False), rng.choice(30, 10, replace=False)
        kxx, kyy, kxy = (((p @ q.T) / 12 + 1) ** 3 for p, q in ((x[a], x[a]), (y[b], y[b]), (x[a], y[b])))
        within = ((kxx.sum() - np.trace(kxx)) + (kyy.sum() - np.trace(kyy))) / 90
        values.append(within - 2 * kxy.mean())
    assert subset_kid(grams(x, y), seed=5, subsets=20, size=10) == pytest.approx(np.mean(values), rel=1e-12)


def test_kid_of_a_part_is_kid_of_the_part():
    x, y = features(40, 12, 1), features(30, 12, 2, 1.1)
    drawn, real = np.arange(5, 25), np.arange(3, 28)
    part = grams(x[drawn], y[real])
    assert full_kid(grams(x, y), drawn, real) == pytest.approx(full_kid(part, np.arange(20), np.arange(25)), rel=1e-9)
    assert np.isnan(full_kid(part, np.arange(1), np.arange(25)))


def test_kid_is_about_zero_for_one_distribution_at_every_size():
    for n in (50, 200):
        assert abs(subset_kid(grams(features(n, 16, 1), features(n, 16, 2)))) < 0.05
