"""The baselines on VQA-RAD as it is published, where it is present."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from medbench.builtin.models.majority import Majority
from medbench.builtin.models.neighbour import NearestNeighbour
from medbench.builtin.models.random_answer import RandomAnswer
from medbench.identity import digest
from medbench.types import Generate, Image, Text

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data") / "vqa_rad"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="VQA-RAD is not there (MEDBENCH_TEST_DATA names the folder above it)")


@pytest.fixture(scope="module")
def rows():
    """Return (train, test), each a list of (request, answer)."""
    table = json.loads((DATA / "VQA_RAD Dataset Public.json").read_text(encoding="utf-8"))
    folder = DATA / "VQA_RAD Image Folder"
    images = {}
    for name in {row["image_name"] for row in table}:
        images[name] = Image(path=str(folder / name), digest=digest((folder / name).read_bytes()))
    train, test = [], []
    for row in table:
        request = Generate(prompt=row["question"].strip(), images=(images[row["image_name"]],), kind=row["question_type"].strip())
        (test if row["phrase_type"].startswith("test") else train).append((request, str(row["answer"]).strip()))
    assert (len(train), len(test)) == (1797, 451)
    return train, test


@pytest.fixture
def share(rows, tmp_path):
    """Return a function that fits a model on train and gives the share of test answers that are equal but for case."""
    train, test = rows

    def measured(cls, **options):
        out = tmp_path / "fit"
        facts = cls(**options).fit([(request, Text(text=text)) for request, text in train], [], out, 0, None)
        assert facts["n_examples"] == 1797
        found = cls(weights=str(out), **options).generate([request for request, _ in test])
        return sum(output.text.casefold() == truth.casefold() for output, (_, truth) in zip(found, test, strict=True)) / len(test)

    return measured


def test_majority_is_what_a_plain_count_gives(rows, share):
    train, test = rows
    counts = {}
    for request, text in train:
        counts.setdefault(request.kind, Counter())[text.casefold()] += 1
    assert {request.kind for request, _ in test} - set(counts) == {"PRES, COLOR"}
    counts["PRES, COLOR"] = counts["PRES"] + counts["COLOR"]
    best = {kind: min(found, key=lambda text: (-found[text], text)) for kind, found in counts.items()}
    assert share(Majority) == sum(best[request.kind] == text.casefold() for request, text in test) / len(test)


def test_majority_beats_a_weighted_guess_and_that_an_even_one(share):
    majority, weighted, even = share(Majority), share(RandomAnswer), share(RandomAnswer, uniform=True)
    assert majority > weighted > 2 * even


def test_the_nearest_neighbour_beats_the_majority_and_its_halves(share):
    both = share(NearestNeighbour)
    assert both > share(Majority)
    assert both > share(NearestNeighbour, text_weight=1.0) > share(NearestNeighbour, text_weight=0.0)


def test_each_train_sample_is_its_own_neighbour_unless_asked_twice(rows, tmp_path):
    train, _ = rows
    NearestNeighbour().fit([(request, Text(text=text)) for request, text in train], [], tmp_path / "fit", 0, None)
    found = NearestNeighbour(weights=str(tmp_path / "fit")).generate([request for request, _ in train])
    first = {}
    for request, text in train:
        first.setdefault((request.prompt.casefold(), request.images), text)
    same = sum(output.text == first[request.prompt.casefold(), request.images] for output, (request, _) in zip(found, train, strict=True))
    assert same >= 1790
