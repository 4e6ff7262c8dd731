"""Whole runs and foreign pictures on the twin: names, intervals, subgroups, what is kept, and what is left alone."""

from __future__ import annotations

import io

import medbench_imagegen
import numpy as np
import pytest
from PIL import Image

from medbench import api
from medbench.registry import load_registry
from medbench.testing import FakeModel
from medbench.types import Picture


def paint(request):
    pixels = np.random.default_rng(request.seed % 1000).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return Picture(data=buffer.getvalue(), width=16, height=16)


NAMES = ["kid", "fid-inf", "fid", "precision", "recall", "density", "coverage", "copies", "nearer"]


def test_a_run_on_the_twin_has_distances_with_intervals_and_says_what_is_not_computed(tmp_path):
    registry = load_registry(medbench_imagegen)
    record = api.run("colonoscopy-t2i", FakeModel(paint), registry=registry, data="twin", runs_dir=tmp_path, limit=80)
    found = {score.name: score for score in record.scores if not score.subgroup}
    assert list(found) == [f"{name}-small-v1" for name in NAMES]
    fid = found["fid-small-v1"]
    assert 0 < fid.low < fid.value < fid.high
    assert "real and real" in fid.note
    assert "sub-samples" in fid.method
    assert found["coverage-small-v1"].value < 0.2  # noise covers nothing
    assert found["copies-small-v1"].value == 0
    assert "Inception" in record.not_computed["is"]
    assert record.signatures["fid"] == {"network": "small-v1"}
    parts = {score.subgroup["centre"]: score for score in record.scores if score.subgroup and score.name == "kid-small-v1"}
    assert set(parts) == {"single", "multi"}
    assert sum(score.n for score in parts.values()) == fid.n
    assert parts["single"].note != parts["multi"].note  # each has its own real set
    assert record.contrasts == ()  # distances at several n are not to be compared


@pytest.fixture
def own_pictures(tmp_path):
    """Return the task's twin and a function that fills a folder with pictures of train, one for each test prompt."""
    from medbench.builtin.datasets.medvqa_gi_2024 import MedvqaGi2024 as Reader
    from medbench.cards import ReaderCard
    from medbench.roots import ensure_twin, twin_folder

    registry = load_registry(medbench_imagegen)
    card = registry.get(ReaderCard, "medvqa-gi-2024")
    ensure_twin(card, root := twin_folder(card))
    samples = {split: list(Reader().read(root, split, {})) for split in ("train", "test")}
    train = list({sample.images[0].path: None for sample in samples["train"]})
    folder = tmp_path / "drawn"
    folder.mkdir()
    for number, sample in enumerate(samples["test"]):
        source = root / train[number % len(train)]
        (folder / f"{sample.id}{source.suffix}").write_bytes(source.read_bytes())
    return folder, registry


def test_pictures_by_any_tool_are_scored_shown_and_known_the_second_time(own_pictures, tmp_path, monkeypatch):
    folder, registry = own_pictures
    runs = [tmp_path / "runs", tmp_path / "others"]
    records = []
    for there in runs:
        records.append(api.score(task="colonoscopy-t2i", pictures=folder, data="twin", registry=registry, runs_dir=there, limit=60))
        monkeypatch.setattr("medbench_imagegen.networks.SmallNetwork.features", None)  # all that is needed is kept
        monkeypatch.setattr("medbench_imagegen.pictures.Looks.open", None)
    assert records[0].scores == records[1].scores
    found = {score.name: score for score in records[0].scores if not score.subgroup}
    assert found["copies-small-v1"].value == 1
    assert found["nearer-small-v1"].value == 1
    assert found["coverage-small-v1"].value > 0.5
    assert records[0].n_missing == 0
    assert records[0].model.loaded["file"] == "drawn"
    (run,) = (runs[0] / "colonoscopy-t2i" / "drawn").iterdir()
    assert "contact-sheet" in (run / "figures.json").read_text()


def test_a_folder_that_is_drawn_anew_leaves_an_earlier_run_as_it_was(own_pictures, tmp_path):
    folder, registry = own_pictures
    for path in sorted(folder.iterdir())[9:]:
        path.unlink()
    api.score(task="colonoscopy-t2i", pictures=folder, data="twin", registry=registry, runs_dir=tmp_path / "runs", metrics=("kid",))
    (run,) = (tmp_path / "runs" / "colonoscopy-t2i" / "drawn").iterdir()
    before = {path: path.read_bytes() for path in (run / "pictures").iterdir()}
    for path in folder.iterdir():
        with path.open("r+b") as file:  # in its place, as many tools write
            file.truncate(10)
    assert {path: path.read_bytes() for path in (run / "pictures").iterdir()} == before
