"""Users' own data in four forms, with columns named or guessed, and what is said of files that cannot be read."""

from __future__ import annotations

import gzip
import json

import pytest

from medbench.builtin.datasets.custom import Custom
from medbench.builtin.datasets.novelty import COLUMN
from medbench.builtin.twins.marker import read_marker
from medbench.errors import DataError, StorageError, UsageError
from medbench.roots import MARKER

READER = Custom()
LONG = "The heart is normal in size."


def read(root, split="test", **params):
    return list(READER.read(root, split, params))


def manifest(root, text, name="manifest.csv"):
    (root / name).write_text(text, encoding="utf-8")
    return root


def lines(root, *entries, name="data.jsonl"):
    return manifest(root, "".join(json.dumps(entry) + "\n" for entry in entries), name)


# --- forms ------------------------------------------------------------------------------------------------------------


def test_a_table_with_usual_names_needs_no_parameters(tmp_path):
    root = manifest(
        tmp_path, "id,patient,image,split,question,answer,site\na,p1,x/1.png,test,Is it?,yes,north\nb,p2,x/2.png,train,Was it?,no,\n"
    )
    (sample,) = read(root)
    assert (sample.id, sample.group, sample.prompt, sample.references) == ("a", "p1", "Is it?", ("yes",))
    assert [image.path for image in sample.images] == ["x/1.png"]
    assert sample.meta == {"site": "north"}
    assert [s.id for s in read(root, "train")] == ["b"]
    assert READER.check(root) == []


def test_columns_are_named_by_parameters(tmp_path):
    root = manifest(tmp_path, "key,film,who,say,edema,effusion\n1,a.png;b.png,p,Clear.,1,-1\n2,c.png,p,Wet.,,0\n")
    named = {
        "id": "key",
        "image": "film",
        "group": "who",
        "reference": "say",
        "labels": "edema, effusion",
        "separator": ";",
        "images": "films/",
    }
    one, two = read(root, **named)
    assert [image.path for image in one.images] == ["films/a.png", "films/b.png"]
    assert (one.labels, two.labels) == ({"edema": 1.0, "effusion": None}, {"edema": None, "effusion": 0.0})
    assert {one.group, two.group} == {"p"}
    assert one.meta == {}


def test_none_takes_no_column_although_there_is_one(tmp_path):
    root = manifest(tmp_path, "id,image,question,report\na,1.png,Is it?,Clear.\n")
    assert read(root, question="none")[0].prompt == ""


@pytest.mark.parametrize(("name", "pack"), [("m.tsv", bytes), ("m.csv.gz", gzip.compress), ("m.tsv.gz", gzip.compress)])
def test_tables_may_be_tabbed_and_zipped(tmp_path, name, pack):
    text = "id,image,report\na,1.png,Clear.\n".replace(",", "\t" if "tsv" in name else ",")
    (tmp_path / name).write_bytes(pack(text.encode()))
    assert read(tmp_path)[0].references == ("Clear.",)


def test_json_lines_may_hold_lists(tmp_path):
    root = lines(tmp_path, {"id": 7, "image": ["1.png", "2.png"], "references": ["A.", "B.", " "], "age": 61, "labels": {"x": 1}})
    (sample,) = read(root)
    assert (sample.id, sample.references, sample.meta) == ("7", ("A.", "B."), {"age": "61"})
    assert [image.path for image in sample.images] == ["1.png", "2.png"]


