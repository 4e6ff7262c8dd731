"""Training pictures are prepared once while there is room, varied by their seeds, and their losses drawn."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from medbench_torch.fit import Pictures, curves, draw_losses, losses
from PIL import Image as Pil

from medbench.errors import UsageError
from medbench.types import Image


@pytest.fixture
def images(tmp_path):
    made = []
    for number in range(2):
        path = tmp_path / f"{number}.png"
        Pil.fromarray(np.full((8, 6, 3), 100 * number, dtype=np.uint8)).save(path)
        made.append(Image(path=str(path), digest=str(number)))
    return made


def test_a_picture_is_prepared_once_while_there_is_room(images):
    prepared = []

    def prepare(picture):
        prepared.append(picture.size)
        return torch.from_numpy(np.array(picture, dtype=np.float32)).permute(2, 0, 1)

    pictures = Pictures(prepare, room=3 * 8 * 6 * 4)
    for image in (*images, *images):
        pictures(image)
    assert prepared == [(6, 8)] * 3, "there is room for the first one alone"
    one, again, other = (pictures(images[0], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.shape == pictures(images[0]).shape


def test_a_picture_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    with pytest.raises(UsageError, match=r"a training picture cannot be used: .*torn\.png"):
        Pictures(lambda picture: picture)(Image(path=str(tmp_path / "torn.png")))


def test_each_stage_has_its_curve(tmp_path):
    events = [
        {"event": "stage", "stage": "base", "step": 0},
        *({"event": "step", "stage": "base", "step": step, "loss": 3.0 / step} for step in (1, 2, 3)),
        {"event": "held-out", "stage": "base", "step": 3, "loss": 1.5, "auroc": 0.5},
        {"event": "stage", "stage": "head", "step": 0},
    ]
    (figure,) = losses(events, {"base": "First"})
    assert [(line.label, line.x) for line in figure.lines] == [("train", (1.0, 2.0, 3.0)), ("held out", (3.0,))]
    assert figure.title == "First"
    draw_losses(tmp_path)
    assert not list(tmp_path.iterdir()), "no events, no figure"
    assert doctest.testmod(curves).failed == 0
