"""Awkward data under the metrics of probabilities: one kind of truth, nothing known, one sample, no weight, wrong input."""

from __future__ import annotations

import doctest
import importlib
import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medbench.builtin.metrics.classification_calibration import Brier, Ece, LogLoss
from medbench.builtin.metrics.classification_decisions import F1, Accuracy
from medbench.builtin.metrics.classification_ranking import Auprc, Auroc, Sensitivity
from medbench.builtin.metrics.classification_rows import from_rows, read_pairs, to_rows
from medbench.cards import MetricCard
from medbench.errors import DataError, PluginError, UsageError
from medbench.types import Pair, Probabilities, Sample, Text

CLASSES = {"accuracy": Accuracy, "auprc": Auprc, "auroc": Auroc, "brier": Brier, "ece": Ece, "f1": F1, "log-loss": LogLoss}
CLASSES["sensitivity"] = Sensitivity
NAN = float("nan")


def pair(truth, given, number=0):
    sample = Sample(id=f"s{number}", group="g", split="test", labels=truth)
    return Pair(sample, Probabilities(labels=tuple(given), values=tuple(given.values())))


def pairs_of(truth, given):
    names = [f"l{at}" for at in range(truth.shape[1])]
    return [
        pair(dict(zip(names, map(float, row), strict=True)), dict(zip(names, map(float, values), strict=True)), number)
        for number, (row, values) in enumerate(zip(truth, given, strict=True))
    ]


@st.composite
def tables(draw):
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 3)))
    truth = draw(hnp.arrays(float, shape, elements=st.sampled_from([0.0, 1.0, NAN])))
    given = draw(hnp.arrays(float, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])))
    weights = draw(hnp.arrays(float, (3, shape[0]), elements=st.sampled_from([0.0, 1.0, 2.0])))
    return truth, given, weights


@pytest.mark.parametrize("name", CLASSES)
@settings(max_examples=60, deadline=None)
@given(tables())
def test_any_table_gives_numbers_in_range_or_none_and_weights_are_repetitions(registry, name, table):
    truth, probabilities, weights = table
    card, metric = registry.get(MetricCard, name), CLASSES[name]()
    rows = metric.measure(pairs_of(truth, probabilities))
    for number, counts in enumerate(weights):
        reduced = metric.reduce(rows, weights)
        again = metric.reduce(np.repeat(rows, counts.astype(int)), np.ones((1, int(counts.sum())))) if counts.any() else None
        for score, (values, used) in reduced.items():
            assert values.shape == (3,)
            assert used.shape == (len(rows),)
            if again is not None:
                assert np.isclose(values[number], again[score][0][0], equal_nan=True, atol=1e-9)
            if not counts[used].any():
                assert np.isnan(values[number])
            facts = card.facts(score)
            assert np.isnan(values[number]) or -1e-12 <= values[number] <= (facts.high or np.inf) + 1e-12


@pytest.mark.parametrize("kind", [0.0, 1.0])
@pytest.mark.parametrize("name", ["auroc", "auprc", "sensitivity"])
def test_one_kind_of_truth_is_undefined_never_a_half(name, kind):
    metric = CLASSES[name]()
    rows = metric.measure([pair({"edema": kind}, {"edema": 0.1 * n}, n) for n in range(5)])
    assert all(np.isnan(values).all() for values, _ in metric.reduce(rows, np.ones((2, 5))).values())
    assert metric.signature()["undefined"].startswith("edema: only one kind of truth")


@pytest.mark.parametrize("name", CLASSES)
def test_where_nothing_is_known_there_is_no_number_and_no_warning(name):
    metric = CLASSES[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = metric.measure([pair({"edema": None, "x": NAN}, {"edema": 0.5, "x": 0.5}, n) for n in range(4)])
        reduced = metric.reduce(rows, np.ones((2, 4)))
    assert reduced
    for values, used in reduced.values():
        assert np.isnan(values).all()
        assert not used.any()
    assert metric.signature()["undefined"].startswith("edema, x: ")


@pytest.mark.parametrize("name", CLASSES)
def test_one_sample_is_measured(name):
    metric = CLASSES[name]()
    rows = metric.measure([pair({"edema": 1.0, "x": 0.0, "y": 1.0}, {"edema": 0.9, "x": 0.2, "y": 0.4})])
    values = {score: value[0] for score, (value, _) in metric.reduce(rows, np.ones((1, 1))).items()}
    expected = {"f1": ("micro", 2 / 3), "accuracy": ("label", 2 / 3), "brier": ("macro", (0.01 + 0.04 + 0.36) / 3)}
    if name in expected:
        score, value = expected[name]
        assert values[score] == pytest.approx(value)


def test_rows_keep_any_name_on_the_disk_and_off_it():
    names = ("Pleural Effusion", "肺炎", "f0", "a" * 300, 'quote"\\', " ", "label:macro", "\N{SNOWMAN}")
    table = read_pairs([pair(dict.fromkeys(names, 1.0), dict.fromkeys(names, n / 10), n) for n in range(3)], "auroc")
    rows = to_rows(table)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.save(buffer, rows, allow_pickle=False)
        buffer.seek(0)
        back = from_rows(np.load(buffer, allow_pickle=False)[1:])
    assert back.labels == names
    assert np.array_equal(back.truth, table.truth[1:])
    assert np.array_equal(back.probabilities, table.probabilities[1:])


def test_hundreds_of_labels_are_kept():
    names = [f"C{number:07d}" for number in range(700)]
    rows = to_rows(read_pairs([pair(dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.5))], "f1"))
    buffer = io.BytesIO()
    np.save(buffer, rows, allow_pickle=False)
    buffer.seek(0)
    assert from_rows(np.load(buffer, allow_pickle=False)).labels == tuple(names)


