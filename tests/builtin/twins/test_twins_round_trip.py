"""Every twin of this list: what is written is what is read, the same seed gives the same bytes, half a twin is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil

import pytest
from PIL import Image

from medbench.builtin.datasets.kvasir_vqa import KvasirVqa
from medbench.builtin.datasets.mediqa_m3g import MediqaM3g
from medbench.builtin.datasets.medvqa_gi import MedvqaGi
from medbench.builtin.datasets.medvqa_gi_2024 import MedvqaGi2024
from medbench.builtin.datasets.pathvqa import PathVqa
from medbench.builtin.datasets.pneumonia import Pneumonia
from medbench.builtin.datasets.roco import Roco
from medbench.builtin.datasets.slake import Slake
from medbench.builtin.twins.marker import read_marker
from medbench.builtin.twins.writing import stamp
from medbench.errors import DataError, StorageError, UsageError

READERS = {
    "kvasir-vqa": KvasirVqa(),
    "mediqa-m3g": MediqaM3g(),
    "medvqa-gi": MedvqaGi(),
    "medvqa-gi-2024": MedvqaGi2024(),
    "pathvqa": PathVqa(),
    "pneumonia": Pneumonia(),
    "roco": Roco(),
    "slake": Slake(),
}
TABLES = {
    "kvasir-vqa": "metadata.csv",
    "mediqa-m3g": "test.json",
    "medvqa-gi": "gt.json",
    "medvqa-gi-2024": "Dev-Dataset/prompt-gt.csv",
    "pathvqa": "pvqa/qas/test/test_qa.pkl",
    "pneumonia": "",
    "roco": "data/test/radiology/captions.txt",
    "slake": "Slake1.0/test.json",
}
"""The file from which a row is taken away."""

EVERYTHING = {"roco": {"subset": "all"}, "slake": {"variant": "both"}}
UNREAD = {"roco": {"train": 1}, "medvqa-gi-2024": {"train": 1, "val": 1, "test": 1}}
"""Rows that the files have and the reader leaves out: a withdrawn picture; at most one prompt that stands twice."""

SIZE = 3


@pytest.fixture(scope="module", params=sorted(READERS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def twin(name, tmp_path_factory):
    root = tmp_path_factory.mktemp("round") / name
    READERS[name].write_twin(root, 7, SIZE)
    return root


@pytest.fixture(scope="module")
def smallest(name, tmp_path_factory):
    root = tmp_path_factory.mktemp("smallest") / name
    READERS[name].write_twin(root, 1, 1)
    return root


@pytest.fixture
def small(smallest, tmp_path):
    """A twin of one test group, to be spoilt."""
    return shutil.copytree(smallest, tmp_path / "small")


def contents(root):
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


def samples(name, root):
    return {split: list(READERS[name].read(root, split, EVERYTHING.get(name, {}))) for split in ("train", "val", "test")}


def test_the_reader_finds_what_the_marker_says(name, twin):
    marker, found = read_marker(twin), samples(name, twin)
    missed = {split: marker.counts[split] - len(rows) for split, rows in found.items()}
    allowed = UNREAD.get(name, {})
    assert all(0 <= missed[split] <= allowed.get(split, 0) for split in found), missed
    assert sum(missed.values()) == (1 if allowed else 0)
    assert (marker.dataset, marker.seed, marker.size) == (name, 7, SIZE)
    assert READERS[name].check(twin) == []
    ids = [s.id for rows in found.values() for s in rows]
    assert len(set(ids)) == len(ids)
    assert [s.split for rows in found.values() for s in rows] == [split for split, rows in found.items() for _ in rows]


def test_groups_are_as_many_as_asked_for(name, twin):
    found = {split: list(READERS[name].read(twin, split, {})) for split in ("train", "test")}
    assert len({s.group for s in found["test"]}) == SIZE
    assert len({s.group for s in found["train"]}) >= 3 * SIZE


def test_every_picture_can_be_opened(name, twin):
    paths = {image.path for rows in samples(name, twin).values() for s in rows for image in s.images}
    missing = {path for path in paths if not (twin / path).is_file()}
    assert len(missing) == (1 if name == "mediqa-m3g" else 0)
    for path in paths - missing:
        with Image.open(twin / path) as picture:
            picture.load()
            assert min(picture.size) >= 128


def test_samples_come_in_a_stable_order(name, twin):
    found = samples(name, twin)
    assert found == samples(name, twin)
    if name != "pneumonia":
        assert all([s.id for s in rows] == sorted(s.id for s in rows) for rows in found.values())


def test_the_same_seed_gives_the_same_bytes(name, small, tmp_path):
    READERS[name].write_twin(tmp_path / "again", 1, 1)
    READERS[name].write_twin(tmp_path / "other", 2, 1)
    assert contents(small) == contents(tmp_path / "again")
    assert not set(contents(small).values()) & {
        digest for path, digest in contents(tmp_path / "other").items() if path.endswith((".jpg", ".jpeg"))
    }


def test_an_older_twin_is_replaced_whole(name, small):
    READERS[name].write_twin(small, 1, 2)
    assert read_marker(small).size == 2
    assert READERS[name].check(small) == []
    assert [p.name for p in small.parent.iterdir()] == ["small"]


def test_a_twin_that_lost_a_picture_is_refused(name, small):
    min([*small.rglob("*.jpg"), *small.rglob("*.jpeg")], key=lambda path: ("train" not in str(path), path)).unlink()
    assert any("its marker says" in problem.message for problem in READERS[name].check(small))
    with pytest.raises(DataError, match="its marker says"):
        list(READERS[name].read(small, "test", {}))


def test_a_twin_that_lost_a_row_is_refused(name, small):
    if not TABLES[name]:
        pytest.skip("its pictures are its rows")
    path = small / TABLES[name]
    if path.suffix == ".json":
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8"))[:-1]), encoding="utf-8")
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes())[:-1]))
    else:
        path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    (problem,) = READERS[name].check(small)
    assert "its marker says" in problem.message
    with pytest.raises(DataError, match="its marker says"):
        list(READERS[name].read(small, "test", {}))


def test_foreign_files_are_never_written_over(name, tmp_path, small):
    foreign = tmp_path / "real"
    foreign.mkdir()
    (foreign / "captions.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match="holds files that are no twin's"):
        READERS[name].write_twin(foreign, 0, 1)
    (small / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match=r"notes\.txt"):
        READERS[name].write_twin(small, 0, 1)
    with pytest.raises(UsageError, match="-3 test groups"):
        READERS[name].write_twin(tmp_path / "x", 0, -3)


def test_unknown_splits_and_variants_are_refused(name, twin, tmp_path):
    with pytest.raises(UsageError, match=f"{name} has no split dev"):
        list(READERS[name].read(twin, "dev", {}))
    assert "has no variant" in READERS[name].check(twin, "zz")[0].message
    assert "no such folder" in READERS[name].check(tmp_path / "none")[0].message
    assert READERS[name].check(tmp_path)


def test_a_default_twin_is_large_enough_to_learn_from_and_small_enough_to_keep(name, twin):
    stamped = stamp(name, 0, 0)
    assert stamped.size >= 100
    size = sum(p.stat().st_size for p in twin.rglob("*") if p.is_file())
    assert size / SIZE * stamped.size < 15_000_000
