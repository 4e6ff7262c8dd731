"""Tests run offline, on one thread, with a cache of their own; tiny models are built once a session."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported

import numpy as np
import pytest
import torch
from medbench_torch.tiny.llava import build_llava, build_lora
from PIL import Image

torch.set_num_threads(1)

DIALECTS = ("hf", "hf-before-4.52", "llava")


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.setenv("MEDBENCH_PLUGINS", "")


@pytest.fixture(scope="session")
def tiny_llava(tmp_path_factory):
    """Return the folder of a tiny LLaVA with a CLIP tower; not to be written to."""
    return build_llava(tmp_path_factory.mktemp("tiny") / "llava")


@pytest.fixture(scope="session")
def tiny_rad(tmp_path_factory):
    """Return the folder of a tiny LLaVA with a DINOv2 tower; not to be written to."""
    return build_llava(tmp_path_factory.mktemp("tiny") / "rad", vision="dinov2")


@pytest.fixture(scope="session")
def tiny_loras(tmp_path_factory, tiny_llava):
    """Return one adapter for `tiny_llava`, of equal tensors, by the dialect that its file is in."""
    folder = tmp_path_factory.mktemp("loras")
    return {dialect: build_lora(tiny_llava, folder / dialect, dialect=dialect) for dialect in DIALECTS}


@pytest.fixture(scope="session")
def picture():
    """Return a picture that is not square."""
    return Image.fromarray(np.random.default_rng(3).integers(0, 255, (70, 60, 3), dtype=np.uint8))


@pytest.fixture(scope="session")
def llava_input(tiny_llava, picture):
    """Return what `tiny_llava` takes for a question about the picture (and any LLaVA with its tokenizer and size)."""
    from transformers import AutoTokenizer, CLIPImageProcessorPil, LlavaProcessor

    images = CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    tokenizer = AutoTokenizer.from_pretrained(tiny_llava)
    processor = LlavaProcessor(images, tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1)
    return dict(processor(images=picture, text="USER: <image>\nIs there an effusion? ASSISTANT:", return_tensors="pt"))


@pytest.fixture(scope="session")
def probe(llava_input):
    """Return a function from a LLaVA to its logits for the question."""

    def logits(model):
        with torch.inference_mode():
            return model(**llava_input).logits

    return logits