@pytest.mark.parametrize(
    ("pairs", "error", "said"),
    [
        ([Pair(Sample(id="s", group="g", split="test"), Text(text="edema"))], PluginError, "for sample s is a Text"),
        ([pair({"edema": 1.0}, {"Edema": 0.5})], DataError, "no label of the samples is predicted: they have edema, the predictions Edema"),
        ([pair({}, {"Edema": 0.5})], DataError, "they have none"),
        ([pair({"edema": 1.0}, {})], DataError, "the predictions none"),
        ([pair({"edema": -1.0}, {"edema": 0.5})], DataError, "sample s0: the label edema is -1"),
        ([pair({"edema": 0.5}, {"edema": 0.5})], DataError, "the label edema is 0.5"),
        ([pair({"edema": 1.0}, {"edema": 1.5})], PluginError, "sample s0: the probability of edema is 1.5"),
        ([pair({"edema": 1.0}, {"edema": -0.5})], PluginError, "the probability of edema is -0.5"),
        ([pair({"edema": 1.0}, {"edema": NAN})], DataError, "no probability for edema"),
        (
            [pair({"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 0.0}), pair({"a": 1.0, "b": 0.0}, {"a": 1.0}, 7)],
            DataError,
            "sample s7: no prob.* b",
        ),
        (
            [Pair(Sample(id="s", group="g", split="test", labels={"a": 1.0}), Probabilities(labels=("a", "a"), values=(0.1, 0.2)))],
            PluginError,
            "2 probabilities for 1 labels",
        ),
        (
            [Pair(Sample(id="s", group="g", split="test", labels={"a": 1.0}), Probabilities(labels=("a",), values=()))],
            PluginError,
            "0 probabilities for 1 labels",
        ),
    ],
)
def test_what_cannot_be_measured_is_a_message_that_names_it(pairs, error, said):
    with pytest.raises(error, match=said):
        Auroc().measure(pairs)


def test_what_is_masked_may_hold_anything_and_need_not_be_predicted():
    pairs = [pair({"a": 1.0, "b": None}, {"a": 0.9}, 0), pair({"a": 0.0, "b": 1.0}, {"a": 0.1, "b": 0.3}, 1)]
    pairs += [pair({"a": 0.0, "b": 0.0}, {"a": 0.2, "b": 0.1}, 2), pair({"a": 0.0, "b": NAN}, {"a": 0.3, "b": 9.0}, 3)]
    for made in CLASSES.values():
        metric = made()
        reduced = metric.reduce(metric.measure(pairs), np.ones((1, 4)))
        assert reduced["label:b"][1].tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("made", "options", "said"),
    [
        (F1, {"threshold": 1.5}, "f1: threshold = 1.5"),
        (F1, {"empty": -1.0}, "f1: empty = -1"),
        (Accuracy, {"threshold": NAN}, "accuracy: threshold = nan"),
        (Sensitivity, {"specificity": -0.1}, "sensitivity: specificity = -0.1"),
        (Ece, {"bins": 0}, "ece: bins = 0"),
    ],
)
def test_options_out_of_range_are_refused(made, options, said):
    with pytest.raises(UsageError, match=said):
        made(**options)


@pytest.mark.parametrize("name", ["metrics.classification_rows", "metrics.classification_ranking", "protocols.multilabel"])
def test_examples_hold(name):
    result = doctest.testmod(importlib.import_module(f"medbench.builtin.{name}"))
    assert (result.attempted > 0, result.failed) == (True, 0)
