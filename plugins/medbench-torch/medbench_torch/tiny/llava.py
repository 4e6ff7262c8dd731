"""A tiny LLaVA of the true class, and LoRA adapters for it in each dialect."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import nn
from transformers import (
    CLIPVisionConfig,
    Dinov2Config,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

from medbench.errors import UsageError
from medbench_torch import dialects
from medbench_torch.loading import quiet
from medbench_torch.processing import llava_processor
from medbench_torch.tiny.causal import save, seeded, text_config, tokenizer_from

LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Every linear module of a language model's layers: what LLaVA's training wraps."""

LANGUAGE_MODEL = "model.language_model"


def build_llava(
    folder: str | Path,
    *,
    seed: int = 0,
    vision: str = "clip",
    text: str = "llama",
    image_size: int = 56,
    patch_size: int = 14,
    tokenizer: PreTrainedTokenizerFast | Iterable[str] | None = None,
    vision_sizes: dict[str, Any] | None = None,
    **sizes: Any,
) -> Path:
    """Save a LLaVA with random weights, its processor and its tokenizer.

    Args:
        folder: Where to.
        seed: Seed of the weights.
        vision: `clip` (LLaVA 1.5, LLaVA-Med) or `dinov2` (LLaVA-Rad).
        text: `llama`, `mistral` or `qwen2`.
        image_size: Side of the square picture, in pixels.
        patch_size: Side of a patch; (image_size / patch_size)² image tokens.
        tokenizer: A tokenizer, texts to train one on, or None for the one of bytes.
        vision_sizes: Fields of the tower's config that are not as here (width 32, 3 layers, 4 heads).
        **sizes: Fields of the language model's config (width 64, 2 layers, 4 heads).

    Returns:
        The folder.

    Raises:
        UsageError: a kind is unknown, or the picture is not made of whole patches.
    """
    if image_size % patch_size:
        raise UsageError(f"image_size={image_size}: not a multiple of the patch, {patch_size}")
    tokens = tokenizer_from(tokenizer)
    config = LlavaConfig(
        vision_config=_tower(vision, image_size, patch_size, vision_sizes or {}),
        text_config=text_config(text, tokens, **sizes),
        image_token_index=tokens.convert_tokens_to_ids("<image>"),
        image_seq_length=(image_size // patch_size) ** 2,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
    )
    return save(folder, seeded(lambda: LlavaForConditionalGeneration(config), seed), llava_processor(tokens, config.vision_config))


def _tower(kind: str, image_size: int, patch_size: int, sizes: dict[str, Any]) -> PreTrainedConfig:
    fields: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": image_size,
        "patch_size": patch_size,
    }
    if kind == "clip":
        return CLIPVisionConfig(**({"intermediate_size": 64, "projection_dim": 32} | fields | sizes))
    if kind == "dinov2":
        return Dinov2Config(**({"mlp_ratio": 2, "layer_norm_eps": 1e-6} | fields | sizes))
    raise UsageError(f"vision={kind}: no such tiny tower", hint="clip or dinov2")


def build_lora(
    base: str | Path,
    out: str | Path,
    *,
    dialect: str = dialects.HF,
    r: int = 4,
    alpha: float = 8,
    seed: int = 0,
    std: float = 0.2,
    targets: tuple[str, ...] = LINEARS,
    projector: bool = False,
) -> Path:
    """Save a LoRA adapter with random tensors for the language model of a LLaVA, as a training of that dialect would.

    Args:
        base: Folder of the LLaVA.
        out: Where to.
        dialect: One of `dialects.DIALECTS`: how the file spells its keys. Equal seeds give equal tensors in all of them.
        r: Rank.
        alpha: The product is scaled by alpha / r.
        seed: Seed of the tensors.
        std: Standard deviation of `lora_B`; 0: an adapter that changes nothing.
        targets: Last parts of the modules' names.
        projector: Also write a trained projector, as LLaVA's training does, but as safetensors.

    Returns:
        The folder `out`.
    """
    with quiet():
        model = LlavaForConditionalGeneration.from_pretrained(base, local_files_only=True)
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.startswith(LANGUAGE_MODEL) and name.rpartition(".")[2] in targets:
            key = dialects.PREFIX + dialects.spelled(name, dialect, LANGUAGE_MODEL)
            tensors[f"{key}.lora_A.weight"] = torch.randn(r, module.in_features, generator=generator) / module.in_features**0.5
            tensors[f"{key}.lora_B.weight"] = torch.randn(module.out_features, r, generator=generator) * std
    folder = Path(out)
    # the original code states suffixes alone, which also name modules of CLIP
    wanted: Any = list(targets) if dialect == dialects.LLAVA else rf".*language_model.*\.({'|'.join(targets)})"
    config = LoraConfig(r=r, lora_alpha=alpha, target_modules=wanted, task_type="CAUSAL_LM", base_model_name_or_path="tiny/llava")
    config.save_pretrained(folder)
    _sort_targets(folder / "adapter_config.json")
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    if projector:
        _save_projector(model, folder, generator)
    return folder


def _sort_targets(file: Path) -> None:
    """PEFT keeps targets as a set and writes them in any order: equal seeds give equal bytes."""
    said = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(said["target_modules"], list):
        said["target_modules"].sort()
    file.write_text(json.dumps(said, indent=2, sort_keys=True), encoding="utf-8")


def _save_projector(model: LlavaForConditionalGeneration, folder: Path, generator: torch.Generator) -> None:
    trained = {}
    for name, tensor in model.model.multi_modal_projector.state_dict().items():
        original = name.replace("linear_1", "0").replace("linear_2", "2")
        noise = torch.randn(tensor.shape, generator=generator) * 0.02
        trained[f"{dialects.PREFIX}model.mm_projector.{original}"] = tensor + noise
    save_file(trained, folder / "non_lora_trainables.safetensors", metadata={"format": "pt"})
    said = {"model_type": "llava", "mm_projector_type": "mlp2x_gelu", "mm_vision_select_layer": -2, "mm_vision_select_feature": "patch"}
    (folder / "config.json").write_text(json.dumps(said, indent=2), encoding="utf-8")
