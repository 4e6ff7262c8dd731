from __future__ import annotations

import hashlib
import json
from collections import Counter

import pytest
from PIL import Image

from medbench.builtin.datasets.iu_xray import IuXray
from medbench.builtin.datasets.vqa_rad import PUBLIC, VqaRad
from medbench.builtin.twins.marker import read_marker
from medbench.builtin.twins.writing import new_twin
from medbench.errors import DataError, StorageError, UsageError
from medbench.roots import MARKER

READERS = {"vqa-rad": VqaRad(), "iu-xray": IuXray()}
QUESTIONS = {"vqa-rad": PUBLIC, "iu-xray": "annotation.json"}
SIZE = 10
PUBLIC_FIELDS = (
    *("qid", "phrase_type", "qid_linked_id", "image_case_url", "image_name", "image_organ", "evaluation"),
    *("question", "question_rephrase", "question_relation", "question_frame", "question_type", "answer", "answer_type"),
)


@pytest.fixture(scope="module", params=sorted(READERS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def twin(name, tmp_path_factory):
    root = tmp_path_factory.mktemp("twins") / name
    READERS[name].write_twin(root, 7, SIZE)
    return root


@pytest.fixture
def small(name, tmp_path):
    READERS[name].write_twin(tmp_path / "small", 1, 1)
    return tmp_path / "small"


def contents(root):
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


def samples(reader, root):
    return {split: list(reader.read(root, split, {})) for split in read_marker(root).counts}


def test_the_reader_finds_what_the_marker_says(name, twin):
    marker = read_marker(twin)
    found = samples(READERS[name], twin)
    assert {split: len(rows) for split, rows in found.items()} == marker.counts
    assert (marker.dataset, marker.seed, marker.size) == (name, 7, SIZE)
    assert READERS[name].check(twin) == []
    assert len({s.group for s in found["test"]}) == SIZE
    assert len({s.group for s in found["train"]}) >= 3 * SIZE
    ids = [s.id for rows in found.values() for s in rows]
    assert len(set(ids)) == len(ids)
    paths = {image.path for rows in found.values() for s in rows for image in s.images}
    for path in paths:
        with Image.open(twin / path) as picture:
            picture.load()
            assert min(picture.size) >= 128


def test_the_same_seed_gives_the_same_bytes(name, small, tmp_path):
    READERS[name].write_twin(tmp_path / "again", 1, 1)
    READERS[name].write_twin(tmp_path / "other", 2, 1)
    assert contents(small) == contents(tmp_path / "again")
    assert contents(small).values() != contents(tmp_path / "other").values()
    assert contents(small)[QUESTIONS[name]] != contents(tmp_path / "other")[QUESTIONS[name]]


def test_an_older_twin_is_replaced_whole(name, small):
    READERS[name].write_twin(small, 1, 2)
    assert read_marker(small).size == 2
    assert READERS[name].check(small) == []
    assert [p.name for p in small.parent.iterdir()] == ["small"]


@pytest.mark.parametrize("loss", ["picture", "row"])
def test_a_truncated_twin_is_refused(name, small, loss):
    if loss == "picture":
        min([*small.rglob("*.jpg"), *small.rglob("*.png")]).unlink()
    else:
        path = small / QUESTIONS[name]
        content = json.loads(path.read_text(encoding="utf-8"))
        (content["test"] if isinstance(content, dict) else content).pop()
        path.write_text(json.dumps(content), encoding="utf-8")
    (problem,) = READERS[name].check(small)
    assert "its marker says" in problem.message
    assert "write it again" in problem.hint
    with pytest.raises(DataError, match="its marker says"):
        list(READERS[name].read(small, "test", {}))


def test_a_torn_marker_is_refused(name, small):
    (small / MARKER).write_text('{"dataset": "', encoding="utf-8")
    with pytest.raises(DataError, match="not a marker"):
        READERS[name].check(small)


def test_foreign_files_are_never_written_over(name, tmp_path, small):
    foreign = tmp_path / "real"
    foreign.mkdir()
    (foreign / QUESTIONS[name]).write_text("{}", encoding="utf-8")
    with pytest.raises(StorageError, match="holds files that are no twin's"):
        READERS[name].write_twin(foreign, 0, 1)
    assert contents(foreign).keys() == {QUESTIONS[name]}
    (small / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match=r"notes\.txt"):
        READERS[name].write_twin(small, 0, 1)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is a file"):
        READERS[name].write_twin(tmp_path / "file", 0, 1)


def test_an_empty_folder_is_written_into(name, tmp_path):
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    READERS[name].write_twin(root, 0, 1)
    assert READERS[name].check(root) == []


@pytest.mark.parametrize("seed", range(8))
def test_the_smallest_twin_is_whole(name, tmp_path, seed):
    READERS[name].write_twin(tmp_path / "one", seed, 1)
    assert READERS[name].check(tmp_path / "one") == []
    assert len({s.group for s in READERS[name].read(tmp_path / "one", "test", {})}) == 1


def test_a_negative_size_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match="-3 test groups"):
        READERS[name].write_twin(tmp_path / "x", 0, -3)


def test_a_failure_leaves_nothing_behind(tmp_path):
    def torn():
        with new_twin(tmp_path / "x", ".*") as folder:
            (folder / "half").touch()
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        torn()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_default_twins_are_large_enough_to_learn_from(name, tmp_path):
    READERS[name].write_twin(tmp_path / name, 0, 0)
    found = samples(READERS[name], tmp_path / name)
    assert len({s.group for s in found["test"]}) >= 100
    assert len({s.group for s in found["train"]}) >= 300
    assert sum(p.stat().st_size for p in (tmp_path / name).rglob("*")) < 15_000_000


# --- the flaws of the originals ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vqa(tmp_path_factory):
    root = tmp_path_factory.mktemp("vqa") / "twin"
    READERS["vqa-rad"].write_twin(root, 3, SIZE)
    return root, json.loads((root / PUBLIC).read_text(encoding="utf-8"))


def test_vqa_rad_rows_have_the_flaws_of_the_original(vqa):
    _, rows = vqa
    assert {tuple(row) for row in rows} == {PUBLIC_FIELDS, tuple(f for f in PUBLIC_FIELDS if f != "image_case_url")}
    assert Counter(type(row["qid"]) for row in rows)[str] == 1
    assert Counter(row["answer_type"] for row in rows)["CLOSED "] == 2
    assert Counter(row["phrase_type"] for row in rows).keys() == {"freeform", "para", "test_freeform", "test_para"}
    assert any(row.get("image_case_url") == "NULL" for row in rows)
    assert any("," in row["question_type"] for row in rows)
    assert any(isinstance(row["answer"], int) for row in rows)
    assert any(row["question"] != row["question"].strip() for row in rows)
    assert any(str(row["answer"]) != str(row["answer"]).strip() for row in rows)
    assert any(row["answer_type"] == "CLOSED" and row["answer"].lower() not in ("yes", "no") for row in rows)
    assert {row["image_organ"] for row in rows} == {"CHEST", "HEAD", "ABD"}


def test_vqa_rad_leaks_as_the_original_does(vqa):
    root, _ = vqa
    reader = READERS["vqa-rad"]
    test, train = (list(reader.read(root, split, {})) for split in ("test", "train"))
    remarks = reader.remarks(root, test, {})
    assert remarks[0].startswith("1 of the 10 test images also occur in train")
    assert remarks[1].startswith("1 of the ")
    assert not any("published" in remark for remark in remarks)
    twice = [s.id for s in train if s.id.endswith("-2")]
    assert len(twice) == 2
    assert sum(s.id == name.removesuffix("-2") for s in test for name in twice) == 1
    images = {s.images[0].path for s in train}
    assert len(images) - len({s.group for s in train}) == 1


def test_paraphrases_are_linked_and_agree(vqa):
    _, rows = vqa
    links = {}
    for row in rows:
        links.setdefault(row["qid_linked_id"], []).append(row)
    pairs = [pair for pair in links.values() if {"para", "test_para"} & {row["phrase_type"] for row in pair}]
    assert pairs
    for pair in pairs:
        assert len({str(row["answer"]).strip() for row in pair}) == 1
        assert len({row["question"].strip() for row in pair}) == 2


def test_iu_xray_has_the_flaws_of_the_original(tmp_path):
    reader = READERS["iu-xray"]
    reader.write_twin(tmp_path / "t", 0, 25)
    found = samples(reader, tmp_path / "t")
    everything = [s for rows in found.values() for s in rows]
    assert {len(s.images) for s in everything} == {1, 2, 3}
    assert any("XXXX" in s.references[0] for s in everything)
    assert any(not s.references[0].isascii() for s in everything)
    assert {s.id.count("_") for s in everything} == {1, 2}
    assert any(s.id.count("-") == 2 for s in everything)
    assert min(int(s.group.removeprefix("CXR")) for s in everything) == 9001
    copied = {s.references[0] for s in found["train"]} & {s.references[0] for s in found["test"]}
    assert copied
    assert "word for word in train" in reader.remarks(tmp_path / "t", found["test"], {})[0]
