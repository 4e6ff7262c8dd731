"""AUROC, AUPRC and the sensitivity at a specificity agree with scikit-learn on the resamples that the weights stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.stats import ranking
from medbench.stats.bootstrap import draws, once
from medbench.stats.labels import both_kinds, columns, macro, rare, undefined


def _data(rows=120, labels=3, digits=1, seed=0):
    rng = np.random.default_rng(seed)
    truth = (rng.random((rows, labels)) < [0.1, 0.4, 0.8][:labels]).astype(float)
    return truth, np.round(rng.normal(size=(rows, labels)) + truth, digits)


@pytest.mark.parametrize("digits", [0, 1, 9])
def test_areas_agree_with_scikit_learn_on_every_resample(digits):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle here")
    truth, scores = _data(digits=digits)
    weights = next(draws(len(truth), 150, 0, 150))
    auc, average = ranking.areas(truth, scores, weights)
    for row in range(0, 150, 15):
        again = np.repeat(np.arange(len(truth)), weights[row].astype(int))
        assert auc[row] == pytest.approx(metrics.roc_auc_score(truth[again], scores[again], average=None), abs=1e-12)
        assert average[row] == pytest.approx(metrics.average_precision_score(truth[again], scores[again], average=None), abs=1e-12)


@pytest.mark.parametrize("specificity", [0.0, 0.5, 0.8, 0.9, 0.95, 1.0])
def test_sensitivity_agrees_with_the_roc_curve(specificity):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle here")
    truth, scores = _data(rows=200)
    weights = next(draws(200, 20, 0, 20))
    ours = ranking.sensitivity_at(truth, scores, weights, specificity)
    for row in range(20):
        again = np.repeat(np.arange(200), weights[row].astype(int))
        for label in range(3):
            false, true, _ = metrics.roc_curve(truth[again, label], scores[again, label], drop_intermediate=False)
            assert ours[row, label] == pytest.approx(true[false <= 1 - specificity + 1e-12].max(), abs=1e-12)


def test_unknown_truth_does_not_enter():
    truth, scores = _data()
    masked, keep = truth.copy(), np.arange(len(truth)) % 3 > 0
    masked[~keep, 1] = np.nan
    weights = next(draws(len(truth), 9, 0, 9))
    found = ranking.auroc(masked, scores, weights)
    np.testing.assert_allclose(found[:, 1], ranking.auroc(truth[keep, 1], scores[keep, 1], weights[:, keep]), atol=1e-15)
    np.testing.assert_array_equal(found[:, [0, 2]], ranking.auroc(truth, scores, weights)[:, [0, 2]])


@pytest.mark.parametrize("figure", [ranking.auroc, ranking.auprc, lambda t, s, w: ranking.sensitivity_at(t, s, w, 0.5)])
@pytest.mark.parametrize("truth", [[0, 0, 0], [1, 1, 1], [1], [0], [np.nan, np.nan]])
def test_one_class_only_is_undefined(figure, truth):
    truth = np.array(truth, dtype=float)
    scores = np.arange(float(truth.size))
    assert np.isnan(figure(truth, scores, once(truth.size))).all()


@pytest.mark.parametrize("figure", [ranking.auroc, ranking.auprc, lambda t, s, w: ranking.sensitivity_at(t, s, w, 0.5)])
def test_a_resample_without_one_class_is_undefined_and_the_rest_is_not(figure):
    found = figure(np.array([0, 1, 1]), np.array([0.1, 0.2, 0.3]), np.array([[1, 1, 1], [3, 0, 0], [0, 1, 2], [0, 0, 0]]))
    assert np.isnan(found).tolist() == [False, True, True, True]


def test_ties_count_half():
    assert ranking.auroc(np.array([0, 1, 0, 1]), np.full(4, 0.5), once(4)).tolist() == [0.5]


_case = st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3), st.integers(0, 4)), min_size=1, max_size=25)


@given(_case, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=100, derandomize=True)
def test_order_of_rows_and_way_of_counting_do_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    repeated = [(t, s, 1) for t, s, w in rows for _ in range(w)] or [(0, 0, 0)]
    results = []
    for case in (rows, shuffled, repeated):
        truth, scores, weights = (np.array(column, dtype=float) for column in zip(*case, strict=True))
        results.append(np.r_[ranking.areas(truth, scores, weights[None])])
    np.testing.assert_allclose(results[0], results[1], atol=1e-12)
    np.testing.assert_allclose(results[0], results[2], atol=1e-12)


@given(_case)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_auroc_is_the_share_of_pairs_in_order(rows):
    truth, scores, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    pairs = [
        (weights[i] * weights[j], np.sign(scores[i] - scores[j]) / 2 + 0.5)
        for i in np.flatnonzero(truth == 1)
        for j in np.flatnonzero(truth == 0)
    ]
    total = sum(w for w, _ in pairs)
    expected = sum(w * v for w, v in pairs) / total if total else np.nan
    np.testing.assert_allclose(ranking.auroc(truth, scores, weights[None])[0], expected, atol=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="one shape"):
        ranking.auroc(np.zeros(3), np.zeros((3, 1)), once(3))
    with pytest.raises(ValueError, match=r"not 2\.0"):
        ranking.auroc(np.array([0, 2]), np.zeros(2), once(2))
    with pytest.raises(ValueError, match="no score"):
        ranking.auroc(np.array([0, 1]), np.array([0.5, np.nan]), once(2))
    with pytest.raises(ValueError, match="within 0 and 1"):
        ranking.sensitivity_at(np.array([0, 1]), np.zeros(2), once(2), 95)


def test_a_score_may_lack_where_the_truth_does():
    assert columns(np.array([0, np.nan]), np.array([0.5, np.nan]))[0].shape == (2, 1)


def test_labels_without_a_number_are_named_and_left_out():
    truth, scores = _data(rows=60)
    truth[:, 0] = 0
    point = ranking.auroc(truth, scores, once(60))
    assert undefined(point[0], ["a", "b", "c"]) == ["a"]
    assert both_kinds(truth).tolist() == [False, True, True]
    assert macro(point, both_kinds(truth)) == pytest.approx([point[0, 1:].mean()])
    assert set(rare(truth, ["a", "b", "c"])) == {"a", "c"}


def test_mean_of_no_label_is_undefined():
    assert np.isnan(macro(np.ones((2, 2)), np.array([False, False]))).all()
