"""Precision, recall, density, coverage and copies: the plain loops of their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from medbench_imagegen.manifolds import BLOCK, Copies, Prdc, distance_blocks, nearest, radii


def plain_prdc(x, y):
    def kth(points, k):
        return [sorted(np.linalg.norm(points - p, axis=1))[k] for p in points]

    def share(inner, outer, k):
        radius = kth(outer, k)
        return np.mean([any(np.linalg.norm(p - q) <= r for q, r in zip(outer, radius, strict=True)) for p in inner])

    wide = kth(y, 5)
    density = np.mean([sum(np.linalg.norm(p - q) < r for q, r in zip(y, wide, strict=True)) for p in x]) / 5
    coverage = np.mean([any(np.linalg.norm(p - q) < r for p in x) for q, r in zip(y, wide, strict=True)])
    return [share(x, y, 3), share(y, x, 3), density, coverage]


@pytest.mark.parametrize("shift", [0.0, 0.7, 9.0])
@pytest.mark.parametrize(("n", "m"), [(25, 32), (9, 6), (6, 40)])
def test_prdc_is_the_plain_loop(n, m, shift):
    rng = np.random.default_rng(2)
    drawn, real = rng.normal(size=(n, 4)) + shift, rng.normal(size=(m, 4))
    found = Prdc.values(Prdc, drawn, real)
    assert list(found) == ["precision", "recall", "density", "coverage"]
    assert list(found.values()) == pytest.approx(plain_prdc(drawn, real))


def test_more_pictures_than_a_block_are_the_plain_loop_too(monkeypatch):
    monkeypatch.setattr("medbench_imagegen.manifolds.BLOCK", 7)
    rng = np.random.default_rng(3)
    drawn, real = rng.normal(size=(25, 4)), rng.normal(size=(32, 4))
    assert list(Prdc.values(Prdc, drawn, real).values()) == pytest.approx(plain_prdc(drawn, real))


def test_equal_sets_are_fully_covered_at_density_one_and_few_pictures_are_undefined():
    points = np.random.default_rng(1).normal(size=(20, 3))
    found = Prdc.values(Prdc, points, points)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
    assert found["density"] == pytest.approx(1)  # itself and four neighbours: the fifth lies on the border
    assert np.isnan(Prdc.values(Prdc, points[:5], points)["recall"])


def test_distances_in_blocks_are_distances():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(BLOCK + 3, 2)), rng.normal(size=(4, 2))
    expected = np.linalg.norm(x[:, None] - y[None], axis=2)
    np.testing.assert_allclose(np.concatenate([made for _, made in distance_blocks(x, y)]), expected, atol=1e-7)
    np.testing.assert_allclose(nearest(x, y), expected.min(axis=1), atol=1e-7)
    one, two = radii(np.array([[0.0], [1.0], [3.0]]), 1, 2)
    assert (one.tolist(), two.tolist()) == ([1, 1, 2], [3, 2, 3])


def to_train(drawn, real, train):
    return Copies.values(Copies, nearest(drawn, train), nearest(real, train))


def test_copies_of_train_are_found_and_new_pictures_are_not():
    rng = np.random.default_rng(4)
    train, real, new = (rng.normal(size=(200, 6)) for _ in range(3))
    assert to_train(train[:50] + 1e-4, real, train) == {"copies": 1.0, "nearer": 1.0}
    fresh = to_train(new, real, train)
    assert fresh["copies"] < 0.12
    assert 0.4 < fresh["nearer"] < 0.6


def test_nearer_is_the_share_of_pairs_with_ties_for_a_half():
    drawn, real = np.array([0.0, 1.0, 5.0]), np.array([1.0, 2.0])
    expected = np.mean([[1.0 if d < r else 0.5 if d == r else 0.0 for r in real] for d in drawn])
    assert Copies.values(Copies, drawn, real)["nearer"] == expected


def test_without_train_pictures_copies_are_undefined_in_words(pictures, drawn_pairs, reals_of):
    metric = Copies()
    rows = metric.measure(drawn_pairs(pictures(3)), reals_of(pictures(4, seed=1)))
    assert np.isnan(list(metric.reduce_sets(rows, np.arange(3), np.arange(4)).values())).all()
    assert "not at hand" in metric.notes(rows, np.arange(3), np.arange(4))["copies-small-v1"]
