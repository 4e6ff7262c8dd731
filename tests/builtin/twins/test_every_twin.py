"""Every dataset that has a card: its twin is whole, read in full, refused when cut, and enough for every task that names it."""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest

from medbench.builtin.datasets import CARDS
from medbench.builtin.twins.marker import PICTURES, read_marker
from medbench.builtin.twins.writing import DEFAULT_SIZE, stamp
from medbench.errors import DataError, StorageError, UsageError
from medbench.images import decode
from medbench.registry import load
from medbench.roots import access_of, is_synthetic
from medbench.tasks import read_task
from medbench.types import Image

SIZE = 2
SEED = 7
EVERYBODY = {
    "chexpert": {"views": "all"},
    "mimic-cxr": {"variant": "chexpert", "views": "all"},
    "padchest": {"views": "all"},
    "roco": {"subset": "all"},
    "slake": {"variant": "both"},
}
"""Parameters under which no row is left out by choice."""

BY_PICTURE = {"chexpert", "mimic-cxr", "vindr-mammo"}
"""Datasets whose samples are studies or breasts, and whose rows are pictures."""

UNREAD = {"roco": 1, "medvqa-gi-2024": 1, "mimic-cxr": 1}
"""Rows that stand in the files to be left out: a withdrawn picture, a prompt twice, a study without labels."""

ELSEWHERE = {"nih-cxr14": {"subset"}, "iu-xray": {"findings", "findings-impression", "all"}, "vqa-rad": {"mevf"}, "pathvqa": {"parquet"}}
"""Variants of other packagings, which a twin does not hold (or only in another layout)."""

TABLES = {
    "chexpert": "CheXpert-v1.0-small/test_labels.csv",
    "custom": "manifest.csv",
    "iu-xray": "annotation.json",
    "kvasir-vqa": "metadata.csv",
    "mediqa-m3g": "test.json",
    "medvqa-gi": "gt.json",
    "medvqa-gi-2024": "Dev-Dataset/prompt-gt.csv",
    "mimic-cxr": "mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-split.csv.gz",
    "ms-cxr": "ms-cxr/1.1.0/MS_CXR_Local_Alignment_v1.1.0.csv",
    "ms-cxr-t": "ms-cxr-t/1.0.0/MS_CXR_T_temporal_image_classification_v1.0.0.csv",
    "nih-cxr14": "test_list.txt",
    "padchest": "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz",
    "pathvqa": "pvqa/qas/test/test_qa.pkl",
    "radnli": "radnli_test_v1.jsonl",
    "roco": "data/test/radiology/captions.txt",
    "rsna-pneumonia": "stage_2_train_labels.csv",
    "slake": "Slake1.0/test.json",
    "vindr-mammo": "breast-level_annotations.csv",
    "vqa-rad": "VQA_RAD Dataset Public.json",
}
"""The file of each twin from which a row is taken away; where there is none, the pictures are the rows."""

PATIENTS_APART = {card.name for card in CARDS} - {"pneumonia", "roco", "slake", "vqa-rad"}
"""Datasets whose splits share no group; the others share some in reality, and so do their twins."""

WITHOUT_TRAIN = {"ms-cxr-t", "radnli"}
TEXT_ALONE = {"radnli"}
"""Datasets without a train split, and without a picture."""

TASKS = [read_task(path) for path in sorted((Path(__file__).parents[3] / "tasks").glob("*/*.toml"))]


@pytest.fixture(scope="module", params=CARDS, ids=[card.name for card in CARDS])
def card(request):
    return request.param


@pytest.fixture(scope="module")
def reader(card):
    return load(card)()


@pytest.fixture(scope="module")
def twin(card, reader, tmp_path_factory):
    root = tmp_path_factory.mktemp("every") / card.name
    reader.write_twin(root, seed=SEED, size=SIZE)
    return root


@pytest.fixture(scope="module")
def samples(card, reader, twin):
    return {split: list(reader.read(twin, split, EVERYBODY.get(card.name, {}))) for split in card.splits}


def contents(root):
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


def drop_last_row(path):
    """Take the last row away, whatever the form of the file."""
    raw = path.read_bytes()
    if path.suffix == ".json":
        content = json.loads(raw)
        (content["test"] if isinstance(content, dict) else content).pop()
        path.write_text(json.dumps(content), encoding="utf-8")
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(pickle.loads(raw)[:-1]))
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(gzip.decompress(raw).rstrip(b"\n").rpartition(b"\n")[0] + b"\n", mtime=0))
    else:
        path.write_bytes(raw.rstrip(b"\n").rpartition(b"\n")[0] + b"\n")


def test_it_is_marked_and_whole(card, reader, twin):
    marker = read_marker(twin)
    assert (marker.dataset, marker.version, marker.seed, marker.size) == (card.name, card.version, SEED, SIZE)
    assert is_synthetic(twin)
    assert access_of(card, twin) == "synthetic"
    for variant in {"", *card.variants} - ELSEWHERE.get(card.name, set()):
        assert reader.check(twin, variant) == []
        assert next(iter(reader.read(twin, card.splits[-1], {"variant": variant})))
    for variant in ELSEWHERE.get(card.name, ()):
        assert reader.check(twin, variant)


def test_the_reader_finds_what_was_written(card, samples, twin):
    counts = read_marker(twin).counts
    assert set(card.splits) == {split for split in counts if split in ("train", "val", "test")}
    rows = {split: sum(len(s.images) for s in found) if card.name in BY_PICTURE else len(found) for split, found in samples.items()}
    unread = {split: counts[split] - rows[split] for split in rows}
    assert min(unread.values()) >= 0
    assert sum(unread.values()) == UNREAD.get(card.name, 0)
    assert all(sample.split == split for split, found in samples.items() for sample in found)


