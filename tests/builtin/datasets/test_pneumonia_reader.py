from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from medbench.builtin.datasets.pneumonia import Pneumonia
from medbench.errors import DataError, UsageError
from medbench.files import FileDigests
from medbench.images import decode
from medbench.index import read_index

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data") / "pneumoniamnist"
READER = Pneumonia()
MNIST = {"variant": "medmnist"}


def folders(root, **pictures):
    for split in ("train", "test"):
        for name in ("NORMAL", "PNEUMONIA"):
            (root / split / name).mkdir(parents=True, exist_ok=True)
    for place, names in pictures.items():
        split, name = place.split("_")
        (root / split / name).mkdir(parents=True, exist_ok=True)
        for picture in names:
            (root / split / name / picture).touch()
    return root


def arrays(path, labels=(0, 1, 1), pictures=3):
    made = {}
    for split in ("train", "val", "test"):
        made[f"{split}_images"] = np.zeros((pictures, 4, 4), dtype=np.uint8)
        made[f"{split}_labels"] = np.array(labels)[:, None]
    np.savez_compressed(path, **made)
    return path.parent


def read(root, split="test", **params):
    return list(READER.read(root, split, params))


@pytest.mark.parametrize("nested", [".", "chest_xray", "chest_xray/chest_xray"])
def test_folders_give_patients_labels_and_subtypes(tmp_path, nested):
    folders(
        tmp_path / nested,
        train_NORMAL=["IM-0115-0001.jpeg", "NORMAL2-IM-0115-0001-0002.jpeg", ".DS_Store", "._x.jpeg", "notes.txt"],
        train_PNEUMONIA=["person1_bacteria_1.jpeg", "person1_virus_2.jpeg"],
        val_PNEUMONIA=["person1_bacteria_9.jpeg"],
        test_PNEUMONIA=["person1_virus_6.jpeg", "BACTERIA-1135262-0001.jpeg"],
    )
    (tmp_path / nested / "val" / "NORMAL").mkdir()
    train, val, test = (read(tmp_path, split) for split in ("train", "val", "test"))
    assert [s.labels["pneumonia"] for s in train] == [0, 0, 1, 1]
    assert [s.group for s in train] == ["trainval-normal-IM-0115"] * 2 + ["trainval-pneumonia-person1"] * 2
    assert [s.meta.get("subtype", "") for s in train] == ["", "", "bacteria", "virus"]
    assert val[0].group == train[2].group
    assert {s.group for s in test} == {"test-pneumonia-person1", "test-pneumonia-BACTERIA-1135262"}
    assert READER.check(tmp_path) == []
    assert READER.remarks(tmp_path, test, {}) == [
        "1 of the 1 val patients also have images in train: choose nothing on val",
        "the test split holds 0/2 images without and with pneumonia; the published one holds 234/390",
    ]


def test_the_mendeley_edition_has_no_val(tmp_path):
    folders(tmp_path, test_NORMAL=["NORMAL-1003233-0001.jpeg"])
    assert read(tmp_path)[0].group == "test-normal-NORMAL-1003233"
    with pytest.raises(DataError, match="no folder val/"):
        read(tmp_path, "val")


def test_arrays_are_read_without_their_pictures(tmp_path):
    root = arrays(tmp_path / "pneumoniamnist.npz")
    arrays(tmp_path / "pneumoniamnist_64.npz", (1, 1), 2)
    assert READER.check(root)[0].hint == "pneumoniamnist.npz is there: --variant medmnist"
    assert READER.check(root, "medmnist") == []
    assert [(s.id, s.images[0].path, s.labels["pneumonia"]) for s in read(root, **MNIST)][1:2] == [
        ("medmnist-test-00001", "pneumoniamnist.npz#test_images:1", 1.0)
    ]
    assert [s.images[0].path for s in read(root, size="64", **MNIST)][:1] == ["pneumoniamnist_64.npz#test_images:0"]
    with pytest.raises(UsageError, match="no edition of size 128"):
        read(root, size=128, **MNIST)


@pytest.mark.parametrize(
    ("labels", "pictures", "said"),
    [
        ((0, 1, 2), 3, r"test_labels\[2\] is 2"),
        ((0, 1), 3, r"labels are int64 of shape \(2, 1\) for 3 pictures"),
        ((0.5,), 1, "labels are float64"),
    ],
)
def test_odd_labels_are_refused(tmp_path, labels, pictures, said):
    root = arrays(tmp_path / "pneumoniamnist.npz", labels, pictures)
    with pytest.raises(DataError, match=said):
        read(root, **MNIST)


def test_broken_archives_are_refused(tmp_path):
    path = tmp_path / "pneumoniamnist.npz"
    with pytest.raises(DataError, match="no pneumoniamnist"):
        read(tmp_path, **MNIST)
    for content in (b"", b"x" * 100, arrays(path) and path.read_bytes()[:-40]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"pneumoniamnist\.npz: test: cannot be unpacked"):
            read(tmp_path, **MNIST)
    np.savez(path, test_images=np.zeros((1, 2, 2), dtype=np.uint8), test_labels=np.array([None], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        read(tmp_path, **MNIST)


def test_the_twin_has_both_layouts_of_one_set(tmp_path):
    READER.write_twin(tmp_path / "t", 0, 4)
    for split in ("train", "val", "test"):
        folder, small = read(tmp_path / "t", split), read(tmp_path / "t", split, **MNIST)
        assert sum(s.labels["pneumonia"] for s in folder) == sum(s.labels["pneumonia"] for s in small)
        assert len(folder) == len(small) > 0
    assert {s.meta.get("subtype") for s in read(tmp_path / "t", "train")} == {None, "bacteria", "virus"}
    indexed = read_index(READER, tmp_path / "t", "test", MNIST, FileDigests())
    assert {decode(s.images[0], "L").size for s in indexed.samples} == {(28, 28)}
    assert len({s.images[0].digest for s in indexed.samples}) == len(indexed.samples)


@pytest.mark.skipif(not (DATA / "pneumoniamnist.npz").is_file(), reason="no PneumoniaMNIST below $MEDBENCH_TEST_DATA or ../shared/data")
def test_the_real_arrays():
    counts = {
        split: (len(rows), sum(s.labels["pneumonia"] for s in rows))
        for split in ("train", "val", "test")
        for rows in [read(DATA, split, **MNIST)]
    }
    assert counts == {"train": (3882, 3494), "val": (524, 389), "test": (624, 390)}
    assert READER.check(DATA, "medmnist") == []
    indexed = read_index(READER, DATA, "test", MNIST, FileDigests(), limit=3)
    assert all(decode(s.images[0], "L").getextrema()[1] > 50 for s in indexed.samples)
