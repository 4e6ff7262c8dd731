"""The nearest train report, by image and by text."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.builtin.protocols.report_by_retrieval import ReportByRetrieval
from medbench.errors import DataError
from medbench.types import Failed, Image, Sample, Text, Vector


def study(split, number, report="x"):
    images = (Image(path=f"{split}{number}", digest=f"{split}{number}"),)
    return Sample(id=f"{split}-{number}", group=f"{split}-{number}", split=split, images=images, references=(report,) if report else ())


SAMPLES = [study("train", 0, "clear"), study("train", 1, "edema"), study("train", 2, ""), study("test", 0), study("test", 1)]
VECTORS = {"train0": [1, 0], "train1": [0, 2], "train2": [5, 5], "test0": [0.9, 0.2], "test1": [0.1, 3], "clear": [0, 1], "edema": [1, 0]}


class Outputs:
    facts = {}

    def __init__(self, *broken):
        self.broken = broken

    def __getitem__(self, request):
        name = request.images[0].path if request.images else request.text
        if name in self.broken or name not in VECTORS:
            return Failed(kind="input", error=f"no {name}")
        return Vector(data=np.array(VECTORS[name], dtype="<f4").tobytes())


def reports(outputs=None, samples=SAMPLES, **params):
    made = ReportByRetrieval().predictions(samples, outputs or Outputs(), ReportByRetrieval.Params(**params))
    return {p.sample: p.value.text if isinstance(p.value, Text) else p.value for p in made}


def test_the_report_of_the_nearest_train_image_is_given():
    assert reports() == {"test-0": "clear", "test-1": "edema"}


def test_the_nearest_train_report_is_given():
    assert reports(by="text") == {"test-0": "edema", "test-1": "clear"}
    asked = list(ReportByRetrieval().requests(SAMPLES, ReportByRetrieval.Params(by="text")))
    assert sorted(request.text for request in asked if request.text) == ["clear", "edema"]


def test_what_failed_is_no_candidate_and_is_carried_through():
    found = reports(Outputs("train0", "test1"))
    assert found["test-0"] == "edema"
    assert isinstance(found["test-1"], Failed)
    params = ReportByRetrieval.Params()
    assert ReportByRetrieval().remarks(SAMPLES, Outputs("train0"), params) == [
        "reports are taken from 1 of 3 train samples, by their image; 2 have none, or could not be embedded"
    ]


def test_of_equally_near_ones_the_first_is_taken():
    twins = [study("train", 0, "one"), study("train", 0, "two"), study("test", 0)]
    assert reports(samples=twins) == {"test-0": "one"}


def test_a_model_that_embeds_no_texts_is_told_to_compare_images():
    with pytest.raises(DataError, match="no train report can be retrieved: no clear") as caught:
        reports(Outputs("clear", "edema"), by="text")
    assert "by=image" in caught.value.hint


def test_pictures_with_their_reports_are_what_an_encoder_is_fitted_on():
    made = list(ReportByRetrieval().examples(SAMPLES, ReportByRetrieval.Params()))
    assert [(request.images[0].path, target.text) for request, target in made] == [
        ("train0", "clear"),
        ("train1", "edema"),
        ("test0", "x"),
        ("test1", "x"),
    ]
