"""EVA ViT-g as its checkpoint has it, translated to the names of `Blip2VisionModel`, its positions stretched to larger pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from medbench_torch.weights import WeightsError, listing
from torch.nn import functional
from transformers import Blip2VisionConfig

Tensors = dict[str, torch.Tensor]

LAYERS = 39
"""Blocks that are used: the last one of EVA ViT-g is left out."""
HEAD = 88
"""Width of an attention head of EVA ViT-g; shapes do not tell it."""
SIDE = 448
"""Pixels along a side of MiniGPT-v2's pictures."""

_NAMES = (
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^patch_embed\.proj\.(weight|bias)$", r"embeddings.patch_embedding.\1"),
    (r"^blocks\.(\d+)\.norm([12])\.(weight|bias)$", r"encoder.layers.\1.layer_norm\2.\3"),
    (r"^blocks\.(\d+)\.attn\.qkv\.weight$", r"encoder.layers.\1.self_attn.qkv.weight"),
    (r"^blocks\.(\d+)\.attn\.proj\.(weight|bias)$", r"encoder.layers.\1.self_attn.projection.\2"),
    (r"^blocks\.(\d+)\.mlp\.(fc[12])\.(weight|bias)$", r"encoder.layers.\1.mlp.\2.\3"),
)
_BIAS = re.compile(r"^blocks\.(\d+)\.attn\.([qv])_bias$")
_HEADS = re.compile(r"^(norm|fc_norm|head)\.(weight|bias)$|^mask_token$")
"""What a classifier of EVA ends in, which nothing here sees."""


def convert_eva(
    tensors: Mapping[str, torch.Tensor], source: str, *, layers: int = LAYERS, head: int = HEAD, side: int = SIDE
) -> tuple[Blip2VisionConfig, Tensors]:
    """Return config and tensors of the tower.

    The normalisation behind it is the identity that the reference never loads weights for: weight 1, bias 0.

    Args:
        tensors: Of `eva_vit_g.pth`.
        source: For messages.
        layers: Blocks to keep; further ones are dropped.
        head: Width of an attention head.
        side: Pixels along a side of the pictures that it will see.

    Raises:
        WeightsError: it is no EVA ViT, or has fewer blocks.
    """
    missing = [name for name in ("cls_token", "pos_embed", "patch_embed.proj.weight") if name not in tensors]
    if missing:
        raise WeightsError(f"{source}: no EVA ViT (no {listing(missing)})", hint="vision= takes eva_vit_g.pth")
    made, biases, strays = _renamed(tensors, layers)
    if strays:
        raise WeightsError(f"{source}: {len(strays)} tensors that EVA ViT-g does not have ({listing(strays)})", hint="another EVA?")
    width, _, patch, _ = tensors["patch_embed.proj.weight"].shape
    found = {int(name.split(".")[2]) for name in made if name.startswith("encoder.layers.")}
    if found != set(range(layers)) or width % head:
        raise WeightsError(f"{source}: {len(found)} blocks {width} wide; {layers} of heads {head} wide are wanted", hint="another EVA?")
    _put_biases(made, biases, source)
    made["embeddings.position_embedding"] = stretched(tensors["pos_embed"], side // patch)
    made |= {"post_layernorm.weight": torch.ones(width), "post_layernorm.bias": torch.zeros(width)}
    fields: dict[str, Any] = {
        "hidden_size": width,
        "intermediate_size": tensors["blocks.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": layers,
        "num_attention_heads": width // head,
        "image_size": side,
        "patch_size": patch,
    }
    return Blip2VisionConfig(**fields), made


def stretched(positions: torch.Tensor, grid: int) -> torch.Tensor:
    """Return position embeddings (1, 1 + grid², width) for another number of patches: bicubic, corners not aligned.

    Args:
        positions: Shape (1, 1 + patches, width), the class token first.
        grid: Patches along a side of the picture.
    """
    old = math.isqrt(positions.shape[1] - 1)
    if old == grid:
        return positions
    own, rest = positions[:, :1].float(), positions[:, 1:].float()
    square = rest.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    made = functional.interpolate(square, size=(grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([own, made.permute(0, 2, 3, 1).flatten(1, 2)], dim=1).to(positions.dtype)


def _renamed(tensors: Mapping[str, torch.Tensor], layers: int) -> tuple[Tensors, Tensors, list[str]]:
    """Return tensors by their new names, query and value biases by their old ones, and names that mean nothing here."""
    made: Tensors = {}
    biases: Tensors = {}
    strays = []
    for name, tensor in tensors.items():
        block = re.match(r"blocks\.(\d+)\.", name)
        if (block and int(block[1]) >= layers) or _HEADS.search(name):
            continue
        if _BIAS.match(name):
            biases[name] = tensor
            continue
        new = next((re.sub(pattern, to, name) for pattern, to in _NAMES if re.search(pattern, name)), "")
        if new:
            made[new] = tensor
        else:
            strays.append(name)
    return made, biases, strays


def _put_biases(made: Tensors, biases: Tensors, source: str) -> None:
    """Join the biases of queries and values around the zeros that keys have."""
    for number in sorted({int(match[1]) for name in biases if (match := _BIAS.match(name))}):
        halves = [biases.get(f"blocks.{number}.attn.{part}_bias") for part in "qv"]
        if halves[0] is None or halves[1] is None:
            raise WeightsError(f"{source}: block {number} has one of q_bias and v_bias", hint="the file is not whole")
        made[f"encoder.layers.{number}.self_attn.qkv.bias"] = torch.cat([halves[0], torch.zeros_like(halves[1]), halves[1]])
