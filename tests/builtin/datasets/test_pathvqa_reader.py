from __future__ import annotations

import io
import json
import os
import pickle

import pytest
from PIL import Image as Pil

from medbench.builtin.datasets.pathvqa import PathVqa
from medbench.builtin.datasets.pickles import read_pickle
from medbench.errors import DataError
from medbench.images import decode
from medbench.types import Image

READER = PathVqa()
ROWS = [
    {"image": "test_0001", "question": "is it necrosis?", "answer": "yes"},
    {"image": "test_0001", "question": "where is it?", "answer": "left"},
    {"image": "test_0002", "question": "The nuclei are what?", "answer": "dark"},
    {"image": "test_0002", "question": "The nuclei are what?", "answer": "dark"},
]
AS_VQA = [{"img_id": row["image"], "sent": row["question"], "label": {row["answer"]: 1.0, "other": 0.3}} for row in ROWS]


def layout(root, name="qas/test/test_qa.pkl", rows=ROWS):
    (root / "images" / "test").mkdir(parents=True, exist_ok=True)
    (root / "images" / "test" / "test_0001.jpg").touch()
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(rows))
    else:
        path.write_text(json.dumps(rows), encoding="utf-8")
    return root


def read(root, split="test", variant=""):
    return list(READER.read(root, split, {"variant": variant}))


@pytest.mark.parametrize(
    ("name", "rows"),
    [("qas/test/test_qa.pkl", ROWS), ("qas/test/test_qa.json", ROWS), ("qas/test_vqa.pkl", AS_VQA), ("qas/test_vqa.json", AS_VQA)],
)
def test_all_files_of_the_authors_give_the_same_samples(tmp_path, name, rows):
    layout(tmp_path / "plain")
    layout(tmp_path / "pvqa", name, rows)
    found = read(tmp_path)
    assert [(s.id, s.group, s.prompt, s.references, s.meta) for s in found] == [
        (s.id, s.group, s.prompt, s.references, s.meta) for s in read(tmp_path / "plain")
    ]
    assert [s.meta["question_type"] for s in sorted(found, key=lambda s: s.prompt)] == ["other", "other", "yes/no", "where"]
    assert found[0].images[0].path == "pvqa/images/test/test_0001.jpg"
    assert sum(s.id.endswith("-2") for s in found) == 1
    assert READER.check(tmp_path)[0].message.endswith("no questions of train")


def test_repetitions_and_unseen_answers_are_remarked(tmp_path):
    layout(tmp_path)
    layout(tmp_path, "qas/train/train_qa.pkl", [{"image": "train_1", "question": "is it?", "answer": "YES"}])
    assert READER.remarks(tmp_path, read(tmp_path), {}) == [
        "1 of the 4 test questions repeat an earlier one (same image, question and answer)",
        "3 of the 4 test answers never occur in train: choosing among the answers of train cannot reach 100 %",
    ]


def test_repacked_names_that_two_splits_share_stay_apart(tmp_path):
    row = {"image": "img1", "question": "what?", "answer": "it"}
    layout(tmp_path, rows=[row])
    layout(tmp_path, "qas/val/val_qa.pkl", [row])
    assert (read(tmp_path)[0].group, read(tmp_path, "val")[0].group) == ("test-img1", "val-img1")
    assert read(tmp_path)[0].images[0].path == "images/test/img1.jpg"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("text", "holds text, expected a list"),
        ([{"question": "a?", "answer": "b"}], "entry 0: image is missing"),
        ([{"image": "a", "question": "a?", "answer": None}], "answer is missing"),
        ([{"image": "/etc/x", "question": "a?", "answer": "b"}], "leads out"),
        ([{"img_id": "a", "sent": "a?", "label": {}}], "label is no dict of answers"),
        ([{"img_id": "a", "sent": "a?", "label": {"b": "c"}}], "label has no scores"),
    ],
)
def test_unusable_rows_are_refused(tmp_path, rows, said):
    with pytest.raises(DataError, match=said):
        read(layout(tmp_path, rows=rows))


