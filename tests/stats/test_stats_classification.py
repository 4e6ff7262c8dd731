"""F1 and the accuracies agree with scikit-learn on the resamples that the weights stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medbench.stats import classification as ours
from medbench.stats.bootstrap import draws, once

AVERAGES = ("none", "macro", "micro", "weighted", "samples")


def _data(rows=80, labels=5, seed=0):
    rng = np.random.default_rng(seed)
    truth = (rng.random((rows, labels)) < 0.3).astype(float)
    return truth, np.where(rng.random((rows, labels)) < 0.7, truth, 1 - truth)


@pytest.mark.parametrize("average", AVERAGES)
def test_f1_agrees_with_scikit_learn(average):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle here")
    truth, decided = _data()
    weights = next(draws(80, 25, 0, 25))
    found = ours.f1(truth, decided, weights, average, empty=0.0)
    for row in range(25):
        again = np.repeat(np.arange(80), weights[row].astype(int))
        name = None if average == "none" else average
        expected = metrics.f1_score(truth[again], decided[again], average=name, zero_division=0)
        assert found[row] == pytest.approx(expected, abs=1e-12)


def test_accuracies_and_rates_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle here")
    truth, decided = _data()
    weights = next(draws(80, 10, 0, 10))
    for row in range(10):
        again = np.repeat(np.arange(80), weights[row].astype(int))
        t, d, w = truth[again], decided[again], weights[row : row + 1]
        assert ours.subset_accuracy(truth, decided, w) == pytest.approx([metrics.accuracy_score(t, d)], abs=1e-12)
        for label in range(5):
            pair, column = (t[:, label], d[:, label]), (truth[:, label], decided[:, label], w)
            assert ours.label_accuracy(*column) == pytest.approx([metrics.accuracy_score(*pair)], abs=1e-12)
            assert ours.sensitivity(*column) == pytest.approx([metrics.recall_score(*pair)], abs=1e-12)
            assert ours.specificity(*column) == pytest.approx([metrics.recall_score(*pair, pos_label=0)], abs=1e-12)
            assert ours.precision(*column) == pytest.approx([metrics.precision_score(*pair)], abs=1e-12)


def test_a_label_that_never_occurs_is_undefined_and_left_out_of_the_mean():
    truth, decided = _data()
    truth[:, 2] = decided[:, 2] = 0
    each = ours.f1(truth, decided, once(80), "none")[0]
    assert np.isnan(each).tolist() == [False, False, True, False, False]
    assert ours.f1(truth, decided, once(80), "macro") == pytest.approx([np.nanmean(each)])
    assert np.isfinite(ours.f1(truth, decided, once(80), "weighted")).all()


def test_calls_without_a_positive_count_as_wrong():
    assert ours.f1(np.array([0, 0]), np.array([1, 0]), once(2), "none").tolist() == [0.0]


def test_macro_keeps_its_labels_in_every_resample():
    truth = decided = np.array([[1, 0], [0, 1], [0, 1]])
    found = ours.f1(truth, decided, np.array([[1, 1, 1], [0, 2, 1]]), "macro")
    np.testing.assert_array_equal(found, [1.0, np.nan])


def test_always_normal_shows_in_macro_and_hides_in_micro():
    truth = np.zeros((100, 14))
    truth[:55, 0] = 1
    truth[np.arange(55, 100), 1 + np.arange(45) % 13] = 1
    decided = np.zeros((100, 14))
    decided[:, 0] = 1
    assert ours.f1(truth, decided, once(100), "micro") == pytest.approx([0.55])
    assert ours.f1(truth, decided, once(100), "macro")[0] < 0.06
    assert ours.label_accuracy(truth, decided, once(100)).mean() > 0.9
    assert ours.subset_accuracy(truth, decided, once(100)) == pytest.approx([0.55])


@pytest.mark.parametrize("average", ["micro", "samples", "weighted"])
def test_unknown_truth_does_not_enter(average):
    truth, decided = _data()
    truth[::4] = np.nan
    weights = next(draws(80, 6, 0, 6))
    keep = np.arange(80) % 4 > 0
    expected = ours.f1(truth[keep], decided[keep], weights[:, keep], average)
    np.testing.assert_allclose(ours.f1(truth, decided, weights, average), expected, atol=1e-15)
    expected = ours.subset_accuracy(truth[keep], decided[keep], weights[:, keep])
    np.testing.assert_allclose(ours.subset_accuracy(truth, decided, weights), expected, atol=1e-15)


def test_one_unknown_label_leaves_the_others_of_its_row():
    truth, decided = np.array([[1, np.nan], [1, 0]]), np.array([[1, 1], [1, 1]])
    assert ours.subset_accuracy(truth, decided, once(2)).tolist() == [0.5]
    assert ours.label_accuracy(truth, decided, once(2)).tolist() == [[1.0, 0.0]]


def test_rows_without_any_label_follow_the_stated_rule():
    truth, decided = np.array([[1, 0], [0, 0]]), np.array([[1, 0], [0, 0]])
    assert ours.f1(truth, decided, once(2), "samples").tolist() == [1.0]
    assert ours.f1(truth, decided, once(2), "samples", empty=0.0).tolist() == [0.5]
    unknown = np.array([[1, 0], [np.nan, np.nan]])
    assert ours.f1(unknown, decided, once(2), "samples", empty=0.0).tolist() == [1.0]


def test_probabilities_are_no_decisions():
    with pytest.raises(ValueError, match="threshold"):
        ours.f1(np.array([0, 1]), np.array([0.2, 0.7]), once(2))


_tables = arrays.arrays(np.int8, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(0, 3))


@given(_tables)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_figures_are_shares_or_undefined_and_do_not_depend_on_order(table):
    truth, decided = (table % 2).astype(float), (table // 2).astype(float)
    weights = np.vstack([once(len(table)), np.arange(len(table)) % 3, np.zeros(len(table))])
    figures = [lambda t, d, w, a=a: ours.f1(t, d, w, a) for a in AVERAGES] + [ours.subset_accuracy, ours.label_accuracy]
    for figure in figures:
        values = figure(truth, decided, weights)
        assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()
        assert np.isnan(values[2]).all()
        np.testing.assert_allclose(figure(truth[::-1], decided[::-1], weights[:, ::-1]), values, atol=1e-12)
