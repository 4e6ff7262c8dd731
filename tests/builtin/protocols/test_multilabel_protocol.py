"""The protocol of classification: labels by name, one request a sample, failures that say what is missing."""

from __future__ import annotations

import pytest

from medbench.builtin.protocols.multilabel import Multilabel, task_labels
from medbench.errors import DataError, UsageError
from medbench.identity import request_key
from medbench.options import convert_params
from medbench.types import Classify, Failed, Image, Prediction, Probabilities, Sample

PARAMS = Multilabel.Params()
SAMPLES = [
    Sample(id="a", group="g", split="test", images=(Image(path="a.png", digest="1"),), labels={"edema": 1.0, "Nodule": 0.0}),
    Sample(id="b", group="h", split="test", images=(Image(path="b.png", digest="2"),), labels={"edema": None, "Nodule": 1.0, "x": 0.0}),
]
LABELS = ("Nodule", "edema", "x")


class Outputs:
    """Gives the same output for every request, and remembers what was looked up."""

    facts = {}

    def __init__(self, output):
        self.output = output
        self.asked = []

    def __getitem__(self, request):
        self.asked.append(request)
        return self.output


def predicted(output, params=PARAMS):
    return [prediction.value for prediction in Multilabel().predictions(SAMPLES, Outputs(output), params)]


def test_every_sample_is_asked_for_all_labels_in_one_stable_order():
    requests = list(Multilabel().requests(SAMPLES, PARAMS))
    assert requests == [Classify(images=sample.images, labels=LABELS) for sample in SAMPLES]
    assert list(Multilabel().requests(SAMPLES[::-1], PARAMS)) == requests[::-1]


def test_predictions_look_up_the_very_requests():
    outputs = Outputs(Probabilities(labels=LABELS, values=(0.1, 0.2, 0.3)))
    predictions = list(Multilabel().predictions(SAMPLES, outputs, PARAMS))
    assert outputs.asked == list(Multilabel().requests(SAMPLES, PARAMS))
    assert predictions == [Prediction(sample=sample.id, value=outputs.output) for sample in SAMPLES]


@pytest.mark.parametrize("given", ["x, edema", ("x", "edema", "x"), ["x", "edema"], "x,,edema,"])
def test_params_name_labels_and_their_order(given):
    problems = []
    params = convert_params(Multilabel.Params, {"labels": given}, "multilabel", problems)
    assert not problems
    assert task_labels(SAMPLES, params) == ("x", "edema")


def test_a_label_that_no_sample_has_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="no sample has the label Edema") as caught:
        Multilabel().requests(SAMPLES, Multilabel.Params(labels="Edema"))
    assert "edema" in caught.value.hint


def test_samples_without_labels_are_refused_and_no_samples_are_none():
    bare = Sample(id="c", group="g", split="test")
    with pytest.raises(DataError, match="none of the 1 samples has a label"):
        Multilabel().requests([bare], PARAMS)
    assert list(Multilabel().requests([], PARAMS)) == []
    assert list(Multilabel().examples([], PARAMS)) == []


def test_a_models_labels_are_found_by_name_and_more_of_them_do_no_harm():
    given = Probabilities(labels=("x", "other", "edema", "Nodule"), values=(0.3, 0.9, 0.2, 0.1))
    assert predicted(given) == [Probabilities(labels=LABELS, values=(0.1, 0.2, 0.3))] * 2


@pytest.mark.parametrize(
    ("labels", "values", "said"),
    [
        (("Nodule",), (0.1,), "no probability for edema, x"),
        ((), (), "no probability for Nodule, edema, x"),
        (("nodule", "edema", "x"), (0.1, 0.2, 0.3), "no probability for Nodule"),
        (("Nodule", "edema", "x", "x"), (0.1, 0.2, 0.3, 0.4), "several probabilities for x"),
        (LABELS, (0.1, 0.2), "2 probabilities for 3 labels"),
        (LABELS, (0.1, float("nan"), 0.3), "edema: nan is no probability"),
        (LABELS, (0.1, 0.2, 1.5), "x: 1.5 is no probability"),
        (LABELS, (-0.1, 0.2, 0.3), "Nodule: -0.1 is no probability"),
    ],
)
def test_what_is_no_answer_has_failed_and_says_why(labels, values, said):
    assert predicted(Probabilities(labels=labels, values=values)) == [Failed(kind="model", error=said)] * 2


def test_a_wrong_value_of_a_label_that_is_not_asked_for_does_not_matter():
    given = Probabilities(labels=("edema", "x"), values=(0.2, 7.0))
    assert predicted(given, Multilabel.Params(labels="edema")) == [Probabilities(labels=("edema",), values=(0.2,))] * 2


@pytest.mark.parametrize("kind", ["transient", "input", "model"])
def test_failures_are_carried_through(kind):
    failed = Failed(kind=kind, error="out of reach")
    assert predicted(failed) == [failed, failed]


def test_examples_are_the_requests_with_what_is_known_of_the_truth():
    unknown = Sample(id="c", group="g", split="train", labels={"edema": None, "Nodule": float("nan")})
    examples = list(Multilabel().examples([*SAMPLES, unknown], PARAMS))
    assert [target for _, target in examples] == [
        Probabilities(labels=("Nodule", "edema"), values=(0.0, 1.0)),
        Probabilities(labels=("Nodule", "x"), values=(1.0, 0.0)),
    ]
    asked = list(Multilabel().requests(SAMPLES, PARAMS))
    assert [request_key("m", request) for request, _ in examples] == [request_key("m", request) for request in asked]
