"""LoRA adapters of pipelines, in diffusers' file form, kohya's, or PEFT's directories, read without assuming anything."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from medbench_torch.adapter_files import AdapterError, read_adapter
from medbench_torch.weights import digest, find_weights, listing, read_tensors
from safetensors import safe_open
from torch import nn

from medbench.types import Struct

FILE = "pytorch_lora_weights.safetensors"
CONFIG = "adapter_config.json"
METADATA = "lora_adapter_metadata"
DIFFUSERS, PEFT = "diffusers", "peft"
_HALF = re.compile(
    r"(?:\.lora|\.lora_linear_layer|_lora)?\.(?:(?P<old>down|up|lora_down|lora_up)|(?P<new>lora_[AB])(?:\.default)?)\.weight$"
)
_FIRST = ("down", "lora_down", "lora_A")


class Matrices(Struct):
    """What is added to one module: alpha / r times `up` times `down`."""

    down: torch.Tensor
    """(r, inputs), or (r, channels, height, width) of a convolution."""
    up: torch.Tensor
    """(outputs, r), or (outputs, r, 1, 1)."""
    alpha: float | None
    """None: the file does not say."""
    rooted: bool = False
    """Scaled by the root of r (rank-stabilised LoRA)."""

    @property
    def rank(self) -> int:
        """Return r."""
        return int(self.down.shape[0])

    @property
    def scale(self) -> float:
        """Return alpha / r; 1 where no alpha is known, as diffusers takes it."""
        alpha = float(self.rank) if self.alpha is None else self.alpha
        return alpha / (math.sqrt(self.rank) if self.rooted else self.rank)


class Lora(Struct):
    """An adapter as its files have it."""

    folder: Path
    form: str
    digest: str
    parts: dict[str, dict[str, Matrices]]
    """Part of the pipeline (`unet`, `text_encoder` …; of a PEFT directory its folder's name, or nothing) -> module -> matrices."""


def read_lora(name: str) -> Lora:
    """Read an adapter: a file, or a folder in one of the forms; of a folder that `medbench fit` wrote, the one in it.

    Raises:
        AdapterError: it is none, torn, not whole, or every matrix is zero.
        WeightsError: there is nothing of that name.
    """
    path = find_weights(name)
    if path.is_dir() and (path / "adapter").is_dir():
        path = path / "adapter"
    file = path / FILE if path.is_dir() else path
    if file.is_file():
        parts, form = _of_file(file), DIFFUSERS
    else:
        folders = [path] if (path / CONFIG).is_file() else sorted(config.parent for config in path.glob(f"*/{CONFIG}"))
        if not folders:
            raise AdapterError(f"{path}: no {FILE} and no {CONFIG} in it", hint="adapter=FOLDER as diffusers or PEFT wrote it")
        parts, form = {("" if folder == path else folder.name): _of_peft(folder) for folder in folders}, PEFT
    if not any(matrices.up.any() and matrices.down.any() for modules in parts.values() for matrices in modules.values()):
        raise AdapterError(f"{path}: every matrix is zero: it changes nothing", hint="was it saved before its training?")
    return Lora(folder=path, form=form, digest=digest(path), parts=parts)


def _of_file(file: Path) -> dict[str, dict[str, Matrices]]:
    """Return what a file of diffusers or kohya holds, by part and module."""
    from diffusers import StableDiffusionPipeline

    tensors = read_tensors(file)
    if strange := [key for key in tensors if "dora_scale" in key or "lora_magnitude" in key]:
        raise AdapterError(f"{file}: weight-decomposed ({listing(strange)})", hint="plain LoRA alone is read")
    alphas: dict[str, float] = {key.removesuffix(".alpha"): float(tensors[key]) for key in tensors if key.endswith(".alpha")}
    if any(key.startswith(("lora_unet_", "lora_te_")) for key in tensors):
        tensors, named = StableDiffusionPipeline.lora_state_dict(tensors)
        alphas = {_split(key.removesuffix(".alpha"))[0]: float(value) for key, value in (named or {}).items()}
    stated = _metadata(file)
    halves: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        if key.endswith(".alpha"):
            continue
        module, half = _split(key)
        if not half:
            raise AdapterError(f"{file}: {key} is no LoRA matrix", hint="is it a whole model? then weights=")
        halves.setdefault(module, {})[half] = tensor
    parts: dict[str, dict[str, Matrices]] = {}
    for name, pair in halves.items():
        part, _, module = name.partition(".")
        config = {key.removeprefix(f"{part}."): value for key, value in stated.items() if key.startswith(f"{part}.")}
        alpha = alphas.get(name, _pattern(config.get("alpha_pattern"), module, config.get("lora_alpha")))
        parts.setdefault(part, {})[module] = _whole(file, name, pair, alpha, rooted=bool(config.get("use_rslora")))
    return parts


def _split(key: str) -> tuple[str, str]:
    """Return the module that a tensor belongs to and which half it is; the latter empty: it is none.

    >>> _split("unet.mid.attn1.processor.to_out_lora.down.weight")
    ('unet.mid.attn1.to_out.0', 'down')
    """
    found = _HALF.search(key)
    if not found:
        return key, ""
    module = key[: found.start()]
    if ".processor." in module:
        module = module.replace(".processor.", ".")
        module = f"{module}.0" if module.endswith(".to_out") else module
    if module.startswith("text_encoder"):
        module = re.sub(r"\.self_attn\.to_(q|k|v|out)$", lambda m: f".self_attn.{m[1]}{'_proj'}", module)
    return module, "down" if (found["old"] or found["new"]) in _FIRST else "up"


def _of_peft(folder: Path) -> dict[str, Matrices]:
    """Return what a directory of PEFT holds, by module."""
    adapter = read_adapter(folder)
    if adapter.saved or adapter.projector:
        raise AdapterError(f"{folder}: modules trained as a whole ({listing(adapter.saved)})", hint="LoRA alone is read")
    config, made = adapter.config, {}
    for module, kinds in adapter.lora.items():
        if kinds.keys() != {"lora_A", "lora_B"}:
            raise AdapterError(f"{folder}: {module} has {listing(kinds)}", hint="plain LoRA alone is read")
        alpha = _pattern(config.get("alpha_pattern"), module, config["lora_alpha"])
        pair = {"down": kinds["lora_A"], "up": kinds["lora_B"]}
        made[module] = _whole(folder, module, pair, alpha, rooted=bool(config.get("use_rslora")))
    return made


def _metadata(file: Path) -> dict[str, Any]:
    """Return what a file says of its training, under keys such as `unet.lora_alpha`."""
    with safe_open(file, framework="pt") as opened:
        said = (opened.metadata() or {}).get(METADATA)
    try:
        found = json.loads(said) if said else {}
    except ValueError as error:
        raise AdapterError(f"{file}: its metadata is not JSON ({error})", hint="the file is torn: fetch it again") from error
    return found if isinstance(found, dict) else {}


def _pattern(patterns: Mapping[str, float] | None, module: str, default: Any) -> float | None:
    """Return the alpha of a module: the first pattern that ends its name, as PEFT has it."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return float(value)
    return None if default is None else float(default)


def _whole(source: Path, name: str, pair: Mapping[str, torch.Tensor], alpha: float | None, *, rooted: bool) -> Matrices:
    if pair.keys() != {"down", "up"}:
        raise AdapterError(f"{source}: {name} has one of its two matrices", hint="the file is not whole")
    if pair["down"].shape[0] != pair["up"].shape[1]:
        raise AdapterError(f"{source}: {name}: ranks {pair['down'].shape[0]} and {pair['up'].shape[1]}", hint="the file is mixed of two")
    if not all(torch.isfinite(tensor).all() for tensor in pair.values()):
        raise AdapterError(f"{source}: NaN or infinity in {name}", hint="the training diverged")
    return Matrices(down=pair["down"], up=pair["up"], alpha=alpha, rooted=rooted)


def modules_named(part: nn.Module) -> dict[str, nn.Module]:
    """Return a network's modules by their names, and by those that older versions of CLIP's text encoder had."""
    named = dict(part.named_modules())
    return {**{f"text_model.{name}": module for name, module in named.items()}, **named}
