"""The baseline of classification: shares of train, masked labels left out, nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.builtin.models.prevalence import Prevalence, _counted
from medbench.cards import ModelCard
from medbench.errors import DataError, UsageError
from medbench.testing import check_model
from medbench.types import Classify, Generate, Image, Probabilities, Text

TRAIN = [{"edema": 1.0, "nodule": 0.0}, {"edema": 0.0}, {"edema": 0.0, "nodule": 1.0}, {"edema": 0.0}, {}]


def examples(rows=TRAIN):
    request = Classify(labels=("edema", "nodule"))
    return [(request, Probabilities(labels=tuple(row), values=tuple(row.values()))) for row in rows]


def fitted(out, rows=TRAIN):
    Prevalence().fit(examples(rows), [], out, 0, None)
    return Prevalence(weights=str(out))


def test_each_label_gets_its_share_of_the_examples_that_know_it(tmp_path):
    model = fitted(tmp_path / "fit")
    asked = [Classify(labels=("nodule", "edema")), Classify(labels=("edema",)), Classify()]
    assert model.classify(asked) == [
        Probabilities(labels=("nodule", "edema"), values=(0.5, 0.25)),
        Probabilities(labels=("edema",), values=(0.25,)),
        Probabilities(labels=("edema", "nodule"), values=(0.25, 0.5)),
    ]


def test_a_label_that_train_never_knows_gets_no_probability(tmp_path):
    assert fitted(tmp_path / "fit").classify([Classify(labels=("hernia", "edema"))]) == [Probabilities(labels=("edema",), values=(0.25,))]


def test_what_was_counted_is_said(tmp_path):
    seen = []
    facts = Prevalence().fit(iter(examples()), [], tmp_path / "fit", 3, lambda *args: seen.append(args))
    assert facts == {"n_examples": 4, "n_labels": 2}
    assert seen == [({"step": 4, "steps": 4},)]
    assert Prevalence(weights=str(tmp_path / "fit")).facts() == {"n_examples": 4, "prevalence": {"edema": 0.25, "nodule": 0.5}}
    assert json.loads((tmp_path / "fit" / "prevalence.json").read_bytes())["n_known"] == {"edema": 4, "nodule": 2}
    assert Prevalence().facts() == {}


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.floats(0, 1)), min_size=1).filter(any), st.randoms(use_true_random=False))
def test_the_order_of_train_does_not_matter(rows, chance):
    mixed = chance.sample(rows, len(rows))
    assert _counted(examples(mixed)) == _counted(examples(rows))
    assert all(0 <= share <= 1 for share in _counted(examples(rows)).shares.values())


def test_it_keeps_what_its_card_promises(tmp_path, registry):
    fitted(tmp_path / "fit")
    requests = [
        Classify(images=(Image(path=f"{n}.png", digest=str(n)),), labels=labels) for n, labels in enumerate([("edema",), ("nodule",)])
    ]
    outputs = check_model(registry.get(ModelCard, "prevalence"), {"weights": str(tmp_path / "fit")}, requests)
    assert [output.values for output in outputs] == [(0.25,), (0.5,)]


def test_nothing_to_learn_from_and_not_fitted_are_messages(tmp_path):
    with pytest.raises(DataError, match="no train example has a known label"):
        Prevalence().fit(examples([{}, {}]), [], tmp_path, 0, None)
    with pytest.raises(UsageError, match="prevalence was not fitted"):
        Prevalence().classify([Classify(labels=("edema",))])
    with pytest.raises(DataError, match=r"prevalence\.json"):
        Prevalence(weights=str(tmp_path / "gone"))
    with pytest.raises(TypeError, match=r"not \(Generate, Text\)"):
        Prevalence().fit([(Generate(prompt="?"), Text(text="yes"))], [], tmp_path, 0, None)
