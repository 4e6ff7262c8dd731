"""A tiny MiniGPT-v2 of the true classes with random weights: the whole way of a real one, in seconds and without a download."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from medbench_torch.tiny.causal import build_llama, seeded
from medbench_torch.weights import read_tensors
from torch import nn
from transformers import Blip2VisionConfig, Blip2VisionModel, PreTrainedTokenizerFast

from medbench_pefomed.base import LANGUAGE_MODEL, read_projection, write_base
from medbench_pefomed.checkpoint import lora_config, write_tuned
from medbench_pefomed.network import GROUPED

TINY = "tiny"
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 56}
TEXT = {"hidden_size": 64, "num_hidden_layers": 2}


def build_base(
    folder: Path,
    *,
    seed: int = 0,
    tokenizer: PreTrainedTokenizerFast | Iterable[str] | None = None,
    tower: dict[str, Any] | None = None,
    text: dict[str, Any] | None = None,
    kind: str = "llama",
) -> Path:
    """Write a tiny base: tower, projection and language model with its tokenizer; same seed, same bytes.

    Args:
        folder: Where to.
        seed: Of the weights.
        tokenizer: A tokenizer, texts to train one on, or None for the one of bytes.
        tower: Fields of the tower's config that are not as in `TOWER`.
        text: Fields of the language model's config that are not as in `TEXT`.
        kind: Of the language model: `llama`, `mistral`, `qwen2`.
    """
    config = Blip2VisionConfig(**(TOWER | (tower or {})), patch_size=14, initializer_range=0.02)
    sizes = TEXT | (text or {})
    model: Any = seeded(lambda: Blip2VisionModel(config), seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        projection = nn.Linear(GROUPED * config.hidden_size, sizes["hidden_size"])
    write_base(folder, config, model.state_dict(), projection.state_dict(), preset=TINY)
    build_llama(folder / LANGUAGE_MODEL, seed=seed + 2, text=kind, tokenizer=tokenizer, **sizes)
    return folder


def build_tuned(folder: Path, base_folder: Path, *, r: int = 4, alpha: float = 8, seed: int = 0, std: float = 0.2) -> Path:
    """Write random LoRA and a random projection for a tiny base, as fitting would leave them.

    Args:
        folder: Where to.
        base_folder: From `build_base`.
        r: Rank.
        alpha: The product is scaled by alpha / r.
        seed: Of the tensors.
        std: Standard deviation of `lora_B`; 0: LoRA that changes nothing.
    """
    lora, projection = random_tuned(base_folder, r=r, seed=seed, std=std)
    return write_tuned(folder, lora_config(r, alpha, 0.0), lora, projection)


def random_tuned(base_folder: Path, *, r: int, seed: int, std: float) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    """Return random LoRA tensors by module and kind, and a random projection, in the shapes of a base folder."""
    generator = torch.Generator().manual_seed(seed)
    made: dict[str, dict[str, torch.Tensor]] = {}
    weights = read_tensors(base_folder / LANGUAGE_MODEL)
    for name in sorted(weights):
        if name.endswith(("q_proj.weight", "v_proj.weight")):
            out, width = weights[name].shape
            down = torch.randn(r, width, generator=generator) / width**0.5
            made[name.removesuffix(".weight")] = {"lora_A": down, "lora_B": torch.randn(out, r, generator=generator) * std}
    given = read_projection(base_folder) or {}
    return made, {kind: tensor + torch.randn(tensor.shape, generator=generator) * 0.02 for kind, tensor in given.items()}
