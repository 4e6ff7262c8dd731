from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from medbench.builtin.metrics.vqa import VqaAccuracy
from medbench.types import Pair, Sample, Text

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
PUBLIC = DATA / "vqa_rad" / "VQA_RAD Dataset Public.json"


@pytest.fixture(scope="module")
def public_test():
    if not PUBLIC.is_file():
        pytest.skip(f"real VQA-RAD is not at {PUBLIC}; set MEDBENCH_TEST_DATA")
    entries = json.loads(PUBLIC.read_text(encoding="utf-8"))
    return [entry for entry in entries if entry["phrase_type"].startswith("test_")]


def answered(entries, answer):
    return [Pair(as_sample(entry), Text(text=answer(entry))) for entry in entries]


def as_sample(entry):
    return Sample(
        id=str(entry["qid"]),
        group=entry["image_name"],
        split="test",
        prompt=entry["question"].strip(),
        references=(str(entry["answer"]),),
        meta={name: entry[name].strip() for name in ("answer_type", "question_type")},
    )


def scores(pairs, convention="medbench"):
    metric = VqaAccuracy(convention={"vqa": convention})
    rows = metric.measure(pairs)
    return {name: (values[0], int(used.sum())) for name, (values, used) in metric.reduce(rows, np.ones((1, len(rows)))).items()}


def test_real_test_split_has_21_closed_choices(public_test):
    found = scores(answered(public_test, lambda _: "no"))
    assert {name: found[name][1] for name in ("overall", "closed", "closed-yes-no", "closed-choice", "open")} == {
        "overall": 451,
        "closed": 272,
        "closed-yes-no": 251,
        "closed-choice": 21,
        "open": 179,
    }
    for name in ("multimedeval", "medevalkit"):
        found = scores(answered(public_test, lambda _: "no"), name)
        assert (found["closed"][1], found["open"][1]) == (251, 200)


def test_real_always_no(public_test):
    pairs = answered(public_test, lambda _: "no")
    for name in ("exact", "pefomed", "medbench"):
        assert scores(pairs, name)["closed"] == (133 / 272, 272)
    assert scores(pairs, "medevalkit")["closed"] == (133 / 251, 251)


def test_real_truth_as_answer(public_test):
    pairs = answered(public_test, lambda entry: str(entry["answer"]))
    for name in ("exact", "pefomed", "medbench", "multimedeval"):
        assert scores(pairs, name)["overall"] == (1.0, 451)
    # Of the 21 choices only those with "no" in them can be right there: "abnormal", three times.
    assert scores(pairs, "llava-med")["closed"] == ((251 + 3) / 272, 272)
    assert scores(pairs, "llava-med")["open"][0] == 1.0


def test_real_choices_answered_in_a_sentence_beginning_with_the_option(public_test):
    choices = [e for e in public_test if e["answer_type"].strip() == "CLOSED" and str(e["answer"]).strip().lower() not in {"yes", "no"}]
    found = scores(answered(choices, lambda entry: f"{entry['answer']}, as far as can be seen"))
    assert found["closed-choice"] == (1.0, 21)
    assert scores(answered(choices, lambda entry: str(entry["answer"]).split()[0]))["closed-choice"] == (1.0, 21)
    metric = VqaAccuracy()
    assert metric.flags(metric.measure(answered(choices, lambda _: "yes")))["unparsable"].all()