def test_llava_turns_become_samples(tmp_path):
    talk = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A lung."}]
    more = [{"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "Yes."}]
    entries = [
        {"id": "a", "image": "1.jpg", "domain": {"chest_xray": True, "mri": False}, "conversations": [*talk, *more]},
        {"image": "2.jpg", "conversatons": [*talk[:1], {"from": "gpt", "value": "A liver."}]},
    ]
    (tmp_path / "x.json").write_text(json.dumps(entries))
    samples = read(tmp_path)
    assert [(s.id, s.prompt, s.references) for s in samples] == [
        ("a", "What is it?", ("A lung.",)),
        ("a-2", "Sure?", ("Yes.",)),
        ("x-1", "What is it?", ("A liver.",)),
    ]
    assert samples[0].meta == {"domain": "chest_xray"}
    assert [image.path for image in samples[1].images] == ["1.jpg"]


def test_coco_images_have_all_their_captions(tmp_path):
    content = {
        "info": {"year": 2024},
        "type": "captions",
        "annotations": [{"id": 1, "image_id": 3, "caption": "One."}, {"id": 2, "image_id": 3, "caption": "Two."}],
        "images": [{"id": 3, "file_name": "3.png"}, {"id": 4, "file_name": "4.png"}],
    }
    (tmp_path / "captions.json").write_text(json.dumps(content))
    one, bare = read(tmp_path, images="val")
    assert (one.id, one.references, one.images[0].path) == ("3", ("One.", "Two."), "val/3.png")
    assert bare.references == ()
    assert "1 samples have no reference" in READER.remarks(tmp_path, [one, bare], {})


def test_each_split_may_have_a_file(tmp_path):
    for split in ("train", "test"):
        lines(tmp_path, {"id": f"{split}-1", "image": "1.png", "reference": LONG}, name=f"{split}.jsonl")
    (sample,) = read(tmp_path, file="{split}.jsonl")
    assert (sample.id, sample.split, sample.meta[COLUMN]) == ("test-1", "test", "yes")
    assert read(tmp_path, "val", file="{split}.jsonl") == []
    assert not any("no column names the split" in text for text in READER.remarks(tmp_path, [sample], {"file": "{split}.jsonl"}))


# --- facts ------------------------------------------------------------------------------------------------------------


def test_copies_of_long_references_are_marked_and_short_answers_are_not(tmp_path):
    text = f"id,split,report\na,train,{LONG}\nb,test,{LONG} \nc,test,Another heart with six words.\nd,test,yes\ne,train,yes\n"
    samples = read(manifest(tmp_path, text))
    assert [s.meta.get(COLUMN) for s in samples] == ["yes", "no", None]
    assert READER.remarks(tmp_path, samples, {})[0].startswith("1 of the 2 test references (50.0 %) occur word for word in train")


def test_what_the_file_leaves_open_is_said(tmp_path):
    samples = read(manifest(tmp_path, "id,image,report\na,1.png,Clear.\nb,1.png,Clear.\n"))
    assert {s.group for s in samples} == {"1.png"}
    assert {s.split for s in samples} == {"test"}
    remarks = READER.remarks(tmp_path, samples, {})
    assert remarks[0].startswith("no column names the patient: intervals treat each image as independent")
    assert remarks[1].startswith("no column names the split: every row is in test")


def test_rows_without_ids_are_named_by_their_lines(tmp_path):
    root = manifest(tmp_path, "image,report\n1.png,Clear.\n2.png,Wet.\n")
    assert [s.id for s in read(root)] == ["manifest-2", "manifest-3"]


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "params", "said"),
    [
        ("id,image,report\na,1.png\n", {}, r"manifest\.csv: line 2: 2 fields, the header has 3"),
        ("id,image,report\na,1.png,A.\na,2.png,B.\n", {}, r"manifest\.csv: line 3: the id a is there already \(line 2\)"),
        ("id,image,report\n,1.png,A.\n", {}, r"line 2: id is empty"),
        ("id,image,report\na,../1.png,A.\n", {}, r"line 2: the path '../1\.png' leads out"),
        ("id,image,report\na,/etc/x.png,A.\n", {}, r"line 2: the path .* leads out"),
        ("id,image,split,report\na,1.png,holdout,A.\n", {}, r"line 2: unknown split 'holdout'"),
        ("id,image,edema\na,1.png,2\n", {"labels": "edema"}, r"line 2: edema is '2'"),
        ("id,image\na,1.png\n", {}, r"no column with references; there are id, image"),
        ("id,image,report\na,1.png,A.\n", {"reference": "text"}, r"no column 'text' for reference; there are id, image, report"),
        ("id,image,report\na,1.png,A.\n", {"labels": "x"}, r"no column 'x' for labels"),
        ("id,id,report\na,b,A.\n", {}, r"line 1: the column 'id' is there twice"),
        ("id,image,report\n", {}, r"there is no row"),
        ("", {}, r"manifest\.csv: the file is empty"),
    ],
)
def test_tables_that_cannot_be_used_are_refused_with_the_line(tmp_path, text, params, said):
    with pytest.raises(DataError, match=said):
        read(manifest(tmp_path, text), **params)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"id": "a", "report": "x"}\n{"id": ', r"x\.jsonl: line 2: not valid JSON"),
        (b'{"id": "a", "report": NaN}\n', r"line 1: bare NaN"),
        (b'{"id": "a", "report": "\xff"}\n', r"line 1: not UTF-8 at byte 24"),
        (b"[1]\n", r"line 1: not a JSON object"),
        (b'{"id": "a", "report": true}\n', r"line 1: report is neither text nor a list"),
        (b'{"id": "a", "image": 3, "report": "x"}\n', r"line 1: image is neither a path nor a list"),
        (b'{"id": ["a"], "report": "x"}\n', r"line 1: id is a list"),
        (b'{"id": "a", "report": "' + b"x" * (1 << 20) + b'"}\n', r"line 1: longer than 1,048,576 bytes"),
        (b'{"a": ' * 100_000 + b"1" + b"}" * 100_000 + b"\n", r"line 1: not valid JSON \(nested too deeply\)"),
    ],
)
def test_json_lines_that_cannot_be_used_are_refused_with_the_line(tmp_path, raw, said):
    (tmp_path / "x.jsonl").write_bytes(raw)
    with pytest.raises(DataError, match=said):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"id": "a"}], r"entry 0 \(line 1\): no conversations"),
        ([{"conversations": [{"from": "human", "value": "x"}]}], "1 turns, expected questions and answers"),
        ([{"conversations": [{"from": "gpt", "value": "x"}, {"from": "human", "value": "x"}]}], "turns from 'gpt' and 'human'"),
        ([{"conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": 1}]}], "a turn whose value is no text"),
        ({"images": []}, "no images and annotations"),
        ({"images": [], "annotations": [{"image_id": 1, "caption": "x"}]}, "annotations of the image 1, which is not in images"),
        ({"images": [], "annotations": [{"image_id": 1}]}, r"annotations\[0\]: no caption or image_id"),
    ],
)
def test_conversations_and_captions_that_cannot_be_used_are_refused(tmp_path, content, said):
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=said):
        read(tmp_path)


