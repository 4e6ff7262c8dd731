"""Tests run offline, on one thread, with a cache of their own; pictures and a published-like folder are made once a session."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported

import hashlib
import json

import numpy as np
import pytest
import torch
from medbench_biovil import encoder
from medbench_biovil.network import ImageNetwork
from medbench_biovil.sizes import PRESETS
from medbench_biovil.text import TextNetwork
from PIL import Image as Pil
from safetensors.torch import save_file
from transformers import BertConfig

from medbench.types import Image

torch.set_num_threads(1)

TEXT = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] no pleural effusion ##s pneumonia findings consistent with ."


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.setenv("MEDBENCH_PLUGINS", "")


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """Return three indexed pictures of different sizes, and a prior one, as a tuple."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    made = []
    for number, (height, width) in enumerate([(160, 200), (220, 150), (140, 140), (180, 160)]):
        path = folder / f"{number}.png"
        Pil.fromarray(rng.integers(20, 230, (height, width), dtype=np.uint8)).save(path)
        role = "prior" if number == 3 else "image"
        made.append(Image(path=str(path), role=role, digest=hashlib.sha256(path.read_bytes()).hexdigest()[:32]))
    return tuple(made)


@pytest.fixture
def small(monkeypatch):
    """Let the published sizes be tiny ones, so that files of the published layout are small."""
    sizes = PRESETS["tiny"]
    monkeypatch.setattr(encoder, "PUBLISHED", sizes)
    return sizes


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Return a folder as the makers publish it, at tiny sizes: pickled image side, text side with the masked-word head."""
    folder = tmp_path_factory.mktemp("weights") / "biovil"
    folder.mkdir()
    torch.manual_seed(1)
    sizes = PRESETS["tiny"]
    image, text = ImageNetwork(sizes), TextNetwork(BertConfig(**TEXT), sizes.joint)
    torch.save(image.state_dict(), folder / encoder.IMAGE_FILES[1])
    head = {"cls.predictions.bias": torch.zeros(60), "bert.embeddings.position_ids": torch.arange(40)[None]}
    save_file({**text.state_dict(), **head}, folder / "model.safetensors")
    config = {**TEXT, "model_type": "cxr-bert", "projection_size": sizes.joint, "auto_map": {"AutoModel": "modeling_cxrbert.CXRBertModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text(WORDS.replace(" ", "\n") + "\n")
    return folder