def test_samples_have_one_id_each_and_groups_as_asked_for(card, samples):
    ids = [sample.id for found in samples.values() for sample in found]
    assert len(set(ids)) == len(ids)
    groups = {split: {sample.group for sample in found} for split, found in samples.items()}
    assert len(groups["test"]) == SIZE + (card.name in ("roco", "slake"))  # a chart of no article's; an image of the other language
    assert card.name in WITHOUT_TRAIN or len(groups["train"]) >= 3 * SIZE
    if card.name in PATIENTS_APART:
        assert sum(map(len, groups.values())) == len(set().union(*groups.values()))


def test_samples_come_in_a_stable_order(card, reader, samples, twin):
    assert samples == {split: list(reader.read(twin, split, EVERYBODY.get(card.name, {}))) for split in card.splits}


def test_every_picture_can_be_shown(card, samples, twin):
    if any(image.path.endswith((".dcm", ".dicom")) for found in samples.values() for s in found for image in s.images):
        pytest.importorskip("pydicom", reason="the extra medbench[dicom]")
    paths = {image.path for found in samples.values() for sample in found for image in sample.images}
    missing = {path for path in paths if not (twin / path.partition("#")[0]).is_file()}
    assert len(missing) == (card.name == "mediqa-m3g")
    for path in paths - missing:
        picture = decode(Image(path=str(twin / path)))
        assert min(picture.size) >= 64
        assert max(high - low for low, high in picture.getextrema()) > 60


def test_remarks_are_sentences_and_stay_the_same(card, reader, samples, twin):
    for found in (*samples.values(), []):
        said = reader.remarks(twin, found, EVERYBODY.get(card.name, {}))
        assert all(isinstance(text, str) and len(text) > 15 and "  " not in text for text in said)
        assert said == reader.remarks(twin, found, EVERYBODY.get(card.name, {}))


def test_every_task_that_names_it_has_samples(card, reader, twin):
    mine = [task for task in TASKS if task.dataset == card.name]
    assert mine
    for task in mine:
        params = {**task.reader, "variant": task.variant or next(iter(card.variants), "")}
        found = list(reader.read(twin, task.split, params))
        assert found, task.name
        assert all(s.references or s.labels or s.boxes or "text-to-image" in task.protocol for s in found), task.name
        assert card.name in TEXT_ALONE or any(sample.images for sample in found), task.name
        assert set(task.subgroups) <= set().union(*(sample.meta for sample in found)), task.name


def test_the_same_seed_gives_the_same_bytes(reader, twin, tmp_path):
    reader.write_twin(tmp_path / "again", seed=SEED, size=SIZE)
    assert contents(tmp_path / "again") == contents(twin)
    reader.write_twin(tmp_path / "again", seed=SEED + 1, size=1)
    assert read_marker(tmp_path / "again").size == 1
    assert [p.name for p in tmp_path.iterdir()] == ["again"]
    other = contents(tmp_path / "again")
    assert set(contents(twin).values()).isdisjoint(digest for path, digest in other.items() if Path(path).suffix in PICTURES)


@pytest.mark.parametrize("loss", ["picture", "row"])
def test_a_truncated_twin_is_refused(card, reader, twin, tmp_path, loss):
    if loss == "row" and card.name not in TABLES:
        pytest.skip("its pictures are its rows")
    if loss == "picture" and card.name in TEXT_ALONE:
        pytest.skip("it has no picture")
    cut = shutil.copytree(twin, tmp_path / "cut")
    if loss == "row":
        drop_last_row(cut / TABLES[card.name])
    else:
        min((p for p in cut.rglob("*") if p.suffix in PICTURES), key=lambda path: ("train" not in str(path), path)).unlink()
    (problem, *_) = reader.check(cut)
    assert "its marker says" in problem.message
    assert "write it again" in problem.hint
    with pytest.raises(DataError, match="its marker says"):
        list(reader.read(cut, card.splits[-1], {}))


def test_nobodys_files_are_written_over(reader, twin, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match="holds files that are no twin's"):
        reader.write_twin(tmp_path / "real", seed=0, size=1)
    assert [p.name for p in tmp_path.rglob("*.*")] == ["mine.txt"]
    mixed = shutil.copytree(twin, tmp_path / "mixed")
    (mixed / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match=r"notes\.txt"):
        reader.write_twin(mixed, seed=0, size=1)
    with pytest.raises(UsageError, match="-3 test groups"):
        reader.write_twin(tmp_path / "x", seed=0, size=-3)


def test_unknown_names_and_other_folders_are_refused(card, reader, twin, tmp_path):
    with pytest.raises(UsageError, match=f"{card.name} has no split dev"):
        list(reader.read(twin, "dev", {}))
    assert reader.check(twin, "zz") or not card.variants
    assert "no such folder" in reader.check(tmp_path / "none")[0].message
    assert reader.check(tmp_path)


def test_a_default_twin_is_enough_to_learn_from_and_small_enough_to_keep(card, twin):
    assert stamp(card.name, 0, 0).size == DEFAULT_SIZE >= 100
    held = sum(path.stat().st_size for path in twin.rglob("*") if path.is_file())
    assert held / SIZE * DEFAULT_SIZE < 15_000_000
