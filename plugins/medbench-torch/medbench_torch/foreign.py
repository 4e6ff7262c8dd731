"""What foreign checkpoints call their tensors, translated to the names that transformers has on disk; configs read off shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from transformers import CLIPVisionConfig, Dinov2Config, LlamaConfig, MistralConfig, PreTrainedConfig

from medbench_torch.weights import WeightsError, listing

Tensors = dict[str, torch.Tensor]

HEAD = 64
"""Width of an attention head in every published CLIP and DINOv2 tower: shapes do not tell the number of heads."""

TEXT_KINDS = {"llava": LlamaConfig, "llava_llama": LlamaConfig, "llava_mistral": MistralConfig}
"""model_type of the original LLaVA code -> config of its language model."""

_DROPPED = re.compile(r"rotary_emb\.inv_freq$|(^|\.)position_ids$")
"""Buffers that are computed."""
_OWN_TOWER = "model.vision_tower.vision_tower."
_PROJECTOR = re.compile(r"^model\.mm_projector\.([02])\.(weight|bias)$")
_LAYERS = {"0": "linear_1", "2": "linear_2"}

_TEXT_FIELDS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "sliding_window",
    "attention_bias",
    "tie_word_embeddings",
    "initializer_range",
)

_TIMM = (
    (r"^cls_token$", "embeddings.cls_token"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"encoder.layer.\1.attention.output.dense."),
    (r"^blocks\.(\d+)\.ls([12])\.gamma$", r"encoder.layer.\1.layer_scale\2.lambda1"),
    (r"^blocks\.(\d+)\.(norm[12]|mlp\.fc[12])\.", r"encoder.layer.\1.\2."),
)
_QKV = re.compile(r"^blocks\.(\d+)\.attn\.qkv\.(weight|bias)$")


def split_llava(tensors: Mapping[str, torch.Tensor], source: str) -> tuple[Tensors, Tensors, Tensors]:
    """Return language model, projector and tower of an original LLaVA checkpoint.

    Args:
        tensors: By the names of the original code.
        source: For messages.

    Returns:
        The language model by names of its own class, the projector as `linear_1.weight` …, the tower as
        `vision_model.…` (empty: the checkpoint has none).

    Raises:
        WeightsError: a tensor that belongs to none of the three, or a projector that is not two linear layers.
    """
    text: Tensors = {}
    projector: Tensors = {}
    tower: Tensors = {}
    strays = []
    for name, tensor in tensors.items():
        if _DROPPED.search(name):
            continue
        if found := _PROJECTOR.match(name):
            projector[f"{_LAYERS[found[1]]}.{found[2]}"] = tensor
        elif name.startswith(_OWN_TOWER):
            tower[name.removeprefix(_OWN_TOWER)] = tensor
        elif name.startswith(("model.layers.", "model.embed_tokens.", "model.norm.", "lm_head.")):
            text[name] = tensor
        else:
            strays.append(name)
    if strays:
        raise WeightsError(f"{source}: no tensors of an original LLaVA: {listing(strays)}", hint="which code was it trained with?")
    is_whole_projector(projector, source)
    return text, projector, tower


def is_whole_projector(projector: Mapping[str, torch.Tensor], source: str) -> None:
    """Check that a projector is two linear layers with biases.

    Raises:
        WeightsError: it is not.
    """
    wanted = {f"{layer}.{kind}" for layer in _LAYERS.values() for kind in ("weight", "bias")}
    if projector.keys() != wanted:
        hint = "only mlp2x_gelu projectors are converted"
        raise WeightsError(f"{source}: its projector has {listing(projector, 4) or 'no tensors'}", hint=hint)


def text_config_of(config: Mapping[str, Any], source: str) -> PreTrainedConfig:
    """Return the config of the language model inside an original LLaVA's config.

    Raises:
        WeightsError: a kind of LLaVA that is not converted.
    """
    kind = config.get("model_type")
    if kind not in TEXT_KINDS or "mm_vision_tower" not in config:
        hint = f"converted are model_type {', '.join(TEXT_KINDS)} with mm_vision_tower"
        raise WeightsError(f"{source}: not the config of an original LLaVA (model_type {kind})", hint=hint)
    if config.get("mm_projector_type", "linear") != "mlp2x_gelu":
        raise WeightsError(f"{source}: mm_projector_type {config.get('mm_projector_type', 'linear')}", hint="only mlp2x_gelu is converted")
    if config.get("mm_use_im_start_end"):
        raise WeightsError(f"{source}: mm_use_im_start_end is set", hint="LLaVA 1.5 and its relatives do without")
    # a null is a value too: a Mistral without a sliding window says so
    return TEXT_KINDS[kind](**{key: config[key] for key in _TEXT_FIELDS if key in config})


def clip_tower(tensors: Mapping[str, torch.Tensor], source: str, heads: int = 0) -> tuple[CLIPVisionConfig, Tensors]:
    """Return config and tensors (`vision_model.…`) of the image tower among the tensors of a CLIP of OpenAI.

    Args:
        tensors: By the names of transformers; those of a text tower are left out.
        source: For messages.
        heads: Attention heads; 0: one for each 64 of the width.

    Raises:
        WeightsError: there is no image tower among them.
    """
    bare = "embeddings.class_embedding" in tensors
    named = {f"vision_model.{name}": tensor for name, tensor in tensors.items()} if bare else tensors
    kept = {name: tensor for name, tensor in named.items() if name.startswith("vision_model.") and not _DROPPED.search(name)}
    try:
        patches = kept["vision_model.embeddings.patch_embedding.weight"]
        positions = kept["vision_model.embeddings.position_embedding.weight"]
        inner = kept["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(
            f"{source}: no image tower of CLIP in it (no {error.args[0]})", hint="such as openai/clip-vit-large-patch14-336"
        ) from None
    width, patch = patches.shape[0], patches.shape[-1]
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=_count(kept, r"^vision_model\.encoder\.layers\.(\d+)\."),
        num_attention_heads=heads or max(1, width // HEAD),
        image_size=_side(positions.shape[0] - 1, patch),
        patch_size=patch,
        projection_dim=width,
    )
    return config, kept


def dinov2_tower(tensors: Mapping[str, torch.Tensor], source: str, heads: int = 0) -> tuple[Dinov2Config, Tensors]:
    """Return config and tensors of a DINOv2 that timm or open_clip saved, as `Dinov2Model` has them on disk.

    The fused qkv is split in three; timm's layer norm has an epsilon of 1e-6.

    Args:
        tensors: By timm's names, below any prefix that ends in `visual.trunk.`; what is not below it is left out.
        source: For messages.
        heads: Attention heads; 0: one for each 64 of the width.

    Raises:
        WeightsError: a tensor that no DINOv2 has, or one that is missing.
    """
    trunk = {re.sub(r"^.*visual\.trunk\.", "", name): tensor for name, tensor in tensors.items() if "visual.trunk." in name} or dict(
        tensors
    )
    made: Tensors = {}
    for name, tensor in trunk.items():
        if found := _QKV.match(name):
            for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                made[f"encoder.layer.{found[1]}.attention.attention.{part}.{found[2]}"] = third.clone()
        else:
            made[_renamed(name, source)] = tensor
    try:
        patches, positions = made["embeddings.patch_embeddings.projection.weight"], made["embeddings.position_embeddings"]
        inner = made["encoder.layer.0.mlp.fc1.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(
            f"{source}: no DINOv2 in it (no {error.args[0]})", hint="tensors of timm's vit_*_patch14_dinov2 are expected"
        ) from None
    width, patch = patches.shape[0], patches.shape[-1]
    config = Dinov2Config(
        hidden_size=width,
        mlp_ratio=inner / width if inner % width else inner // width,
        num_hidden_layers=_count(made, r"^encoder\.layer\.(\d+)\."),
        num_attention_heads=heads or max(1, width // HEAD),
        image_size=_side(positions.shape[1] - 1, patch),
        patch_size=patch,
        layer_norm_eps=1e-6,
        use_mask_token=False,
    )
    return config, made


def _renamed(name: str, source: str) -> str:
    for pattern, replacement in _TIMM:
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name)
    raise WeightsError(f"{source}: {name} belongs to no DINOv2 of timm", hint="another kind of tower?")


def _count(tensors: Mapping[str, torch.Tensor], pattern: str) -> int:
    return 1 + max(int(found[1]) for name in tensors if (found := re.match(pattern, name)))


def _side(patches: int, patch: int) -> int:
    return math.isqrt(patches) * patch


def padded_vocabulary(text: Tensors, tokens: int, multiple: int = 64) -> tuple[Tensors, int]:
    """Return a language model whose vocabulary has room for all tokens, and its size.

    A new row is the mean of the old ones: the logit of a new token is then the mean logit, which is never the largest,
    so that greedy answers stay those of the original.

    Args:
        text: Tensors of the language model by names of its own class.
        tokens: Number of tokens that the tokenizer has.
        multiple: The size is rounded up to a multiple of this.
    """
    rows = text["model.embed_tokens.weight"].shape[0]
    size = -(-max(rows, tokens) // multiple) * multiple
    made = dict(text)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        if name in made and size > rows:
            old = made[name]
            mean = old.float().mean(dim=0, keepdim=True).to(old.dtype)
            made[name] = torch.cat([old, mean.expand(size - rows, -1)])
    return made, size
