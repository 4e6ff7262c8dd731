"""Tests run offline, on one thread, with a cache of their own; coloured pictures with captions are made once a session."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image as Pil

from medbench.types import Embed, Image, Text

torch.set_num_threads(1)

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 220), "yellow": (220, 210, 40)}
PLACES = {"left": (0, 0, 16, 32), "right": (16, 0, 32, 32), "top": (0, 0, 32, 16), "bottom": (0, 16, 32, 32)}


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.setenv("MEDBENCH_PLUGINS", "")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Return a function from a number to an indexed picture and its caption: a colour on one half, 16 kinds in turn."""
    folder = tmp_path_factory.mktemp("pictures")

    def made(number):
        colour = list(COLOURS)[number % 4]
        place = list(PLACES)[number // 4 % 4]
        path = folder / f"{number}.png"
        if not path.exists():
            rng = np.random.default_rng(number)
            picture = Pil.fromarray(rng.integers(0, 60, (32, 32, 3), dtype=np.uint8))
            picture.paste(COLOURS[colour], PLACES[place])
            picture.resize((40 + number % 3, 36)).save(path)
        return Image(path=str(path), digest=hashlib.sha256(path.read_bytes()).hexdigest()[:32]), f"A {colour} field on the {place}."

    return made


@pytest.fixture(scope="session")
def examples(pictures):
    """Return 48 pictures with captions, three of each kind."""
    return [(Embed(images=(image,)), Text(text=caption)) for image, caption in map(pictures, range(48))]


@pytest.fixture(scope="session")
def mixed(pictures):
    """Return requests of pictures and of texts, long and short."""
    shown = [Embed(images=(pictures(number)[0],)) for number in (0, 5, 10, 15)]
    return [
        *shown[:2],
        Embed(text="ct scan"),
        *shown[2:],
        Embed(text="A red field on the left, " * 30),
        Embed(text="x"),
        Embed(text="Ünïcode ♥"),
    ]
