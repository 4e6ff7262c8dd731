"""The twins of the chest and breast datasets: what the reader finds is what was written, and what is drawn is what is said."""

from __future__ import annotations

import hashlib
import importlib
import shutil

import numpy as np
import pytest
from PIL import Image

from medbench.builtin.datasets.cards.chest import CARDS
from medbench.builtin.twins.boxes import box_between, film_with_boxes
from medbench.builtin.twins.chest import Chest, Spot, chest_film, draw_chest
from medbench.builtin.twins.film_labels import chexpert_fields, chexpert_findings, nih_findings, radiologist_fields
from medbench.builtin.twins.mammogram import Breast, draw_breast, mammogram
from medbench.builtin.twins.marker import read_marker
from medbench.builtin.twins.writing import generator
from medbench.errors import DataError

SIZE = 2
NAMES = [card.name for card in CARDS]
ALL = {"mimic-cxr": {"variant": "chexpert", "views": "all"}, "chexpert": {"views": "all"}, "padchest": {"views": "all"}}
"""Parameters under which nobody is left out but for a missing label."""


def reader_of(name):
    module, _, cls = next(card.load for card in CARDS if card.name == name).partition(":")
    return getattr(importlib.import_module(module), cls)()


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def twin(name, tmp_path_factory):
    root = tmp_path_factory.mktemp("twins") / name
    reader_of(name).write_twin(root, 5, SIZE)
    return root


def samples_of(name, root):
    reader = reader_of(name)
    return {split: list(reader.read(root, split, ALL.get(name, {}))) for split in read_marker(root).counts}


def contents(root):
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_reader_finds_what_was_written(name, twin):
    reader, marker = reader_of(name), read_marker(twin)
    assert (marker.dataset, marker.size) == (name, SIZE)
    assert reader.check(twin) == []
    found = samples_of(name, twin)
    assert len({s.group for s in found["test"]}) == SIZE
    if name != "ms-cxr-t":
        assert len({s.group for s in found["train"]}) >= 3 * SIZE - 1
    everything = [s for samples in found.values() for s in samples]
    assert len({s.id for s in everything}) == len(everything)
    groups = [{s.group for s in samples} for samples in found.values()]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert all((twin / image.path).is_file() for s in everything for image in s.images)
    assert all(reader.remarks(twin, samples, ALL.get(name, {})) is not None for samples in found.values())


def test_counts_are_the_markers(name, twin):
    """Where a row of the table is a sample, there are as many; a study of several views, or a blank label, makes them fewer."""
    counts, found = read_marker(twin).counts, samples_of(name, twin)
    for split, samples in found.items():
        rows = sum(len(s.images) for s in samples) if name in ("mimic-cxr", "chexpert") else len(samples)
        missing = {"mimic-cxr": 1, "padchest": 1}.get(name, 0)
        assert counts[split] - missing <= rows <= counts[split]


def test_the_same_seed_gives_the_same_bytes(name, twin, tmp_path):
    reader_of(name).write_twin(tmp_path / "again", 5, SIZE)
    assert contents(tmp_path / "again") == contents(twin)
    reader_of(name).write_twin(tmp_path / "again", 6, SIZE)
    assert set(contents(tmp_path / "again").values()).isdisjoint(
        digest for path, digest in contents(twin).items() if path.endswith((".jpg", ".png", ".dcm", ".dicom"))
    )


def test_a_truncated_twin_is_refused(name, twin, tmp_path):
    shutil.copytree(twin, tmp_path / "cut")
    pictures = sorted(p for p in (tmp_path / "cut").rglob("*") if p.suffix in (".jpg", ".png", ".dcm", ".dicom"))
    pictures[0].unlink()
    with pytest.raises(DataError, match=r"this twin has \d+ pictures, its marker says") as caught:
        list(reader_of(name).read(tmp_path / "cut", "test", {}))
    assert "write it again" in caught.value.hint
    assert "pictures" in reader_of(name).check(tmp_path / "cut")[0].message


def test_pictures_decode(name, twin):
    from medbench.images import decode

    if name in ("rsna-pneumonia", "vindr-mammo"):
        pytest.importorskip("pydicom")
    found = samples_of(name, twin)
    for sample in next(iter(found.values()))[:3]:
        for image in sample.images:
            picture = decode(type(image)(path=str(twin / image.path), digest="0" * 32), "L")
            assert min(picture.size) >= 64
            assert np.ptp(np.asarray(picture, dtype=int)) > 100


def test_labels_say_what_is_drawn():
    for seed in range(60):
        chest = draw_chest(np.random.default_rng(seed))
        shown = chexpert_findings(chest)
        assert shown["Pleural Effusion"] == bool(chest.effusions)
        assert shown["Support Devices"] == bool(chest.device)
        fields = chexpert_fields(chest, np.random.default_rng(seed))
        assert set(fields) == set(radiologist_fields(chest)) == {*shown, "No Finding"}
        assert all(fields[name] in ("1.0", "-1.0") if is_shown else fields[name] != "1.0" for name, is_shown in shown.items())
        abnormal = [name for name, is_shown in shown.items() if is_shown and name != "Support Devices"]
        assert (radiologist_fields(chest)["No Finding"] == "1.0") == (not abnormal)
        if chest.normal:
            assert nih_findings(chest) == []


def test_each_chestxray14_label_occurs():
    told = {label for seed in range(1500) for label in nih_findings(draw_chest(np.random.default_rng(seed)))}
    assert len(told) == 14


def test_boxes_surround_their_findings():
    for seed in range(6):
        chest = Chest(opacity=Spot(side="right", zone="lower"), nodule=Spot(side="left", zone="upper"))
        names = (seed, "boxes")
        film, boxes = film_with_boxes(chest, 112, names)
        assert np.array_equal(film, chest_film(chest, 112, generator(seed, "boxes")))
        opacity, nodule = boxes
        assert opacity.x + opacity.width < 56 < nodule.x
        assert nodule.y + nodule.height < 56 < opacity.y + opacity.height
        assert 4 <= nodule.width <= 20
        assert 8 <= opacity.width <= 40
        assert box_between(film, chest, chest, names, "nothing") is None
    assert film_with_boxes(chest, 112, names, boxed=False)[1] == ()


def test_findings_of_a_breast_can_be_seen():
    for finding in ("cyst", "mass", "calcifications"):
        shown = Breast(side="L", density=1, finding=finding, large=True)
        for view in ("CC", "MLO"):
            with_it, without = (
                np.asarray(Image.fromarray(mammogram(b, view, 64, np.random.default_rng(3)))) for b in (shown, Breast(side="L", density=1))
            )
            assert (np.abs(with_it - without) > 0.1).sum() >= 12
    assert {draw_breast(np.random.default_rng(k), "L", 1).category for k in range(80)} == {1, 2, 3, 4, 5}
    left, right = (mammogram(Breast(side=side, density=2), "CC", 64, np.random.default_rng(1)) for side in ("L", "R"))
    assert left[:, :10].mean() > 5 * left[:, -10:].mean()
    assert right[:, -10:].mean() > 5 * right[:, :10].mean()