def test_several_files_are_not_guessed_among(tmp_path):
    for name in ("a.csv", "b.csv"):
        manifest(tmp_path, "id,image,report\na,1.png,A.\n", name)
    with pytest.raises(UsageError, match=r"which file is the manifest\? \(a\.csv, b\.csv\)"):
        read(tmp_path)
    assert read(tmp_path, file="b.csv")[0].id == "a"
    with pytest.raises(DataError, match="leads out"):
        read(tmp_path, file="../b.csv")
    with pytest.raises(UsageError, match=r"no file \{split\}\.csv for any split"):
        read(tmp_path, file="{split}.csv")


def test_mistyped_parameters_splits_and_forms_are_refused(tmp_path):
    manifest(tmp_path, "id,image,report\na,1.png,A.\n")
    with pytest.raises(UsageError, match="no parameter refrence") as caught:
        read(tmp_path, refrence="report")
    assert "reference" in caught.value.hint
    with pytest.raises(UsageError, match="no split dev"):
        read(tmp_path, "dev")
    with pytest.raises(UsageError, match=r"reader\.format=xml"):
        read(tmp_path, format="xml")


def test_a_folder_without_a_manifest_is_a_problem(tmp_path):
    assert "no manifest" in READER.check(tmp_path)[0].message
    assert "no such folder" in READER.check(tmp_path / "x")[0].message


# --- twin -------------------------------------------------------------------------------------------------------------


def test_the_twin_is_whole_the_same_again_and_refused_when_cut(tmp_path):
    for name in ("a", "b"):
        READER.write_twin(tmp_path / name, 3, 2)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    marker = read_marker(tmp_path / "a")
    found = {split: read(tmp_path / "a", split, labels="cardiomegaly,effusion") for split in marker.counts}
    assert {split: len(samples) for split, samples in found.items()} == marker.counts
    assert len({s.group for s in found["test"]}) == 2
    assert {len(s.images) for samples in found.values() for s in samples} == {1, 2}
    assert READER.check(tmp_path / "a") == []
    path = tmp_path / "a" / "manifest.csv"
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    assert "its marker says" in READER.check(tmp_path / "a")[0].message
    with pytest.raises(DataError, match="its marker says"):
        read(tmp_path / "a")
    (tmp_path / "a" / MARKER).unlink()
    with pytest.raises(StorageError, match="no twin's"):
        READER.write_twin(tmp_path / "a", 0, 1)
