"""Tests run offline, on one thread, with a cache of their own; a tiny MiniGPT-v2 is built once a session."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported

import hashlib
import shutil
from functools import cache

import numpy as np
import pytest
import torch
from medbench_pefomed.presets import build_base, build_tuned, random_tuned
from medbench_torch.tiny.causal import seeded
from PIL import Image as Pil
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer

from medbench.types import Generate, Image

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.setenv("MEDBENCH_PLUGINS", "")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return a folder with `base/` and `adapter/` of a tiny MiniGPT-v2; not to be written to."""
    folder = tmp_path_factory.mktemp("tiny")
    build_tuned(folder / "adapter", build_base(folder / "base"))
    return folder


@pytest.fixture(scope="session")
def released(tmp_path_factory, tiny):
    """Return the same LoRA and projection as a pickle in the released layout: names of peft 0.2, optimizer and config beside."""
    lora, projection = random_tuned(tiny / "base", r=4, seed=0, std=0.2)
    return write_released(tmp_path_factory.mktemp("released") / "checkpoint_49.pth", lora, projection)


def write_released(file, lora, projection, **changes):
    tensors = {f"llama_model.base_model.model.{path}.{kind}.weight": value for path, kinds in lora.items() for kind, value in kinds.items()}
    tensors |= {f"llama_proj.{kind}": value for kind, value in projection.items()}
    tensors["llama_model.base_model.model.model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    tensors |= changes
    kept = {name: value for name, value in tensors.items() if value is not None}
    torch.save({"model": kept, "optimizer": {"state": {}}, "config": {"run": {"seed": 42}}, "scaler": {}, "epoch": 49}, file)
    return file


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Return three indexed pictures of different sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    return [
        saved(Pil.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)), folder / f"{number}.png")
        for number, (height, width) in enumerate([(60, 90), (80, 50), (64, 64)])
    ]


def saved(picture, path):
    picture.save(path)
    return Image(path=str(path), digest=hashlib.sha256(path.read_bytes()).hexdigest()[:32])


@pytest.fixture(scope="session")
def mixed(pictures):
    """Return requests of many kinds: questions, reports, shared pictures, two pictures, none, limits, options, sampling."""
    one, two, three = pictures
    return [
        Generate(prompt="Is there a pneumothorax?", images=(one,), max_new_tokens=9, options=("yes", "no")),
        Generate(prompt="hi", max_new_tokens=14),
        Generate(
            prompt="Are the lungs clear? Answer with one word, and do not say anything else.", images=(one,), max_new_tokens=3, kind="x"
        ),
        Generate(prompt="Compare the two pictures.", images=(two, three), max_new_tokens=12),
        Generate(prompt="Describe the heart.", images=(three,), max_new_tokens=7, temperature=0.9, seed=11),
        Generate(prompt="Which side?", images=(two,), max_new_tokens=5, options=("left", "right")),
    ]


@pytest.fixture(scope="session")
def eva():
    """Return what makes tensors in the layout of `eva_vit_g.pth`: 32 wide, 4 heads, patches of 14 pixels."""

    def eva(depth=3, grid=4, seed=0):
        """Return tensors in the layout of `eva_vit_g.pth`, of another size."""
        generator = torch.Generator().manual_seed(seed)

        def drawn(*shape):
            return torch.randn(*shape, generator=generator) * 0.3

        made = {"cls_token": drawn(1, 1, 32), "pos_embed": drawn(1, 1 + grid * grid, 32)}
        made |= {"patch_embed.proj.weight": drawn(32, 3, 14, 14) * 0.1, "patch_embed.proj.bias": drawn(32)}
        for number in range(depth):
            shapes = {"attn.qkv.weight": (3 * 32, 32), "attn.q_bias": (32,), "attn.v_bias": (32,), "attn.proj.weight": (32, 32)}
            shapes |= {"attn.proj.bias": (32,), "mlp.fc1.weight": (64, 32), "mlp.fc1.bias": (64,), "mlp.fc2.weight": (32, 64)}
            shapes |= {"mlp.fc2.bias": (32,), **{f"norm{n}.{kind}": (32,) for n in (1, 2) for kind in ("weight", "bias")}}
            made |= {f"blocks.{number}.{name}": drawn(*shape) for name, shape in shapes.items()}
        return made

    return eva


@pytest.fixture(scope="session")
def foreign(tmp_path_factory, tiny):
    """Return what writes a tiny language model of another kind, with the tokenizer of the tiny Llama; one of each kind a session."""

    @cache
    def write(kind):
        folder = tmp_path_factory.mktemp("lm") / kind
        shutil.copytree(tiny / "base" / "language_model", folder, ignore=shutil.ignore_patterns("config.json", "*.safetensors"))
        sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 128}
        sizes |= {"word_embed_proj_dim": 64, "ffn_dim": 128, "vocab_size": len(AutoTokenizer.from_pretrained(folder))}
        config = CONFIG_MAPPING[kind](**sizes, bos_token_id=1, eos_token_id=2)
        seeded(lambda: AutoModelForCausalLM.from_config(config), 0).save_pretrained(folder)
        return folder

    return write


@pytest.fixture(scope="session")
def release():
    """Return what writes a checkpoint in the released layout."""
    return write_released


@pytest.fixture(scope="session")
def save():
    """Return what saves a picture as an indexed image."""
    return saved
