"""61 real images of ChestX-ray14 with their labels, when they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medbench.builtin.datasets.nih_cxr14 import LABELS, NihCxr14
from medbench.files import FileDigests
from medbench.foreign import read_rows
from medbench.images import decode
from medbench.index import read_index
from medbench.joining import join

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data") / "nih_cxr14_subset"
pytestmark = pytest.mark.skipif(not (DATA / "labels.csv").is_file(), reason="no real images below $MEDBENCH_TEST_DATA or ../shared/data")
PARAMS = {"variant": "subset"}


def test_the_subset_is_read():
    indexed = read_index(NihCxr14(), DATA, "test", PARAMS, FileDigests())
    assert (len(indexed.samples), len(indexed.groups), indexed.n_images) == (61, 61, 61)
    assert not any(image.fault for sample in indexed.samples for image in sample.images)
    positives = {label: sum(sample.labels[label] == 1.0 for sample in indexed.samples) for label in LABELS}
    assert min(positives.values()) >= 5
    assert decode(indexed.samples[0].images[0], "L").size == (1024, 1024)


def test_remarks_name_the_rare_labels():
    samples = list(NihCxr14().read(DATA, "test", PARAMS))
    remarks = NihCxr14().remarks(DATA, samples, PARAMS)
    assert "61 patients; the one with most images has 1 of the 61" in remarks
    assert "Hernia 5" in remarks[0]


def test_the_way_to_it_is_shown():
    assert NihCxr14().check(DATA, "subset") == []
    assert "--variant subset" in NihCxr14().check(DATA)[0].hint


def test_predictions_that_others_published_join_by_the_name_of_the_image():
    columns = {"id": "image", **{f"prob:{label}": f"prob_{label}" for label in LABELS}}
    rows = read_rows(DATA / "chexnet_predictions.csv", columns=columns)
    samples = read_index(NihCxr14(), DATA, "test", PARAMS, FileDigests()).samples
    joined = join(rows, samples, DATA / "chexnet_predictions.csv")
    assert (len(joined.predictions), joined.missing, joined.unknown, joined.matched_by) == (61, (), (), "id")
    assert {prediction.value.labels for prediction in joined.predictions} == {tuple(LABELS)}
    labels = {sample.id: sample.labels for sample in samples}
    shown = {kind: [] for kind in (0.0, 1.0)}
    for prediction in joined.predictions:
        for label, value in zip(prediction.value.labels, prediction.value.values, strict=True):
            shown[labels[prediction.sample][label]].append(value)
    # a wrong join would give both the same mean
    assert sum(shown[1.0]) / len(shown[1.0]) > 2 * sum(shown[0.0]) / len(shown[0.0])
