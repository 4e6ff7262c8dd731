from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from medbench.builtin.datasets.slake import Slake
from medbench.errors import DataError, UsageError

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data") / "slake"
READER = Slake()
real = pytest.mark.skipif(not (DATA / "Slake1.0" / "test.json").is_file(), reason="no SLAKE below $MEDBENCH_TEST_DATA or ../shared/data")


def item(qid, image="xmlab1", language="en", answer="Yes", kind="CLOSED", **more):
    return {
        "img_id": 1,
        "img_name": f"{image}/source.jpg",
        "question": "Is it normal?",
        "answer": answer,
        "q_lang": language,
        "location": "Lung",
        "modality": "X-Ray",
        "answer_type": kind,
        "base_type": "vqa",
        "content_type": "Abnormality",
        "triple": ["vhead", "_", "_"],
        "qid": qid,
    } | more


def layout(root, train=(), val=(), test=(), validation="validate.json"):
    root.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train.json", train), (validation, val), ("test.json", test)):
        (root / name).write_text(json.dumps(list(rows), ensure_ascii=False), encoding="utf-8")
    (root / "imgs" / "xmlab1").mkdir(parents=True, exist_ok=True)
    (root / "imgs" / "xmlab1" / "source.jpg").touch()
    return root


def read(root, split="test", variant=""):
    return list(READER.read(root, split, {"variant": variant}))


@pytest.mark.parametrize(("folder", "prefix"), [(".", "imgs"), ("Slake1.0", "Slake1.0/imgs")])
@pytest.mark.parametrize("validation", ["validate.json", "validation.json"])
def test_both_packagings_give_the_same_samples(tmp_path, folder, prefix, validation):
    layout(tmp_path / folder, [item(0)], [item(5, "xmlab2", answer=" Left ")], [item(9, "xmlab3", "zh", answer="有")], validation)
    assert READER.check(tmp_path) == []
    (val,) = read(tmp_path, "val")
    assert (val.id, val.group, val.references, val.aliases) == ("xmlab2-5", "xmlab2", ("Left",), {"qid": "5"})
    assert val.images[0].path == f"{prefix}/xmlab2/source.jpg"
    assert val.meta == {
        "answer_type": "CLOSED", "base_type": "vqa", "location": "Lung", "modality": "X-Ray", "q_lang": "en",
        "question_type": "Abnormality",
    }  # fmt: skip
    assert read(tmp_path) == []
    assert [s.references for s in read(tmp_path, variant="zh")] == [("有",)]
    assert len(read(tmp_path, variant="both")) == 1


def test_overlaps_are_counted(tmp_path):
    train = [item(0, "a"), item(1, "b", "zh")]
    test = [item(10, "a"), item(11, "b"), item(12, "c", answer="Lung"), item(13, "c", kind="OPEN", answer="Lung")]
    root = layout(tmp_path, train, [], test)
    remarks = READER.remarks(root, read(root), {})
    assert remarks[0].startswith("1 of the 3 test images also occur in train")
    assert remarks[1].startswith("1 of the 3 test images stand in another split of the other language")
    assert remarks[2].startswith("1 of the 3 closed English questions have an answer other than yes or no")
    assert remarks[3].startswith("2 of the 4 test answers never occur in train")
    assert remarks[4].startswith("the test set (4 questions, en) is not the published one")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({}, "expected a list"),
        ([item("")], "entry 0: qid is missing"),
        ([item(1, language="de")], "q_lang is 'de'"),
        ([item(1), item(1)], "entry 1: the qid 1 is there twice"),
        ([item(1, img_name="../x/source.jpg")], "leads out of the data folder"),
        ([item(1, question=" ")], "question is missing"),
        ([item(1, answer=["a"])], "answer is a list"),
    ],
)
def test_unusable_rows_are_refused_with_the_place(tmp_path, rows, said):
    root = layout(tmp_path)
    (root / "test.json").write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(DataError, match=said) as caught:
        read(root)
    assert "test.json" in caught.value.message


def test_a_missing_or_torn_file_is_refused(tmp_path):
    root = layout(tmp_path, test=[item(1)])
    (root / "test.json").write_text('[{"qid": NaN}]', encoding="utf-8")
    with pytest.raises(DataError, match="bare NaN at line 1"):
        read(root)
    (root / "train.json").unlink()
    with pytest.raises(DataError, match=r"no train\.json"):
        read(root, "train")
    assert [p.message.rpartition(": ")[2] for p in READER.check(root)] == ["no train.json"]
    with pytest.raises(UsageError, match="no variant fr"):
        read(root, variant="fr")


def test_the_twin_asks_the_same_in_both_languages(tmp_path):
    READER.write_twin(tmp_path / "t", 0, 12)
    rows = read(tmp_path / "t", variant="both")
    assert Counter(s.meta["q_lang"] for s in rows).keys() == {"en", "zh"}
    assert {s.meta["base_type"] for s in rows} == {"vqa", "kvqa"}
    assert any(s.meta["answer_type"] == "CLOSED" and s.references[0] not in ("Yes", "No") for s in rows if s.meta["q_lang"] == "en")
    assert all(s.prompt.isascii() == (s.meta["q_lang"] == "en") for s in rows)
    assert any("other language" in remark for remark in READER.remarks(tmp_path / "t", read(tmp_path / "t"), {}))
    keys = [tuple(row) for row in json.loads((tmp_path / "t" / "Slake1.0" / "test.json").read_text(encoding="utf-8"))]
    assert len(set(keys)) == 2


@real
def test_the_published_test_and_validation_sets():
    test = read(DATA)
    assert (len(test), len({s.group for s in test})) == (1061, 96)
    assert Counter(s.meta["answer_type"] for s in test) == {"OPEN": 645, "CLOSED": 416}
    assert Counter(s.meta["base_type"] for s in test) == {"vqa": 913, "kvqa": 148}
    assert READER.remarks(DATA, test, {}) == [
        "12 of the 96 test images stand in another split of the other language: training on both languages sees them",
        "61 of the 416 closed English questions have an answer other than yes or no: a yes/no scorer fails them",
    ]
    assert [len(read(DATA, split, variant)) for split in ("val", "test") for variant in ("en", "zh", "both")] == [
        1053, 1046, 2099, 1061, 1033, 2094,
    ]  # fmt: skip
    assert READER.remarks(DATA, read(DATA, "val"), {})[0].startswith("14 of the 96 val images")
