"""The table of decisions against scikit-learn, and the first concept against counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from medbench.builtin.metrics.confusion import Confusion
from medbench.builtin.metrics.first_label import FirstConcept
from medbench.cards import MetricCard
from medbench.errors import DataError, PluginError
from medbench.testing import check_metric
from medbench.types import Pair, Probabilities, Sample, Text

NAMES = ("ct", "mri", "us")


def pair(number, true, given, names=NAMES, **meta):
    labels = {name: float(name == true) for name in names}
    sample = Sample(id=str(number), group=str(number), split="test", labels=labels, meta=meta)
    return Pair(sample, Probabilities(labels=names, values=tuple(given)))


def score(metric, pairs, weights=None):
    weights = np.ones((1, len(pairs))) if weights is None else weights
    return {name: values[0] for name, (values, _) in metric.reduce(metric.measure(pairs), weights).items()}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_recall_precision_and_table_are_scikit_learns(rows):
    pairs = [pair(n, NAMES[true], np.eye(3)[said] * 0.8 + 0.1) for n, (true, said, _) in enumerate(rows)]
    weights = np.array([[weight for *_, weight in rows]], dtype=float)
    found = score(Confusion(), pairs, weights)
    true, said = [[row[at] for row in rows for _ in range(row[2])] for at in (0, 1)]
    table = sk.confusion_matrix(true, said, labels=[0, 1, 2]) if true else np.zeros((3, 3))
    for at, name in enumerate(NAMES):
        for what, total in (("recall", table[at].sum()), ("precision", table[:, at].sum())):
            assert found[f"{what}:{name}"] == pytest.approx(table[at, at] / total if total else np.nan, nan_ok=True)
    metric = Confusion()
    (figure,) = metric.figures(metric.measure(pairs), pairs)
    whole = sk.confusion_matrix([row[0] for row in rows], [row[1] for row in rows], labels=[0, 1, 2])
    assert figure.values == tuple(map(tuple, whole.astype(float).tolist()))
    assert (figure.rows, figure.columns, figure.counts) == (NAMES, NAMES, True)


def test_one_label_is_told_from_its_absence():
    given = [(1.0, 0.9), (1.0, 0.2), (0.0, 0.7), (0.0, 0.1), (0.0, 0.5)]
    samples = [Sample(id=str(n), group="g", split="test", labels={"edema": truth}) for n, (truth, _) in enumerate(given)]
    pairs = [Pair(sample, Probabilities(labels=("edema",), values=(p,))) for sample, (_, p) in zip(samples, given, strict=True)]
    found = score(Confusion(), pairs)
    assert found["recall:edema"] == 1 / 2
    assert found["recall:not edema"] == 1 / 3
    assert found["precision:edema"] == 1 / 3
    assert found["recall"] == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_an_answer_that_names_no_class_is_in_no_column():
    pairs = [pair(0, "ct", (0, 0, 0)), pair(1, "ct", (1, 0, 0))]
    assert score(Confusion(), pairs)["recall:ct"] == 0.5
    metric = Confusion()
    (figure,) = metric.figures(metric.measure(pairs), pairs)
    assert sum(map(sum, figure.values)) == 1


def test_labels_that_do_not_exclude_each_other_are_refused():
    both = Sample(id="0", group="0", split="test", labels=dict.fromkeys(NAMES, 1.0))
    with pytest.raises(DataError, match="the 3 labels do not exclude each other"):
        Confusion().measure([Pair(both, Probabilities(labels=NAMES, values=(0.1, 0.2, 0.3)))])


@pytest.mark.parametrize("name", ["confusion", "first-concept"])
def test_promises_of_the_cards(registry, name):
    rng = np.random.default_rng(0)
    pairs = [pair(n, NAMES[n % 3], rng.random(3), first_cui=NAMES[n % 3]) for n in range(9)]
    check_metric(registry.get(MetricCard, name), pairs)


def test_the_first_concept_is_counted_with_and_without_what_no_label_stands_for():
    pairs = [
        pair(0, "ct", (0.9, 0.1, 0.0), first_cui="ct"),
        pair(1, "ct", (0.1, 0.9, 0.0), first_cui="ct"),
        pair(2, "ct", (0.1, 0.9, 0.0), first_cui="pet"),
        pair(3, "ct", (0.9, 0.1, 0.0)),
        pair(4, "us", (0.5, 0.5, 0.5), first_cui="ct"),
    ]
    metric = FirstConcept()
    rows = metric.measure(pairs)
    reduced = metric.reduce(rows, np.ones((1, 5)))
    assert {name: values[0] for name, (values, _) in reduced.items()} == {"accuracy": 2 / 3, "all": 2 / 4}
    assert [int(used.sum()) for _, used in reduced.values()] == [3, 4]
    assert metric.signature()["outside the labels"].startswith("1 of 5")
    with pytest.raises(PluginError, match="sample 0 has none"):
        metric.measure([Pair(pairs[0].sample, Text(text="ct"))])
