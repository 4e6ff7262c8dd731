"""Tests run offline, on one thread, with a cache of their own; tiny models of the true classes are built once a session."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported

import hashlib
import io
import warnings

import medbench_diffusion.diffusers_alone
import numpy as np
import pytest
import torch
from PIL import Image as Pil

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what diffusers says of other libraries when it is imported
    import diffusers
    import medbench_diffusion.sd_learner
    import medbench_diffusion.tiny

from medbench_diffusion.adapter_files import write_directory, write_file

from medbench.types import Picture, Synthesize

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.setenv("MEDBENCH_PLUGINS", "")


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory):
    """Return the folder of a tiny Stable Diffusion; not to be written to."""
    return medbench_diffusion.tiny.build_sd(tmp_path_factory.mktemp("tiny") / "sd")


@pytest.fixture(scope="session")
def tiny_kandinsky(tmp_path_factory):
    """Return the folder of a tiny Kandinsky; not to be written to."""
    return medbench_diffusion.tiny.build_kandinsky(tmp_path_factory.mktemp("tiny") / "kandinsky")


@pytest.fixture(scope="session")
def unet_lora(tiny_sd):
    """Return LoRA tensors for the denoiser of `tiny_sd`, and their configuration."""
    unet = diffusers.UNet2DConditionModel.from_pretrained(tiny_sd / "unet")
    return medbench_diffusion.tiny.build_lora(unet, r=4, alpha=16.0), unet.peft_config["default"]


@pytest.fixture(scope="session")
def sd_lora(tmp_path_factory, unet_lora):
    """Return the folder of an adapter of diffusers' form, r 4 and alpha 16."""
    folder = tmp_path_factory.mktemp("lora") / "sd"
    write_file(folder, {"unet": unet_lora})
    return folder


@pytest.fixture(scope="session")
def kandinsky_lora(tmp_path_factory, tiny_kandinsky):
    """Return the folder of an adapter with a directory of PEFT for prior and decoder."""
    folder = tmp_path_factory.mktemp("lora") / "kandinsky"
    for name, cls, part in (("decoder", diffusers.UNet2DConditionModel, "unet"), ("prior", diffusers.PriorTransformer, "prior_prior")):
        network = cls.from_pretrained(tiny_kandinsky / part)
        write_directory(folder / name, medbench_diffusion.tiny.build_lora(network, r=4, alpha=8.0), network.peft_config["default"])
    return folder


@pytest.fixture(scope="session")
def requests():
    """Return prompts with seeds."""
    return [Synthesize(prompt=f"an image with {number} polyp", seed=number * 977 + 5) for number in range(5)]


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """Return prompts with real pictures, of two colours and two sizes."""
    folder = tmp_path_factory.mktemp("real")
    rng = np.random.default_rng(0)
    made = []
    for number in range(8):
        height, width = (80, 100) if number % 2 else (70, 64)
        pixels = np.full((height, width, 3), (200, 90, 60), np.uint8) + rng.integers(0, 40, (height, width, 3), dtype=np.uint8)
        path = folder / f"{number}.png"
        Pil.fromarray(pixels).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        request = Synthesize(prompt=f"Generate an image containing {number} polyp", seed=number)
        made.append((request, Picture(path=str(path), digest=digest)))
    return made


@pytest.fixture(scope="session")
def pixels_of():
    """Return a function from a drawn picture to its levels."""
    return lambda picture: np.asarray(Pil.open(io.BytesIO(picture.data)).convert("RGB")).astype(int)
