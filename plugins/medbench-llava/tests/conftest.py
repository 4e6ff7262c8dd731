"""Tests run offline, on one thread, with a cache of their own; tiny models of the true classes are built once a session."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported

import hashlib

import numpy as np
import pytest
import torch
from medbench_torch.tiny.llava import build_llava, build_lora
from PIL import Image as Pil

from medbench.types import Generate, Image

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.setenv("MEDBENCH_PLUGINS", "")


@pytest.fixture(scope="session")
def tiny_llava(tmp_path_factory):
    """Return the folder of a tiny LLaVA; not to be written to."""
    return build_llava(tmp_path_factory.mktemp("tiny") / "llava")


@pytest.fixture(scope="session")
def tiny_lora(tmp_path_factory, tiny_llava):
    """Return the folder of an adapter for `tiny_llava`, as the original code saves it, with a projector."""
    return build_lora(tiny_llava, tmp_path_factory.mktemp("lora") / "llava", dialect="llava", projector=True)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Return four indexed pictures of different sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    made = []
    for number, (height, width) in enumerate([(60, 90), (80, 50), (64, 64), (120, 100)]):
        path = folder / f"{number}.png"
        Pil.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path)
        made.append(Image(path=str(path), digest=hashlib.sha256(path.read_bytes()).hexdigest()[:32]))
    return made


@pytest.fixture(scope="session")
def mixed(pictures):
    """Return requests of many kinds: lengths, numbers of pictures, shared pictures, limits, options, sampling, stop strings."""
    one, two, three, four = pictures
    return [
        Generate(prompt="Is there a pneumothorax?", images=(one,), max_new_tokens=9, options=("yes", "no")),
        Generate(prompt="hi", max_new_tokens=14),
        Generate(prompt="Are the lungs clear? Answer with one word, and do not say anything else.", images=(one,), max_new_tokens=3),
        Generate(prompt="Which side?", images=(two,), max_new_tokens=16, options=("left", "left lung", "right")),
        Generate(prompt="Compare the two pictures.", images=(three, four), max_new_tokens=12),
        Generate(prompt="Describe the heart.", images=(four,), max_new_tokens=7, temperature=0.9, seed=11),
        Generate(prompt="Describe the findings in this chest X-ray and write a report.", images=(two,), max_new_tokens=18),
        Generate(prompt="A question without any picture, long enough to be the longest of all that are asked here.", max_new_tokens=5),
    ]
