"""RadNLI in its real layout: relations as truth, neutral pairs, lines that cannot be used."""

from __future__ import annotations

import json

import pytest

import medbench
from medbench.builtin.datasets.radnli import FILES, RadNli
from medbench.errors import DataError, UsageError

PLACE = "physionet.org/files/radnli-report-inference/1.0.0"


def pair(number, relation, **more):
    said = {"pair_id": str(number), "sentence1": f"Small effusion {number // 3}. ", "sentence2": f"An effusion {number}."}
    return {**said, "gold_label": relation, "sentence1_parse": "(X)", **more}


ROWS = [pair(0, "entailment"), pair(1, "neutral"), pair(2, "contradiction"), pair(3, "entailment")]


def written(root, rows=ROWS, place=PLACE):
    for name in FILES.values():
        path = root / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\r\n" for row in rows), encoding="utf-8")
    return root


@pytest.mark.parametrize("place", ["", "radnli-report-inference/1.0.0", PLACE])
def test_pairs_are_read_from_wherever_they_were_put(tmp_path, place):
    root = written(tmp_path, place=place)
    assert RadNli().check(root) == []
    samples = list(RadNli().read(root, "test", {}))
    assert [s.labels["entailment"] for s in samples] == [1.0, None, 0.0, 1.0]
    assert [(s.prompt, s.references) for s in samples[:1]] == [("Small effusion 0.", ("An effusion 0.",))]
    assert [s.group == samples[0].group for s in samples] == [True, True, True, False]
    assert {s.id for s in samples}.isdisjoint(s.id for s in RadNli().read(root, "val", {}))
    assert RadNli().remarks(root, samples, {}) == [
        "relations of the pairs: entailment 2, neutral 1, contradiction 1; masked ones enter no score"
    ]


def test_neutral_pairs_may_count_as_not_following(tmp_path):
    samples = RadNli().read(written(tmp_path), "test", {"neutral": "negative"})
    assert [s.labels["entailment"] for s in samples] == [1.0, 0.0, 0.0, 1.0]
    with pytest.raises(UsageError, match="neutral"):
        list(RadNli().read(tmp_path, "test", {"neutral": "dropped"}))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"pair_id": "9"', "line 5: Input data was truncated"),
        (pair(9, "maybe"), "line 5: Invalid enum value 'maybe'"),
        (pair(9, "neutral", sentence2=None), "line 5: Expected `str`, got `null`"),
        (pair(9, "neutral", sentence1=" "), "line 5: pair_id, sentence1 or sentence2 is empty"),
        (pair(0, "neutral"), "line 5: the pair_id 0 is there twice"),
        ("[]", "line 5: Expected `object`, got `array`"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path, row, said):
    with pytest.raises(DataError, match=said):
        list(RadNli().read(written(tmp_path, [*ROWS, row]), "test", {}))


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="it holds no pair"):
        list(RadNli().read(written(tmp_path, []), "test", {}))


def test_what_is_missing_is_said(tmp_path):
    assert [problem.message for problem in RadNli().check(tmp_path)] == [f"{tmp_path}: no {name}" for name in FILES.values()]
    with pytest.raises(DataError, match=r"no radnli_test_v1\.jsonl"):
        list(RadNli().read(tmp_path, "test", {}))


def test_a_model_that_knows_which_sentences_agree_is_right_on_the_twin(tmp_path, registry):
    import numpy as np

    from medbench.testing import FakeModel
    from medbench.types import Vector

    def embed(request):
        words = request.text.lower()
        vector = np.ones(9) * 0.01
        for at, name in enumerate(("effusion", "pneumothorax", "consolid", "atelect", "edema", "nodule", "fracture", "airspace")):
            vector[at] += (name in words) * (-1 if "no evidence" in words else 1)
        return Vector(data=vector.astype("<f4").tobytes())

    RadNli().write_twin(tmp_path / "twin", 0, 10)
    model = FakeModel(embed, identity="agreeing")
    record = medbench.run("radnli", model, data=str(tmp_path / "twin"), registry=registry, runs_dir=str(tmp_path / "runs"))
    found = {(score.metric, score.name): score for score in record.scores}
    assert found["auroc", "macro"].value == 1.0
    assert found["accuracy", "accuracy"].value == 1.0
    assert (found["accuracy", "accuracy"].n, record.n_predictions) == (20, 30)
