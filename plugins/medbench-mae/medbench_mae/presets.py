"""Small models of the true classes with random weights: an encoder, its processor, a language model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from medbench_torch.devices import Placement
from medbench_torch.images import Pixels, pil_processor
from medbench_torch.tiny.causal import build_llama, seeded
from medbench_torch.tiny.tokenizers import train_bpe

from medbench_mae.encoder import About, MaeEncoder
from medbench_mae.network import Readout

SIDE = 112
"""Pixels along a side of the tiny model's pictures: 8 x 8 patches of 14."""
SIZES: dict[str, Any] = {
    "image_size": SIDE,
    "patch_size": 14,
    "hidden_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 192,
    "decoder_hidden_size": 64,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 4,
    "decoder_intermediate_size": 128,
    "layer_norm_eps": 1e-6,
    "norm_pix_loss": True,
}
TEXT_SIZES = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4}
TOKENS = 600


def tiny_mae(seed: int = 0, **sizes: Any) -> Any:
    """Return a small `ViTMAEForPreTraining` with the weights of a seed; `sizes` are fields of its config."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    return seeded(lambda: ViTMAEForPreTraining(ViTMAEConfig(**(SIZES | sizes))), seed)


def processor_of(side: int) -> Any:
    """Return the processor of `facebook/vit-mae-base` for pictures of another size."""
    return pil_processor({"image_processor_type": "ViTImageProcessor", "size": {"height": side, "width": side}})


def untrained(kind: str, placement: Placement, aspect: str) -> MaeEncoder:
    """Return an encoder with random weights, always the same; it gives a probability for any label, by chance."""
    vit = tiny_mae(mask_ratio=0.0).vit.to(placement.device, placement.dtype)
    heads = SIZES["num_attention_heads"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        readout = Readout(SIZES["hidden_size"], heads, 0)
    pixels = Pixels(processor_of(SIDE), aspect)
    return MaeEncoder(vit, readout, pixels, About(kind=kind, heads=heads, aspect=aspect), placement)


def tiny_language_model(folder: Path, texts: Iterable[str], seed: int = 0) -> Path:
    """Write a small Llama with random weights, its tokenizer trained on `texts`; random or not, its states tell words apart."""
    return build_llama(folder, seed=seed, tokenizer=train_bpe(texts, TOKENS), **TEXT_SIZES)
