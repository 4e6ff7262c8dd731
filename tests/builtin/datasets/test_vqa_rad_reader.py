from __future__ import annotations

import json
import random

import pytest

from medbench.builtin.datasets.vqa_rad import PUBLIC, VqaRad
from medbench.errors import DataError, UsageError

READER = VqaRad()


def row(question, answer, phrase="freeform", image="synpic1.jpg", **more):
    return {
        "qid": 1,
        "image_name": image,
        "question": question,
        "answer": answer,
        "image_organ": "CHEST",
        "question_type": "PRES",
        "answer_type": "CLOSED",
        "phrase_type": phrase,
    } | more


def public(root, rows, pictures=("synpic1.jpg",)):
    root.mkdir(parents=True, exist_ok=True)
    (root / PUBLIC).write_text(json.dumps(rows), encoding="utf-8")
    (root / "VQA_RAD Image Folder").mkdir(exist_ok=True)
    for name in pictures:
        (root / "VQA_RAD Image Folder" / name).touch()
    return root


def mevf(root, train, test, folder="images", pictures=("synpic1.jpg",)):
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "trainset.json").write_text(json.dumps(train), encoding="utf-8")
    (root / "testset.json").write_text(json.dumps(test), encoding="utf-8")
    for name in pictures:
        (root / folder / name).touch()
    return root


def read(root, split, variant=""):
    return list(READER.read(root, split, {"variant": variant}))


def test_dirty_values_are_cleaned(tmp_path):
    rows = [
        row("How many? ", 3, "test_para", answer_type="CLOSED ", question_type=" POS, PRES"),
        row(" Is it normal?", " No ", image_case_url="NULL"),
    ]
    root = public(tmp_path, rows)
    (test,), (train,) = read(root, "test"), read(root, "train")
    assert (test.prompt, test.references) == ("How many?", ("3",))
    assert test.meta == {"answer_type": "CLOSED", "image_organ": "CHEST", "phrase_type": "para", "question_type": "POS, PRES"}
    assert (train.prompt, train.references, train.group) == ("Is it normal?", ("No",), "synpic1")
    assert test.images[0].path == "VQA_RAD Image Folder/synpic1.jpg"
    assert test.aliases == {"qid": "1"}


def test_ids_depend_on_content_alone(tmp_path):
    rows = [row(f"Question {k}?", "yes", "test_freeform" if k % 3 else "freeform", qid=k) for k in range(12)]
    rows += [row("Question 1?", "YES", "para", qid=40), row("Question 3?", "yes", "freeform", qid=41)]
    first = public(tmp_path / "a", rows)
    random.Random(5).shuffle(rows)
    second = public(tmp_path / "b", rows)
    assert read(first, "test") == read(second, "test")
    assert read(first, "train") == read(second, "train")
    ids = [s.id for s in read(first, "test") + read(first, "train")]
    assert len(set(ids)) == len(rows)
    assert sorted(name.count("-") for name in ids)[-2:] == [2, 2]


def test_a_triplet_on_both_sides_is_numbered_test_first(tmp_path):
    root = public(tmp_path, [row("Where?", "left", "freeform"), row("where? ", "Left", "test_freeform")])
    (test,), (train,) = read(root, "test"), read(root, "train")
    assert train.id == f"{test.id}-2"


def test_frame_rows_do_not_renumber_official_ones(tmp_path):
    train = [row("Where?", "left", "frame", qid=1), row("Where?", "left", "freeform", qid=2)]
    root = mevf(tmp_path, train, [row("Other?", "no", qid=3)])
    official = {s.id: s.aliases for s in read(root, "train")}
    everything = {s.id: s.aliases for s in read(root, "train", "mevf")}
    assert list(official.values()) == [{"mevf-qid": "2"}]
    assert len(everything) == 2
    assert official.items() <= everything.items()


