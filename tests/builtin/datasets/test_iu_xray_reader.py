from __future__ import annotations

import json

import pytest

from medbench.builtin.datasets.iu_xray import IuXray
from medbench.errors import DataError, UsageError

READER = IuXray()


def item(name, split="test", report="The heart is normal.", **more):
    return {"id": name, "report": report, "image_path": [f"{name}/0.png", f"{name}/1.png"], "split": split} | more


def layout(root, annotation):
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "annotation.json").write_text(json.dumps(annotation), encoding="utf-8")
    return root


def read(root, split="test"):
    return list(READER.read(root, split, {}))


def test_a_study_becomes_a_sample(tmp_path):
    report = "  Clear lungs.  XXXX 5 °\n"
    root = layout(tmp_path, {"train": [], "val": [], "test": [item("CXR9003_IM-0942", report=report)]})
    (sample,) = read(root)
    assert (sample.id, sample.group, sample.references) == ("CXR9003_IM-0942", "CXR9003", (report,))
    assert [(image.path, image.role) for image in sample.images] == [
        ("images/CXR9003_IM-0942/0.png", "image"),
        ("images/CXR9003_IM-0942/1.png", "image"),
    ]
    assert READER.check(root) == []


def test_items_of_one_uid_share_a_group(tmp_path):
    names = ["CXR9001_IM-1", "CXR9001_IM-2-1001", "CXR9001_1_IM-3", "plain"]
    samples = read(layout(tmp_path, {"test": [item(name) for name in names]}))
    assert {s.id: s.group for s in samples} == dict.fromkeys(names[:3], "CXR9001") | {"plain": "plain"}


def test_the_items_own_split_decides(tmp_path):
    annotation = {
        "train": [item("a", "train"), item("b", "val")],
        "val": [{k: v for k, v in item("c").items() if k != "split"}],
        "    ": [item("d", "test", "Other words.")],
        "validation": [item("e", "valid")],
    }
    root = layout(tmp_path, annotation)
    assert {split: [s.id for s in read(root, split)] for split in ("train", "val", "test")} == {
        "train": ["a"],
        "val": ["b", "c", "e"],
        "test": ["d"],
    }
    remarks = READER.remarks(root, read(root), {})
    assert "1 studies stand under the unknown key '    ': taken into the split that each names" in remarks
    assert any(r.startswith("1 studies name no split") for r in remarks)
    assert any(r.startswith("1 studies name another split") for r in remarks)
    assert remarks[-1] == "the splits hold 1/3/1 studies; R2Gen's file holds 2,069/296/590"


def test_copied_references_are_counted(tmp_path):
    test = [item(f"t{k}", report=words) for k, words in enumerate(["Clear.", "Clear. ", "Nodule."])]
    root = layout(tmp_path, {"train": [item("a", "train", "Clear.")], "test": test})
    assert READER.remarks(root, read(root), {})[0].startswith("2 of the 3 test references (66.7 %) occur word for word in train")


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ([], "no object with train, val and test"),
        ({"test": {}}, "'test' holds an object, expected a list"),
        ({"test": ["x"]}, r"'test'\[0\] is text"),
        ({"train": [], "test": []}, "there is no study"),
        ({"test": [item("a"), item("")]}, r"'test'\[1\]: id is missing"),
        ({"test": [item("a", report=None)]}, r"'test'\[0\] \(a\): report is no text"),
        ({"test": [item("a", split=3)]}, r"'test'\[0\] \(a\): split is no text"),
        ({"test": [item("a", split="holdout")]}, r"\(a\): unknown split 'holdout'"),
        ({"test": [item("a", image_path="0.png")]}, r"\(a\): image_path is no list"),
        ({"test": [item("a", image_path=[])]}, r"\(a\): image_path is no list"),
        ({"test": [item("a", image_path=["a/0.png", "../../x.png"])]}, r"\(a\): the path '../../x.png' leads out"),
        ({"train": [item("a", "train")], "test": [item("a")]}, "the id a is there 2 times"),
    ],
)
def test_unusable_files_are_refused_with_the_place(tmp_path, annotation, said):
    root = layout(tmp_path, annotation)
    with pytest.raises(DataError, match=said) as caught:
        read(root)
    assert "annotation.json" in caught.value.message


def test_torn_json_is_refused(tmp_path):
    root = layout(tmp_path, {"test": [item("a")]})
    whole = (root / "annotation.json").read_bytes()
    (root / "annotation.json").write_bytes(whole[:-30])
    with pytest.raises(DataError, match="line 1, column"):
        read(root)


def test_wrong_layouts_are_explained(tmp_path):
    assert "no such folder" in READER.check(tmp_path / "none")[0].message
    assert [p.message.rpartition(": ")[2] for p in READER.check(tmp_path)] == ["no annotation.json", "no folder images/"]
    layout(tmp_path / "iu_xray", {"test": [item("a")]})
    assert "it is in iu_xray/" in READER.check(tmp_path)[0].hint
    assert "no variant r2gn" in READER.check(tmp_path / "iu_xray", "r2gn")[0].message


def test_unknown_splits_and_variants_are_refused(tmp_path):
    root = layout(tmp_path, {"test": [item("a")]})
    with pytest.raises(UsageError, match="no split dev"):
        read(root, "dev")
    with pytest.raises(UsageError, match="no variant kaggle"):
        list(READER.read(root, "test", {"variant": "kaggle"}))