class Runs:
    """Pickled, this would run a program when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_runs_nothing(tmp_path, protocol):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([Runs(tmp_path / "made")], protocol=protocol))
    with pytest.raises(DataError, match="not plain data"):
        read_pickle(tmp_path / "x.pkl")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_is_read_in_every_protocol(tmp_path, protocol):
    value = [{"image": "ä", "label": {"yes": 1.0, "no": 0.0}, "n": (1, -70_000, 2**40), "flags": [True, False, None]}, "x" * 300]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
    assert read_pickle(tmp_path / "x.pkl") == value


BROKEN = {
    "empty": b"",
    "no end": b"\x80\x04]",
    "no pickle": b"garbage",
    "bytearray": pickle.dumps(bytearray(8), protocol=5),
    "room for 64 GB": b"\x80\x05\x96\x00\x00\x00\x00\x10\x00\x00\x00.",
    "text of 2 GB": b"\x80\x04X\xff\xff\xff\x7fabc.",
    "no mark": b"\x80\x04]}e.",
    "a program": b"cos\nsystem\n(S'true'\ntR.",
    "an extension": b"\x80\x04\x82\x01.",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_broken_and_greedy_pickles_are_refused(tmp_path, raw):
    (tmp_path / "x.pkl").write_bytes(raw)
    with pytest.raises(DataError, match=r"x\.pkl: not (plain data|a readable pickle)"):
        read_pickle(tmp_path / "x.pkl")


def test_an_index_of_two_billion_costs_nothing(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04]r\xff\xff\xff\x7f.")
    assert read_pickle(tmp_path / "x.pkl") == []


def test_parquet_knows_a_picture_by_its_bytes(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def cell(red):
        raw = io.BytesIO()
        Pil.new("RGB", (4, 4), (red, 0, 0)).save(raw, format="PNG")
        return {"bytes": raw.getvalue(), "path": None}

    (tmp_path / "data").mkdir()
    table = {"image": [cell(1), cell(200), cell(200)], "question": ["a?", "is it?", "where?"], "answer": ["b", "yes", "c"]}
    for name in ("train", "validation", "test"):
        parquet.write_table(pa.table(table), tmp_path / "data" / f"{name}-00000-of-00001.parquet")
    found = {s.prompt: s for s in read(tmp_path, variant="parquet")}
    assert len({s.group for s in found.values()}) == 2
    assert found["is it?"].images == found["where?"].images
    assert found["where?"].images[0].path == "data/test-00000-of-00001.parquet#image:1"
    assert decode(Image(path=f"{tmp_path}/{found['where?'].images[0].path}")).getpixel((0, 0)) == (200, 0, 0)
    assert READER.check(tmp_path, "parquet") == []
    assert "--variant parquet" in READER.check(tmp_path)[0].hint
    assert READER.remarks(tmp_path, list(found.values()), {"variant": "parquet"}) == [
        "the test split holds 3 questions; the published parquet files hold 6719"
    ]


def test_the_twin_has_a_cmyk_and_a_grey_picture(tmp_path):
    READER.write_twin(tmp_path / "t", 0, 2)
    modes = []
    for path in sorted((tmp_path / "t" / "pvqa" / "images" / "train").iterdir()):
        with Pil.open(path) as picture:
            modes.append(picture.mode)
        assert decode(Image(path=str(path))).mode == "RGB"
    assert modes[:3] == ["CMYK", "L", "RGB"]
    assert set(read_pickle(tmp_path / "t" / "pvqa" / "qas" / "trainval_ans2label.pkl")) >= {"yes", "no"}
    (tmp_path / "t" / "pvqa" / "qas" / "test" / "test_qa.pkl").unlink()
    assert len(read(tmp_path / "t")) == 10
