"""How twins are put on disk, and the flaws of VQA-RAD and IU X-ray that theirs have."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from medbench.builtin.datasets.iu_xray import IuXray
from medbench.builtin.datasets.vqa_rad import PUBLIC, VqaRad
from medbench.builtin.twins.marker import read_marker
from medbench.builtin.twins.writing import new_twin
from medbench.errors import DataError, StorageError
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


@pytest.fixture
def small(name, tmp_path):
    READERS[name].write_twin(tmp_path / "small", 1, 1)
    return tmp_path / "small"


def samples(reader, root):
    return {split: list(reader.read(root, split, {})) for split in read_marker(root).counts}


def test_a_torn_marker_is_refused(name, small):
    (small / MARKER).write_text('{"dataset": "', encoding="utf-8")
    with pytest.raises(DataError, match="not a marker"):
        READERS[name].check(small)


def test_files_of_a_twins_name_are_never_written_over(name, tmp_path):
    foreign = tmp_path / "real"
    foreign.mkdir()
    (foreign / QUESTIONS[name]).write_text("{}", encoding="utf-8")
    with pytest.raises(StorageError, match="holds files that are no twin's"):
        READERS[name].write_twin(foreign, 0, 1)
    assert [path.name for path in foreign.iterdir()] == [QUESTIONS[name]]
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is a file"):
        READERS[name].write_twin(tmp_path / "file", 0, 1)


def test_an_empty_folder_is_written_into(name, tmp_path):
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    READERS[name].write_twin(root, 0, 1)
    assert READERS[name].check(root) == []


@pytest.mark.parametrize("seed", range(4))
def test_the_smallest_twin_is_whole(name, tmp_path, seed):
    READERS[name].write_twin(tmp_path / "one", seed, 1)
    assert READERS[name].check(tmp_path / "one") == []
    assert len({s.group for s in READERS[name].read(tmp_path / "one", "test", {})}) == 1


def test_a_failure_leaves_nothing_behind(tmp_path):
    def torn():
        with new_twin(tmp_path / "x", ".*") as folder:
            (folder / "half").touch()
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        torn()
    assert list(tmp_path.iterdir()) == []


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
