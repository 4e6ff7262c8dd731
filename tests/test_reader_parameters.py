"""Parameters of readers: from a task or the command line, the decode preset among them."""

from __future__ import annotations

import pytest
from PIL import Image as Pil

from medbench.builtin.datasets.custom import Custom
from medbench.errors import UsageError
from medbench.files import FileDigests
from medbench.identity import request_key
from medbench.index import read_index
from medbench.options import RunOptions
from medbench.plan import resolve
from medbench.registry import load_registry
from medbench.types import Embed


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    (root / "m.csv").write_text("id,image,question,answer\na,1.png,Is it?,yes\n")
    Pil.new("L", (4, 4)).save(root / "1.png")
    return root


def planned(registry, folder, **params):
    return resolve(RunOptions(task="custom-vqa", data=str(folder), params=params), registry)


def test_what_is_said_to_the_reader_overrides_the_task(registry, folder):
    plan, problems = planned(registry, folder, **{"reader.reference": "said", "prompt": "Q: {question}"})
    assert problems == []
    assert plan.reader_params == {"question": "question", "reference": "said", "variant": ""}
    assert plan.params["prompt"] == "Q: {question}"
    assert plan.task.reader["reference"] == "said"


def test_a_mistyped_parameter_is_a_problem_before_anything_is_read(registry, folder):
    _, problems = planned(registry, folder, **{"reader.refrence": "said"})
    assert [(p.message, p.hint) for p in problems] == [("dataset custom has no parameter refrence", "did you mean reference?")]


def test_a_preset_reaches_every_image_and_makes_another_manifest(folder):
    indexed = {
        preset: read_index(Custom(), folder, "test", {"preset": preset} if preset else {}, FileDigests())
        for preset in ("", "raw_minmax", "display")
    }
    assert {p: {i.preset for s in found.samples for i in s.images} for p, found in indexed.items()} == {
        "": {"default"},
        "raw_minmax": {"raw_minmax"},
        "display": {"display"},
    }
    assert len({found.manifest for found in indexed.values()}) == 3
    assert len({request_key("m", Embed(images=found.samples[0].images)) for found in indexed.values()}) == 3


def test_an_unknown_preset_is_refused(folder):
    with pytest.raises(UsageError, match=r"reader\.preset=raw: no such decode preset"):
        read_index(Custom(), folder, "test", {"preset": "raw"}, FileDigests())


def test_the_preset_is_known_for_every_reader(registry, folder):
    plan, problems = planned(registry, folder, **{"reader.preset": "display"})
    assert problems == []
    assert plan.reader_params["preset"] == "display"
