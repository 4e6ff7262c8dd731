"""Precision, recall, density, coverage and copies: the plain loops of their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from medbench_imagegen.manifolds import BLOCK, Copies, Prdc, distances, radii


def rows(drawn, real, train=None):
    return {"drawn": drawn, "real": real, "train": np.empty((0, 0)) if train is None else train, "label": np.array("n")}


def everything(given):
    return np.arange(len(given["drawn"])), np.arange(len(given["real"]))


def plain_prdc(x, y):
    def kth(points, k):
        return [sorted(np.linalg.norm(points - p, axis=1))[k] for p in points]

    def share(inner, outer, k):
        radius = kth(outer, k)
        return np.mean([any(np.linalg.norm(p - q) <= r for q, r in zip(outer, radius, strict=True)) for p in inner])

    wide = kth(y, 5)
    density = np.mean([sum(np.linalg.norm(p - q) <= r for q, r in zip(y, wide, strict=True)) for p in x]) / 5
    coverage = np.mean([any(np.linalg.norm(p - q) <= r for p in x) for q, r in zip(y, wide, strict=True)])
    return [share(x, y, 3), share(y, x, 3), density, coverage]


@pytest.mark.parametrize("shift", [0.0, 0.7, 9.0])
def test_prdc_is_the_plain_loop(shift):
    rng = np.random.default_rng(2)
    given = rows(rng.normal(size=(25, 4)) + shift, rng.normal(size=(32, 4)))
    found = Prdc.reduce_sets(None, given, *everything(given))
    assert list(found) == ["precision-n", "recall-n", "density-n", "coverage-n"]
    assert list(found.values()) == pytest.approx(plain_prdc(given["drawn"], given["real"]))


def test_equal_sets_are_fully_covered_and_few_pictures_are_undefined():
    points = np.random.default_rng(1).normal(size=(20, 3))
    given = rows(points, points)
    assert Prdc.reduce_sets(None, given, *everything(given))["coverage-n"] == 1
    assert np.isnan(Prdc.reduce_sets(None, given, np.arange(5), np.arange(20))["recall-n"])


def test_distances_in_blocks_are_distances():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(BLOCK + 3, 2)), rng.normal(size=(4, 2))
    np.testing.assert_allclose(distances(x, y), np.linalg.norm(x[:, None] - y[None], axis=2), atol=1e-7)
    assert radii(np.array([[0.0], [1.0], [3.0]]), 1).tolist() == [1, 1, 2]


def test_copies_of_train_are_found_and_new_pictures_are_not():
    rng = np.random.default_rng(4)
    train, real, new = (rng.normal(size=(200, 6)) for _ in range(3))
    copied = rows(train[:50] + 1e-4, real, train)
    metric = object.__new__(Copies)
    assert metric.reduce_sets(copied, *everything(copied)) == {"copies-n": 1.0}
    fresh = rows(new, real, train)
    assert metric.reduce_sets(fresh, *everything(fresh))["copies-n"] < 0.12


def test_without_train_pictures_copies_are_undefined_in_words():
    given = rows(np.ones((3, 2)), np.ones((3, 2)))
    metric = object.__new__(Copies)
    assert np.isnan(metric.reduce_sets(given, *everything(given))["copies-n"])
    assert "not at hand" in metric.notes(given, *everything(given))["copies-n"]
