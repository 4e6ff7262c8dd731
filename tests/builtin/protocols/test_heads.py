"""Heads: scikit-learn's own numbers, one kind of truth, masks, and nothing that is asked about flowing back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from medbench.builtin.protocols import heads
from medbench.builtin.protocols.heads import fit_predict


def blobs(n=120, dim=5, seed=0, apart=2.0):
    rng = np.random.default_rng(seed)
    truth = (np.arange(n) % 3 == 0).astype(float)
    return (rng.normal(size=(n, dim)) + apart * truth[:, None]).astype(np.float32), truth[:, None]


def groups(n):
    return [str(i) for i in range(n)]


def standardised(seen, asked):
    seen, asked = seen.astype(float), asked.astype(float)
    return (seen - seen.mean(0)) / seen.std(0), (asked - seen.mean(0)) / seen.std(0)


def fitted(head, seen, truth, asked, *, exclusive=False, seed=0):
    return fit_predict(head, seen, truth, asked, exclusive=exclusive, groups=groups(len(seen)), seed=seed)


@pytest.mark.parametrize("dim", [5, 200])
def test_the_logistic_head_is_scikit_learns_with_the_strength_that_was_chosen(monkeypatch, dim):
    monkeypatch.setitem(heads.STRENGTHS, "logistic", (0.05,))
    seen, truth = blobs(dim=dim)
    asked, _ = blobs(40, dim=dim, seed=1)
    a, b = standardised(seen, asked)
    expected = LogisticRegression(C=0.05, max_iter=5000, tol=1e-9).fit(a, truth[:, 0]).predict_proba(b)[:, 1]
    assert fitted("logistic", seen, truth, asked)[:, 0] == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("head", ["logistic", "mlp"])
def test_heads_learn_what_can_be_learnt(head):
    seen, truth = blobs()
    asked, right = blobs(60, seed=1)
    found = fitted(head, seen, truth, asked)
    assert ((found[:, 0] >= 0.5) == (right[:, 0] == 1)).mean() > 0.9
    assert np.array_equal(found, fitted(head, seen, truth, asked)), "the same numbers every time"


def test_classes_share_one_head_and_unseen_ones_get_nothing():
    rng = np.random.default_rng(0)
    kinds = np.arange(60) % 3
    truth = np.eye(4)[kinds]
    seen = rng.normal(size=(60, 4)) + 4 * truth
    found = fitted("logistic", seen, truth, seen, exclusive=True)
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found.argmax(axis=1) == kinds).mean() > 0.9
    assert set(found[:, 3]) == {0.0}


def test_masked_truth_does_not_count_for_its_label():
    seen, truth = blobs()
    both = np.hstack([truth, truth])
    both[60:, 1] = np.nan
    found = fitted("logistic", seen, both, seen[:10])
    alone = fit_predict("logistic", seen, truth, seen[:10], exclusive=False, groups=groups(120), seed=0)
    assert found[:, 0] == pytest.approx(alone[:, 0])
    assert np.abs(found[:, 1] - found[:, 0]).max() > 1e-6


def test_one_kind_of_truth_gives_its_smoothed_share():
    seen, _ = blobs(8)
    assert fitted("logistic", seen, np.ones((8, 1)), seen[:2])[:, 0] == pytest.approx([0.9, 0.9])
    assert fitted("mlp", seen, np.zeros((8, 1)), seen[:2])[:, 0] == pytest.approx([0.1, 0.1])


@given(st.sampled_from(["constant", "zero", "one example", "two examples", "huge", "tiny", "twins"]), st.integers(0, 3))
@settings(max_examples=28, deadline=None)
def test_hostile_vectors_give_probabilities_without_a_warning(kind, seed):
    rng = np.random.default_rng(seed)
    n = {"one example": 1, "two examples": 2}.get(kind, 12)
    seen = {
        "constant": np.full((n, 3), 7.3),
        "zero": np.zeros((n, 3)),
        "huge": rng.normal(size=(n, 3)) * 1e30,
        "tiny": rng.normal(size=(n, 3)) * 1e-30,
        "twins": np.repeat(rng.normal(size=(1, 3)), n, axis=0),
    }.get(kind, rng.normal(size=(n, 3))).astype(np.float32)
    truth = (np.arange(n) % 2).astype(float)[:, None]
    found = fitted("logistic", seen, truth, np.vstack([seen, seen[:1] * 3]), seed=seed)
    assert found.shape == (n + 1, 1)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_what_is_asked_about_changes_no_head():
    seen, truth = blobs()
    asked, _ = blobs(20, seed=1)
    alone = fitted("logistic", seen, truth, asked[:1])
    assert fitted("logistic", seen, truth, np.vstack([asked, asked * 100]))[0] == pytest.approx(alone[0])


def test_a_group_lies_on_one_side_of_the_inner_validation():
    names = [f"g{i // 3}" for i in range(60)]
    fold = heads._folds(names, 0)
    assert all(len({int(f) for f, name in zip(fold, names, strict=True) if name == group}) == 1 for group in set(names))
    assert set(fold.tolist()) == {0, 1, 2}


def test_the_strength_is_chosen_where_held_out_examples_are_best():
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(90, 40))
    kinds = rng.integers(0, 2, 90)
    fold = np.arange(90) % 3
    # nothing to learn: whatever binds most loses least
    assert heads._chosen("logistic", noise, kinds, fold, 0) == min(heads.STRENGTHS["logistic"])
    clear = np.hstack([kinds[:, None] * 8.0, noise * 0.01])
    assert heads._chosen("logistic", clear, kinds, fold, 0) == max(heads.STRENGTHS["logistic"])
    assert heads._chosen("logistic", noise[:2], np.array([0, 1]), np.array([0, 1]), 0) == heads.UNCHOSEN["logistic"]
