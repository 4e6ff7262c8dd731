"""The parts that fine-tuning leaves alone, in one folder of safetensors: tower, language model, and a projection where one was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from medbench_torch.weights import WeightsError, read_json, read_tensors
from safetensors.torch import save_file
from transformers import Blip2VisionConfig

from medbench_pefomed.eva import convert_eva

KIND = "minigpt-v2"
CONFIG = "config.json"
VISION_FILE = "vision.safetensors"
PROJECTION_FILE = "projection.safetensors"
LANGUAGE_MODEL = "language_model"


def is_base(folder: Path) -> bool:
    """Say whether a folder is one that `write_base` wrote."""
    return (folder / VISION_FILE).is_file()


def has_projection(folder: Path) -> bool:
    """Say whether a base brings a projection of its own, and so answers without LoRA."""
    return (folder / PROJECTION_FILE).is_file()


def is_preset(folder: Path) -> bool:
    """Say whether a base, its language model included, is a small one that a preset made."""
    return is_base(folder) and bool(read_json(folder / CONFIG).get("preset"))


def write_base(
    folder: Path,
    config: Blip2VisionConfig,
    tower: Mapping[str, torch.Tensor],
    projection: Mapping[str, torch.Tensor] | None = None,
    *,
    preset: str = "",
) -> Path:
    """Write tower and projection; the language model is saved into `language_model/` by whoever has it.

    Args:
        folder: Where to.
        config: Of the tower.
        tower: Its tensors.
        projection: `weight` and `bias`; None: there is none yet.
        preset: The preset that made tower and language model, if one did.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = {"model_type": KIND, "vision_config": _plain(config)} | ({"preset": preset} if preset else {})
    (folder / CONFIG).write_text(json.dumps(said, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    save_file(_cpu(tower), folder / VISION_FILE, metadata={"format": "pt"})
    if projection is not None:
        save_file(_cpu(projection), folder / PROJECTION_FILE, metadata={"format": "pt"})
    return folder


def read_tower(path: Path, *, trust_pickle: bool = False) -> tuple[Blip2VisionConfig, dict[str, torch.Tensor]]:
    """Return config and tensors of the tower, from a folder of `write_base` or from `eva_vit_g.pth`.

    Raises:
        WeightsError: it is neither, torn, or a pickle that is not trusted.
    """
    if path.is_file():
        return convert_eva(read_tensors(path, trust_pickle=trust_pickle), str(path))
    if not is_base(path):
        raise WeightsError(f"{path}: no vision tower in it", hint="vision=eva_vit_g.pth, or a folder that medbench convert wrote")
    config = read_json(path / CONFIG)
    if config.get("model_type") != KIND or "vision_config" not in config:
        raise WeightsError(f"{path / CONFIG}: not the config of a {KIND}", hint="a folder that medbench convert or medbench fit wrote")
    return Blip2VisionConfig(**config["vision_config"]), read_tensors(path / VISION_FILE)


def read_projection(folder: Path) -> dict[str, torch.Tensor] | None:
    """Return the projection of a base folder; None: it has none."""
    return read_tensors(folder / PROJECTION_FILE) if has_projection(folder) else None


def _plain(config: Blip2VisionConfig) -> dict[str, Any]:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size", "layer_norm_eps")
    return {name: getattr(config, name) for name in names}


def _cpu(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
