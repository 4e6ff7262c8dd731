"""The main job on the real VQA-RAD: run, read the table, score the same answers as a stranger would hand them in."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path

import msgspec
import pytest

from medbench.cli.main import run_app
from medbench.record import RunRecord

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "vqa_rad"
PUBLIC = DATA / "VQA_RAD Dataset Public.json"
TYPES = {"ABN", "ATTRIB", "COLOR", "COUNT", "MODALITY", "ORGAN", "OTHER", "PLANE", "POS", "PRES", "SIZE"}

pytestmark = pytest.mark.skipif(not PUBLIC.is_file(), reason=f"real VQA-RAD is not at {DATA}; set MEDBENCH_TEST_DATA")


class Workplace:
    """A folder with the runs of this module, and the command line working in it."""

    def __init__(self, folder):
        self.folder = folder

    def medbench(self, *arguments):
        """Run `medbench …` and return its standard output."""
        out = io.TextIOWrapper(io.BytesIO(), "utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDBENCH_")}
        clean = {**kept, "MEDBENCH_PLUGINS": "", "MEDBENCH_CACHE": str(self.folder / "cache"), "COLUMNS": "80"}
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
            patch.setattr(os, "environ", clean)
            code = run_app([*map(str, arguments), "--runs-dir", str(self.folder / "runs")])
            out.flush()
            text = out.buffer.getvalue().decode()
        assert code == 0, text
        return text

    def record(self, *arguments):
        return msgspec.json.decode(self.medbench(*arguments, "--json"), type=RunRecord)

    def score(self, file, *more):
        return self.record("score", "--task", "vqa-rad", "--data", DATA, "--predictions", file, *more)


RUN = ("run", "--task", "vqa-rad", "--model", "nearest-neighbour", "--data", DATA)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return Workplace(tmp_path_factory.mktemp("vqa-rad"))


@pytest.fixture(scope="module")
def screen(workplace):
    return workplace.medbench(*RUN)


@pytest.fixture(scope="module")
def record(workplace, screen):
    return workplace.record(*RUN)


@pytest.fixture(scope="module")
def answers(workplace, record):
    """What was asked and answered: id, question, prediction."""
    return json.loads(workplace.medbench("samples", record.fingerprint, "--json"))


@pytest.fixture(scope="module")
def qids():
    """(image, question) -> qid of the public file's test questions, as a stranger would look them up."""
    entries = [entry for entry in json.loads(PUBLIC.read_text(encoding="utf-8")) if entry["phrase_type"].startswith("test_")]
    return {(entry["image_name"].partition(".")[0], entry["question"].strip()): entry["qid"] for entry in entries}


def numbers(record):
    return {(s.metric, s.name, s.value, s.low, s.high, s.n, s.n_groups) for s in record.scores}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_all_451_test_questions_are_scored_and_the_leak_is_stated(screen, record):
    assert "451 samples · 203 images · test split · CC0-1.0" in screen
    assert "202 of the 203 test images also occur in train" in screen
    assert "coverage 451/451 · empty 0" in screen
    assert "SYNTHETIC" not in screen
    scores = {score.name: score for score in record.scores}
    assert {name: scores[name].n for name in ("overall", "closed", "open")} == {"overall": 451, "closed": 272, "open": 179}
    assert {name.removeprefix("type:") for name in scores if name.startswith("type:")} == TYPES
    for name in ("overall accuracy", "closed", "open", *(f"type {kind}" for kind in TYPES)):
        assert f"\n  {name} " in screen or f"\n{name} " in screen
    assert scores["overall"].n_groups == 203
    assert scores["overall"].low < scores["overall"].value < scores["overall"].high


def test_all_conventions_stand_side_by_side(workplace, record):
    more = workplace.record(*RUN, "--convention", "all")
    assert numbers(record) <= numbers(more)
    overall = {s.convention["vqa"]: s.value for s in more.scores if s.name == "overall"}
    assert {"medbench@1", "pefomed@1", "exact@1"} <= set(overall)
    assert len(set(overall.values())) > 1, "conventions that never differ would need no names"


def test_the_same_answers_score_the_same_by_ids_by_qids_and_as_llava_answers(workplace, record, answers, qids):
    folder = workplace.folder
    by_id = write(folder / "by-id.jsonl", [{"id": row["id"], "prediction": row["prediction"]} for row in answers])
    numbered = [(qids[row["id"].partition("-")[0], row["question"]], row) for row in answers]
    by_qid = write(
        folder / "by-qid.jsonl", [{"qid": q, "question": row["question"], "prediction": row["prediction"]} for q, row in numbered]
    )
    llava = write(
        folder / "llava.jsonl",
        [{"question_id": q, "prompt": f"{row['question']}\nAnswer briefly.", "text": row["prediction"]} for q, row in numbered],
    )
    for file, more in ((by_id, ()), (by_qid, ("--id", "qid")), (llava, ("--id", "qid"))):
        scored = workplace.score(file, *more)
        assert numbers(scored) == numbers(record), file.name
        assert (scored.n_predictions, scored.n_missing, scored.n_failed) == (451, 0, 0)


def test_the_mevf_packaging_has_the_same_test_questions_and_more_to_learn_from(workplace, record):
    if not (DATA / "mevf" / "testset.json").is_file():
        pytest.skip("the MEVF packaging is not there")
    mevf = workplace.record(*RUN, "--variant", "mevf")
    assert (mevf.data.variant, mevf.n_predictions, mevf.data.n_groups) == ("mevf", 451, 203)
    assert mevf.model.fitted["n"] > record.model.fitted["n"]
    assert mevf.fingerprint != record.fingerprint
