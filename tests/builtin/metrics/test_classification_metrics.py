"""The metrics of probabilities against scikit-learn, label by label and under weights, and what their cards promise."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from sklearn import metrics as sk

from medbench.builtin.metrics.classification_calibration import Brier, Ece, LogLoss
from medbench.builtin.metrics.classification_decisions import F1, Accuracy
from medbench.builtin.metrics.classification_ranking import Auprc, Auroc, Sensitivity
from medbench.cards import MetricCard
from medbench.stats.calibration import ece_floor
from medbench.testing import check_metric
from medbench.types import Pair, Probabilities, Sample

NAMES = ("edema", "Pleural Effusion", "肺炎")
CLASSES = {"accuracy": Accuracy, "auprc": Auprc, "auroc": Auroc, "brier": Brier, "ece": Ece, "f1": F1, "log-loss": LogLoss}
CLASSES["sensitivity"] = Sensitivity


def pairs_of(truth, probabilities, names=NAMES):
    made = []
    for number, (row, given) in enumerate(zip(truth, probabilities, strict=True)):
        labels = {name: None if np.isnan(value) else float(value) for name, value in zip(names, row, strict=True)}
        sample = Sample(id=f"s{number}", group=f"g{number // 2}", split="test", labels=labels)
        made.append(Pair(sample, Probabilities(labels=tuple(names), values=tuple(map(float, given)))))
    return made


def made_up(rows=60, labels=3, seed=0, masked=0.0, exclusive=False):
    """Truth with all kinds of cells, and probabilities of two decimals, so that there are ties."""
    rng = np.random.default_rng(seed)
    if exclusive:
        truth = np.eye(labels)[np.r_[np.arange(labels), rng.integers(0, labels, rows - labels)]]
    else:
        truth = (rng.random((rows, labels)) < np.linspace(0.2, 0.5, labels)).astype(float)
    probabilities = np.round(1 / (1 + np.exp(0.7 - rng.normal(size=truth.shape) - 1.5 * truth)), 2)
    if exclusive:
        probabilities = np.round(probabilities / probabilities.sum(axis=1, keepdims=True), 4)
    truth[rng.random(truth.shape) < masked] = np.nan
    return truth, probabilities


def values_of(metric, pairs, weights=None):
    rows = metric.measure(pairs)
    reduced = metric.reduce(rows, np.ones((1, len(pairs))) if weights is None else weights)
    return {name: value for name, (value, _) in reduced.items()}


def by_columns(function, truth, given, weights):
    """Return a scikit-learn figure of each label over its known rows, under one row of weights."""
    found = []
    for column in range(truth.shape[1]):
        known = ~np.isnan(truth[:, column]) & (weights > 0)
        found.append(function(truth[known, column], given[known, column], sample_weight=weights[known]))
    return np.array(found)


BY_LABEL = {
    "auroc": sk.roc_auc_score,
    "auprc": sk.average_precision_score,
    "brier": sk.brier_score_loss,
    "log-loss": lambda y, p, sample_weight: sk.log_loss(y, p, sample_weight=sample_weight, labels=[0, 1]),
    "f1": lambda y, p, sample_weight: sk.f1_score(y, p >= 0.5, sample_weight=sample_weight),
}


@pytest.mark.parametrize("masked", [0.0, 0.2])
@pytest.mark.parametrize("name", BY_LABEL)
def test_each_label_and_their_mean_are_scikit_learns_under_every_weight(name, masked):
    truth, given = made_up(masked=masked)
    weights = np.random.default_rng(1).integers(0, 4, (5, len(truth))).astype(float)
    ours = values_of(CLASSES[name](), pairs_of(truth, given), weights)
    for number, counts in enumerate(weights):
        theirs = by_columns(BY_LABEL[name], truth, given, counts)
        assert [ours[f"label:{label}"][number] for label in NAMES] == pytest.approx(theirs)
        assert ours["macro"][number] == pytest.approx(theirs.mean())


def test_the_averages_of_f1_are_scikit_learns():
    truth, given = made_up(rows=80)
    counts = np.random.default_rng(2).integers(0, 4, (3, 80)).astype(float)
    ours = values_of(F1(empty=0.0), pairs_of(truth, given), counts)
    assert list(ours)[:4] == ["macro", "micro", "weighted", "samples"]
    for number, weight in enumerate(counts):
        for average in ("macro", "micro", "weighted", "samples"):
            theirs = sk.f1_score(truth, given >= 0.5, average=average, sample_weight=weight, zero_division=0)
            assert ours[average][number] == pytest.approx(theirs), average


def test_an_image_without_labels_on_either_side_enters_as_it_is_told():
    truth, given = np.array([[0, 0, 0], [1, 0, 0]]), np.array([[0.1, 0.1, 0.1], [0.9, 0.1, 0.1]])
    for empty, value, used in ((None, 1.0, [False, True]), (0.0, 0.5, [True, True]), (1.0, 1.0, [True, True])):
        metric = F1(empty=empty)
        rows = metric.measure(pairs_of(truth, given))
        values, mask = metric.reduce(rows, np.ones((1, 2)))["samples"]
        assert (values[0], mask.tolist()) == (value, used)
        assert np.array_equal(metric.per_sample(rows)["samples"], [np.nan if empty is None else empty, 1.0], equal_nan=True)


def test_accuracies_bear_the_name_of_what_was_decided():
    truth, given = made_up()
    ours = values_of(Accuracy(), pairs_of(truth, given))
    assert list(ours) == ["subset", "label", *(f"label:{name}" for name in NAMES)]
    assert ours["subset"][0] == pytest.approx(sk.accuracy_score(truth, given >= 0.5))
    assert ours["label"][0] == pytest.approx(np.mean(truth == (given >= 0.5)))


def test_of_classes_that_exclude_each_other_the_most_probable_one_is_the_decision():
    truth, given = made_up(rows=50, labels=4, exclusive=True)
    names = ("a", "b", "c", "d")
    right, best = truth.argmax(axis=1), given.argmax(axis=1)
    assert (given.max(axis=1) < 0.5).any(), "a threshold would decide otherwise"
    ours = values_of(Accuracy(), pairs_of(truth, given, names))
    assert {name: value[0] for name, value in ours.items()} == {
        "accuracy": pytest.approx(sk.accuracy_score(right, best)),
        "balanced": pytest.approx(sk.balanced_accuracy_score(right, best)),
    }
    f1 = F1()
    ours = values_of(f1, pairs_of(truth, given, names))
    assert ours["macro"][0] == pytest.approx(sk.f1_score(right, best, average="macro"))
    assert ours["micro"][0] == pytest.approx(sk.accuracy_score(right, best))
    assert f1.signature()["decision"] == "the most probable class: every sample has exactly one"


def test_a_class_that_does_not_occur_is_in_no_mean():
    truth, given = made_up(rows=30, exclusive=True)
    absent = np.column_stack([truth, np.zeros(30)]), np.column_stack([given, np.full(30, 0.01)])
    metric = Accuracy()
    ours = values_of(metric, pairs_of(*absent, (*NAMES, "gone")))
    assert ours["balanced"][0] == values_of(Accuracy(), pairs_of(truth, given))["balanced"][0]
    assert metric.signature()["undefined"].startswith("gone: ")


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_of_one_label_there_is_one_accuracy_and_one_f1(threshold):
    truth, given = made_up(labels=1)
    pairs = pairs_of(truth, given, ("pneumonia",))
    right, called = truth[:, 0], given[:, 0] >= threshold
    assert {name: value[0] for name, value in values_of(Accuracy(threshold=threshold), pairs).items()} == {
        "accuracy": pytest.approx(sk.accuracy_score(right, called)),
        "balanced": pytest.approx(sk.balanced_accuracy_score(right, called)),
    }
    f1 = pytest.approx(sk.f1_score(right, called))
    assert {name: value[0] for name, value in values_of(F1(threshold=threshold), pairs).items()} == {"macro": f1, "label:pneumonia": f1}


def test_one_label_that_all_have_is_still_decided_by_the_threshold():
    pairs = pairs_of(np.ones((4, 1)), np.array([[0.9], [0.2], [0.6], [0.5]]), ("pneumonia",))
    assert values_of(Accuracy(), pairs)["accuracy"][0] == 0.75
    assert values_of(F1(), pairs)["macro"][0] == pytest.approx(6 / 7)


def test_what_is_masked_is_neither_right_nor_wrong():
    truth, given = np.array([[1, np.nan, 0], [np.nan, 1, 0], [np.nan] * 3]), np.array([[0.9, 0.9, 0.1], [0.9, 0.1, 0.1], [0.9] * 3])
    accuracy, f1 = Accuracy(), F1()
    assert np.array_equal(accuracy.per_sample(accuracy.measure(pairs_of(truth, given)))["subset"], [1, 0, np.nan], equal_nan=True)
    assert np.array_equal(f1.per_sample(f1.measure(pairs_of(truth, given)))["samples"], [1, 0, np.nan], equal_nan=True)


@pytest.mark.parametrize("specificity", [0.8, 0.95])
def test_sensitivity_is_the_highest_of_the_curve_at_that_specificity(specificity):
    truth, given = made_up(rows=120)
    metric = Sensitivity(specificity=specificity)
    ours = values_of(metric, pairs_of(truth, given))
    for column, name in enumerate(NAMES):
        false_positive, true_positive, _ = sk.roc_curve(truth[:, column], given[:, column], drop_intermediate=False)
        assert ours[f"label:{name}"][0] == pytest.approx(true_positive[false_positive <= 1 - specificity + 1e-9].max())
    assert metric.signature()["specificity"] == f"at least {specificity:g}"


def calibration_error(right, given, bins=15):
    """The definition, bin by bin: (low, high], the first one with its lower edge."""
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in pairwise(edges):
        inside = (given > low) & (given <= high) | ((low == 0) & (given == 0))
        total += abs(right[inside].sum() - given[inside].sum())
    return total / len(right)


def test_the_two_calibration_errors_are_two_numbers():
    truth, given = made_up(rows=200)
    metric = Ece()
    ours = values_of(metric, pairs_of(truth, given))
    each = [calibration_error(truth[:, n], given[:, n]) for n in range(3)]
    assert [ours[f"label:{name}"][0] for name in NAMES] == pytest.approx(each)
    assert ours["positive"][0] == pytest.approx(np.mean(each))
    sure, right = np.maximum(given, 1 - given), (given >= 0.5) == truth
    assert ours["confidence"][0] == pytest.approx(np.mean([calibration_error(right[:, n], sure[:, n]) for n in range(3)]))
    assert ours["confidence"][0] != pytest.approx(ours["positive"][0])


def test_the_confidence_of_classes_is_that_of_the_most_probable_one():
    truth, given = made_up(rows=90, exclusive=True)
    right = truth[np.arange(90), given.argmax(axis=1)]
    ours = values_of(Ece(bins=10), pairs_of(truth, given))
    assert ours["confidence"][0] == pytest.approx(calibration_error(right, given.max(axis=1), bins=10))


def test_the_signature_of_ece_states_floor_slope_and_intercept():
    rng = np.random.default_rng(3)
    given = rng.random((2000, 1))
    truth = (rng.random((2000, 1)) < given).astype(float)
    metric = Ece()
    value = values_of(metric, pairs_of(truth, given, ("edema",)))["positive"][0]
    stated = metric.signature()
    assert stated["floor"]["edema"] == stated["floor of positive"] == pytest.approx(0.027, abs=0.004)
    assert value == pytest.approx(stated["floor of positive"], abs=0.015), "a calibrated model is at its floor"
    assert stated["slope"]["edema"] == pytest.approx(1.0, abs=0.15)
    assert stated["intercept"]["edema"] == pytest.approx(0.0, abs=0.15)
    expected = ece_floor(truth, given, definition="confidence")[0]
    assert stated["floor of confidence"] == pytest.approx(expected, abs=5e-5) != pytest.approx(stated["floor of positive"], abs=1e-3)
    odds = given**3 / (given**3 + (1 - given) ** 3)
    values_of(metric, pairs_of(truth, odds, ("edema",)))
    assert metric.signature()["slope"]["edema"] == pytest.approx(1 / 3, abs=0.06), "three times too sure"


def test_labels_are_found_by_name_and_what_one_side_lacks_is_not_scored():
    truth, given = made_up()
    pairs = pairs_of(truth, given)
    turned = [
        Pair(pair.sample, Probabilities(labels=("extra", *pair.value.labels[::-1]), values=(0.5, *pair.value.values[::-1])))
        for pair in pairs
    ]
    metric = Auroc()
    assert {name: value[0] for name, value in values_of(metric, turned).items()} == {
        name: value[0] for name, value in values_of(Auroc(), pairs).items()
    }
    fewer = [Pair(pair.sample, Probabilities(labels=NAMES[:2], values=pair.value.values[:2])) for pair in pairs]
    ours = values_of(metric, fewer)
    assert list(ours) == ["macro", "label:edema", "label:Pleural Effusion"]
    assert metric.signature()["not predicted"] == "肺炎: labels of the data that no prediction has"


def test_undefined_and_rare_labels_are_named():
    truth, given = made_up(rows=100)
    truth[:, 1] = 0
    truth[:, 2] = np.arange(100) < 19
    metric = Auroc()
    rows = metric.measure(pairs_of(truth, given))
    reduced = metric.reduce(rows, np.ones((1, 100)))
    assert np.isnan(reduced["label:Pleural Effusion"][0]).all()
    assert not reduced["label:Pleural Effusion"][1].any()
    assert reduced["macro"][0][0] == pytest.approx((reduced["label:edema"][0][0] + reduced["label:肺炎"][0][0]) / 2)
    stated = metric.signature()
    assert stated["undefined"] == "Pleural Effusion: only one kind of truth; left out of every mean over labels"
    assert stated["rare"].startswith("肺炎 19: fewer than 20 positives")


def test_a_mean_is_of_the_same_labels_in_every_part_and_resample():
    truth, given = made_up(rows=40)
    truth[:, 2] = 0
    truth[0, 2] = 1
    metric = Auroc()
    rows = metric.measure(pairs_of(truth, given))
    without = np.ones((2, 40))
    without[1, 0] = 0
    whole, resample = metric.reduce(rows, without)["macro"][0]
    assert np.isfinite(whole)
    assert np.isnan(resample)
    assert np.isnan(metric.reduce(rows[1:], np.ones((1, 39)))["macro"][0][0]), "a subgroup without the label is no mean of others"
    assert np.isfinite(metric.reduce(rows[1:], np.ones((1, 39)))["label:edema"][0][0])


def test_n_counts_the_rows_whose_truth_is_known():
    truth, given = made_up(rows=50, masked=0.3)
    truth[:4] = np.nan
    for made in CLASSES.values():
        metric = made()
        reduced = metric.reduce(metric.measure(pairs_of(truth, given)), np.ones((1, 50)))
        for at, name in enumerate(NAMES):
            if f"label:{name}" in reduced:
                assert np.array_equal(reduced[f"label:{name}"][1], ~np.isnan(truth[:, at]))
        first = reduced[next(iter(reduced))][1]
        assert np.array_equal(first, ~np.isnan(truth).all(axis=1))


@pytest.mark.parametrize("shape", [{}, {"masked": 0.25}, {"exclusive": True}, {"labels": 1}])
@pytest.mark.parametrize("name", CLASSES)
def test_cards_promise_no_more_than_is_kept(registry, name, shape):
    truth, given = made_up(rows=14, seed=5, **shape)
    found = check_metric(registry.get(MetricCard, name), pairs_of(truth, given, NAMES[: truth.shape[1]]))
    assert any(np.isfinite(value) for value in found.values())


@pytest.mark.parametrize("name", CLASSES)
def test_primary_scores_are_given_and_signatures_are_plain(registry, name):
    metric = CLASSES[name]()
    rows = metric.measure(pairs_of(*made_up(labels=1), ("pneumonia",)))
    primary = {score for score, facts in registry.get(MetricCard, name).scores.items() if facts.primary}
    assert primary <= set(metric.reduce(rows, np.ones((1, len(rows)))))
    assert primary
    assert json.loads(json.dumps(metric.signature()))["labels"] == ["pneumonia"]
