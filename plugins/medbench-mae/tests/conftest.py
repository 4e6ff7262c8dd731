"""Tests run offline, on one thread, with a cache of their own; pictures with labels and reports are made once a session."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image as Pil

from medbench.interfaces import Examples
from medbench.types import Classify, Embed, Image, Probabilities, Text

torch.set_num_threads(1)

LABELS = ("Edema", "Effusion", "Fracture")


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.setenv("MEDBENCH_PLUGINS", "")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Return 16 indexed pictures; a bright half is an effusion, a bright middle an edema."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    made = []
    for number in range(16):
        grey = rng.integers(0, 60, (60 + number, 70), dtype=np.uint8)
        grey[30:, :] += np.uint8(150 * (number % 2))
        grey[10:30, 20:50] += np.uint8(150 * (number // 2 % 2))
        path = folder / f"{number}.png"
        Pil.fromarray(grey).save(path)
        made.append(Image(path=str(path), digest=hashlib.sha256(path.read_bytes()).hexdigest()[:32]))
    return made


@pytest.fixture(scope="session")
def labelled(pictures):
    """Return pictures with what is known of their labels: nothing of Fracture, and of Edema not always."""
    made = []
    for number, picture in enumerate(pictures):
        known = {"Effusion": float(number % 2), **({"Edema": float(number // 2 % 2)} if number % 5 else {})}
        made.append((Classify(images=(picture,), labels=LABELS), Probabilities(labels=tuple(known), values=tuple(known.values()))))
    return made


@pytest.fixture(scope="session")
def reported(pictures):
    """Return pictures with their reports, several of which are the same."""
    said = ("The lungs are clear.", "There is a pleural\n effusion.", "Edema in the middle of both lungs.", "Edema and effusion.")
    return [(Embed(images=(picture,)), Text(text=said[number % 4])) for number, picture in enumerate(pictures)]


@pytest.fixture(scope="session")
def examples(labelled, reported):
    """Return both, each under its task."""
    return Examples({"labels": labelled, "reports": reported})
