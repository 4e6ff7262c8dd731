"""Adapters on disk, with their alpha: diffusers' one file, or a directory of PEFT for each network."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import save, save_file

from medbench.files import write_whole
from medbench_diffusion.lora import FILE, METADATA

PREFIX = "base_model.model."


def write_file(folder: Path, parts: Mapping[str, tuple[Mapping[str, torch.Tensor], LoraConfig]]) -> None:
    """Write an adapter as diffusers does, its alpha beside it: without that a reader takes alpha to be r.

    Args:
        folder: Made where it is not there.
        parts: `unet` and `text_encoder` -> tensors by PEFT's names, and the configuration.
    """
    tensors: dict[str, torch.Tensor] = {}
    said: dict[str, Any] = {}
    for part, (matrices, config) in parts.items():
        tensors |= {f"{part}.{_published(part, name)}": tensor.detach().cpu().contiguous() for name, tensor in matrices.items()}
        said |= {f"{part}.{name}": value for name, value in _plain(config).items()}
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"format": "pt", METADATA: json.dumps(said, indent=2, sort_keys=True)}
    write_whole(folder / FILE, _ordered(save(tensors, metadata=metadata)))


def _ordered(content: bytes) -> bytes:
    """Return a safetensors file with its header in order: several entries of metadata come in another one each time."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def write_directory(folder: Path, tensors: Mapping[str, torch.Tensor], config: LoraConfig) -> None:
    """Write an adapter as PEFT does; no path of this machine is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"{PREFIX}{name}": tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    LoraConfig(**_plain(config), inference_mode=True).save_pretrained(folder)


def _plain(config: LoraConfig) -> dict[str, Any]:
    targets = config.target_modules
    return {
        "r": config.r,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": config.lora_dropout,
        "target_modules": targets if isinstance(targets, str) else sorted(targets),
        "init_lora_weights": config.init_lora_weights,
        "use_rslora": config.use_rslora,
    }


def _published(part: str, name: str) -> str:
    """Return a tensor's name as files have it: CLIP's text encoder has lost a level in transformers 5."""
    return f"text_model.{name}" if part == "text_encoder" and not name.startswith("text_model.") else name
