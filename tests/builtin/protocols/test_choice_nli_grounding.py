"""Three small protocols: one of several classes in words, two sentences by their vectors, a phrase on a map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.builtin.metrics.classification_decisions import Accuracy
from medbench.builtin.protocols.choice import Choice, named_option
from medbench.builtin.protocols.grounding import Grounding
from medbench.builtin.protocols.nli import Nli, best_threshold
from medbench.errors import DataError, UsageError
from medbench.types import Failed, Ground, HeatMap, Image, Pair, Probabilities, Sample, Text, Vector

CHANGES = ("improving", "stable", "worsening")


class Same:
    facts = {}

    def __init__(self, output):
        self.output = output

    def __getitem__(self, request):
        return self.output


# --- choice -----------------------------------------------------------------------------------------------------------


def change(true="stable"):
    labels = {name: float(name == true) for name in CHANGES}
    return Sample(id="1", group="1", split="test", prompt="edema", images=(Image(path="a"), Image(path="b")), labels=labels)


def chosen(output, **params):
    (prediction,) = Choice().predictions([change()], Same(output), Choice.Params(**params))
    return prediction.value


def test_the_question_names_the_classes_and_what_is_asked_about():
    (request,) = Choice().requests([change()], Choice.Params(question="Is {question} {options}?"))
    assert request.prompt == "Is edema improving, stable, worsening?"
    assert request.options == CHANGES
    assert len(request.images) == 2


def test_scores_of_options_become_probabilities():
    value = chosen(Text(text="whatever", option_logprobs={"improving": -1.0, "stable": -2.0, "worsening": -4.0}))
    expected = np.exp([-1, -2, -4]) / np.exp([-1, -2, -4]).sum()
    assert value.values == pytest.approx(expected)
    huge = chosen(Text(text="", option_logprobs={"improving": -5000.0, "stable": -5001.0, "worsening": -9000.0}))
    assert sum(huge.values) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("It is stable.", "stable"),
        ("STABLE", "stable"),
        ("improving or stable", ""),
        ("unstable", ""),
        ("", ""),
        ("I cannot tell", ""),
    ],
)
def test_without_scores_the_one_class_that_is_named_is_taken(text, named):
    assert chosen(Text(text=text)).values == tuple(float(name == named) for name in CHANGES)


def test_of_nested_names_the_longer_one_is_meant():
    assert named_option("a mild edema", ["edema", "mild edema"]) == "mild edema"


@given(st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_text_names_one_or_none(text):
    assert named_option(text, CHANGES) in {"", *CHANGES}
    assert named_option(text, [text]) in {"", text}


def test_an_answer_that_names_none_is_wrong_and_counted():
    pairs = [Pair(change("improving"), chosen(Text(text="maybe"))), Pair(change(), chosen(Text(text="stable")))]
    metric = Accuracy()
    rows = metric.measure(pairs)
    assert metric.reduce(rows, np.ones((1, 2)))["accuracy"][0].tolist() == [0.5]
    assert metric.flags(rows)["unparsable"].tolist() == [True, False]


def test_what_failed_is_carried_through_and_examples_have_the_right_words():
    failed = Failed(kind="model", error="x")
    assert chosen(failed) is failed
    ((request, target),) = Choice().examples([change()], Choice.Params())
    assert target == Text(text="stable")
    assert request == next(Choice().requests([change()], Choice.Params()))


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(UsageError, match="nothing to choose from: improving alone"):
        list(Choice().requests([change()], Choice.Params(labels="improving")))
    with pytest.raises(ValueError, match="no such placeholder"):
        Choice.Params(question="{label}")


# --- nli --------------------------------------------------------------------------------------------------------------

SENTENCES = [
    Sample(id=str(n), group=str(n), split="test", prompt=one, references=(other,), labels={"entailment": truth})
    for n, (one, other, truth) in enumerate([("a", "b", 1.0), ("a", "c", 0.0), ("a", "d", 0.0)])
]


class Sentences:
    facts = {}
    vectors = {"a": [1, 0], "b": [2, 0], "c": [0, 1], "d": [-1, 0]}

    def __init__(self, *broken):
        self.broken = broken

    def __getitem__(self, request):
        if request.text in self.broken:
            return Failed(kind="input", error=request.text)
        return Vector(data=np.array(self.vectors[request.text], dtype="<f4").tobytes())


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, [1, 0.5, 0]), (0.5, [1, 1 / 3, 0]), (-0.5, [1, 2 / 3, 0])])
def test_cosines_are_mapped_so_that_the_threshold_is_a_half(threshold, expected):
    made = list(Nli().predictions(SENTENCES, Sentences(), Nli.Params(threshold=threshold)))
    assert [p.value.values[0] for p in made] == pytest.approx(expected)


def test_a_sentence_that_failed_fails_its_pairs():
    made = [p.value for p in Nli().predictions(SENTENCES, Sentences("c"), Nli.Params())]
    assert [isinstance(value, Probabilities) for value in made] == [True, False, True]
    assert all(isinstance(p.value, Failed) for p in Nli().predictions(SENTENCES, Sentences(*"abcd"), Nli.Params()))


def test_a_development_set_says_which_threshold_is_best():
    pairs = [("a", "b", 1.0), ("a", "e", 1.0), ("a", "c", 0.0), ("a", "d", 0.0), ("b", "c", None)]
    samples = [
        Sample(id=str(n), group=str(n), split="val", prompt=one, references=(other,), labels={"entailment": truth})
        for n, (one, other, truth) in enumerate(pairs)
    ]
    outputs = Sentences()
    outputs.vectors = {**Sentences.vectors, "e": [0.8, 0.6]}
    assert Nli().remarks(samples, outputs, Nli.Params()) == ["highest accuracy on these 4 pairs: 100.0% at --param threshold=0.4000"]
    assert Nli().remarks(samples, Sentences(*"abcde"), Nli.Params()) == []


def test_a_threshold_that_nobody_chose_is_named():
    assert "--split val says which" in Nli().remarks(SENTENCES, Sentences(), Nli.Params())[0]
    assert Nli().remarks(SENTENCES, Sentences(), Nli.Params(threshold=0.3)) == []


@given(st.lists(st.tuples(st.floats(-1, 1), st.booleans()), min_size=1, max_size=12))
def test_no_threshold_is_better_than_the_best(pairs):
    cosines, truth = np.array([c for c, _ in pairs]), np.array([float(t) for _, t in pairs])
    threshold, accuracy = best_threshold(cosines, truth)
    assert ((cosines >= threshold) == (truth == 1)).mean() == accuracy
    assert accuracy >= max(((cosines >= other) == (truth == 1)).mean() for other in np.linspace(-0.99, 0.99, 23)) - 1e-12


def test_each_sentence_is_asked_once_and_two_are_needed():
    assert [request.text for request in Nli().requests(SENTENCES, Nli.Params())] == ["a", "b", "c", "d"]
    lone = Sample(id="x", group="x", split="test", prompt="a", labels={"entailment": 1.0})
    with pytest.raises(DataError, match="sample x has no two sentences"):
        list(Nli().requests([lone], Nli.Params()))
    with pytest.raises(UsageError, match="one label is judged"):
        list(Nli().requests([change()], Nli.Params()))
    with pytest.raises(ValueError, match="a cosine"):
        Nli.Params(threshold=1.0)


# --- grounding --------------------------------------------------------------------------------------------------------

PHRASE = Sample(id="1", group="1", split="test", prompt="left effusion", images=(Image(path="a"), Image(path="b")))


def grounded(output):
    (prediction,) = Grounding().predictions([PHRASE], Same(output), Grounding.Params())
    return prediction.value


def test_a_phrase_is_put_to_the_first_image():
    assert list(Grounding().requests([PHRASE], Grounding.Params(prompt="find {phrase}"))) == [
        Ground(images=PHRASE.images[:1], phrase="find left effusion")
    ]
    with pytest.raises(ValueError, match="never put"):
        Grounding.Params(prompt="find it")


@pytest.mark.parametrize(("gone", "said"), [({"images": ()}, "no image"), ({"prompt": " "}, "no phrase")])
def test_a_sample_without_image_or_phrase_is_named(gone, said):
    import msgspec

    with pytest.raises(DataError, match=f"sample 1 has {said}"):
        list(Grounding().requests([msgspec.structs.replace(PHRASE, **gone)], Grounding.Params()))


@pytest.mark.parametrize(
    ("heat", "said"),
    [
        ({"grid": (0.0,) * 3}, "3 cells for a map of 2 x 2"),
        ({"rows": 0, "grid": ()}, "0 cells for a map of 0 x 2"),
        ({"grid": (0.0, float("nan"), 0.0, 0.0)}, "not finite"),
        ({"box": (0.0, 0.0, 0.0, 5.0)}, "no area"),
        ({"box": (0.0, 0.0, float("inf"), 5.0)}, "no area"),
    ],
)
def test_maps_that_cannot_be_have_failed(heat, said):
    whole = {"rows": 2, "columns": 2, "grid": (0.0, 1.0, 2.0, 3.0), "box": (0.0, 0.0, 8.0, 8.0)}
    assert grounded(HeatMap(**whole)) == HeatMap(**whole)
    found = grounded(HeatMap(**{**whole, **heat}))
    assert isinstance(found, Failed)
    assert said in found.error


def test_a_failed_map_is_carried_through():
    failed = Failed(kind="model", error="x")
    assert grounded(failed) is failed