def test_both_packagings_give_both_aliases(tmp_path):
    rows = [row("Where?", "left", "test_para", qid=10, image_case_url="https://x/1"), row("Why?", "trauma", "freeform", qid="0")]
    root = mevf(
        public(tmp_path, rows),
        [row("Why? ", "Trauma", qid=7), row("Why so?", "trauma", "frame", qid=8)],
        [row("where?", "Left", "para", qid=9)],
    )
    assert read(root, "test")[0].aliases == {"mevf-qid": "9", "qid": "10"}
    assert [s.aliases for s in read(root, "train")] == [{"mevf-qid": "7", "qid": "0"}]
    assert {tuple(s.aliases) for s in read(root, "train", "mevf")} == {("mevf-qid", "qid"), ("mevf-qid",)}
    assert read(root, "test")[0].references == ("left",)
    assert read(root, "test", "mevf")[0].references == ("Left",)


def test_images_of_one_case_share_a_group(tmp_path):
    rows = [row("A?", "no", "test_para", f"synpic{k}.jpg", image_case_url=f"https://x/{k // 2}") for k in (2, 3, 4)]
    rows.append({k: v for k, v in row("B?", "no", image="synpic5.jpg").items() if k != "image_case_url"})
    root = public(tmp_path, rows)
    assert [s.group for s in read(root, "test")] == ["synpic2", "synpic2", "synpic4"]
    assert read(root, "train")[0].group == "synpic5"


@pytest.mark.parametrize("folder", [".", "images", "VQA_RAD Image Folder"])
def test_mevf_pictures_are_found_where_they_lie(tmp_path, folder):
    root = mevf(tmp_path, [row("A?", "no")], [row("B?", "no")], folder)
    assert READER.check(root) == []
    assert (root / read(root, "test")[0].images[0].path).is_file()


def test_a_missing_picture_is_left_to_the_core(tmp_path):
    root = public(tmp_path, [row("A?", "no", "test_para", "synpic404.jpg"), row("B?", "no")])
    assert READER.check(root) == []
    assert read(root, "test")[0].images[0].path.endswith("synpic404.jpg")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (row("A?", None), r"entry 1: answer is missing or empty"),
        (row("", "no"), r"entry 1: question is missing or empty"),
        (row("A?", ["no"]), r"entry 1: answer is a list"),
        (row("A?", True), r"entry 1: answer is true or false"),
        (row("A?", "no", image="../../secret.jpg"), r"entry 1: the path '../../secret.jpg' leads out"),
        (row("A?", "no", phrase=None), r"entry 1: phrase_type is missing"),
        ("text", r"entry 1 is text"),
    ],
)
def test_unusable_rows_are_named(tmp_path, bad, said):
    root = public(tmp_path, [row("B?", "no", "test_para"), bad])
    with pytest.raises(DataError, match=said):
        read(root, "test")


def test_wrong_layouts_are_explained(tmp_path):
    assert "no such folder" in READER.check(tmp_path / "none")[0].message
    messages = [p.message for p in READER.check(tmp_path)]
    assert any(PUBLIC in m for m in messages)
    assert any("no pictures" in m for m in messages)
    public(tmp_path / "inner", [row("A?", "no")])
    assert "inner/" in READER.check(tmp_path)[0].hint
    assert "trainset.json" in READER.check(tmp_path / "inner", "mevf")[0].message
    assert "no variant mefv" in READER.check(tmp_path / "inner", "mefv")[0].message


def test_unknown_splits_and_variants_are_refused(tmp_path):
    root = public(tmp_path, [row("A?", "no", "test_para")])
    with pytest.raises(UsageError, match="no split val"):
        read(root, "val")
    with pytest.raises(UsageError, match="no variant hf"):
        read(root, "test", "hf")
    with pytest.raises(DataError, match="no questions of the variant mevf"):
        read(root, "test", "mevf")


def test_remarks_count_what_is_shared(tmp_path):
    rows = [
        row("A?", "no", "test_para"),
        row("B?", "a mass", "test_para", "synpic2.jpg"),
        row("a?", "No"),
        row("C?", "yes"),
        row("C?", "yes"),
    ]
    root = public(tmp_path, rows)
    remarks = READER.remarks(root, read(root, "test"), {})
    assert remarks[0].startswith("1 of the 2 test images also occur in train")
    assert remarks[1].startswith("1 of the 2 test questions stands in train")
    assert remarks[2].startswith("1 of the 2 test answers never occur in train")
    assert remarks[3].startswith("1 of the 3 train questions repeat")
    assert "is not the published one" in remarks[4]
