"""An adapter added to the weights of its pipeline before anything is drawn, and the proof that it changed what is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from medbench_torch.adapter_files import AdapterError
from medbench_torch.weights import listing
from torch import nn

from medbench_diffusion.lora import Lora, Matrices, modules_named
from medbench_diffusion.pipelines import parts_of

Probe = Callable[[], torch.Tensor]
"""Draws something small, the same each time, and returns its pixels."""
ALIASES = {"decoder": "unet", "prior": "prior_prior"}
"""What a folder of an adapter may be called instead of the part of the pipeline."""


def merge(pipe: Any, lora: Lora, scale: float, probe: Probe) -> dict[str, Any]:
    """Add an adapter to a pipeline's weights, in place, and return what the record keeps of it.

    In place: Kandinsky holds its networks twice, and a new object in one of the two places would change nothing.

    Args:
        pipe: The pipeline.
        lora: From `read_lora`.
        scale: Factor on the whole adapter.
        probe: Called before and after.

    Raises:
        AdapterError: a matrix lands nowhere or is of another shape, or the pipeline draws the same with and without it.
    """
    placed = _placed(pipe, lora)
    lacking = probe()
    for part, modules in placed.items():
        named = modules_named(parts_of(pipe)[part])
        for name, matrices in modules.items():
            _add(lora, named[name], name, matrices, scale)
    having = probe()
    if not torch.isfinite(having).all():
        raise AdapterError(f"{lora.folder}: with this adapter nothing finite is drawn", hint="dtype=float32, or a base that is its own")
    if torch.equal(having, lacking):
        hint = "lora_scale=0 switches it off; else it is of another base, or untrained"
        raise AdapterError(f"{lora.folder}: the pictures are the same with and without it", hint=hint)
    return _facts(lora, placed, scale)


def _placed(pipe: Any, lora: Lora) -> dict[str, dict[str, Matrices]]:
    """Return the adapter by parts of the pipeline; one whose part is not named goes where its modules are."""
    parts = parts_of(pipe)
    placed: dict[str, dict[str, Matrices]] = {}
    for said, modules in lora.parts.items():
        named = ALIASES.get(said, said)
        fitting = [part for part in parts if modules.keys() <= modules_named(parts[part]).keys()]
        part = named if named in parts else fitting[0] if len(fitting) == 1 else ""
        if not part or part in placed:
            reason = f"fits {listing(fitting)}" if fitting else f"has modules that no part has ({listing(modules)})"
            where = f"{lora.folder}/{said}" if said else str(lora.folder)
            raise AdapterError(f"{where}: {reason}; the parts are {listing(parts, 9)}", hint="an adapter of another base?")
        if strays := modules.keys() - modules_named(parts[part]).keys():
            reason = f"{len(strays)} of {len(modules)} modules that the {part} does not have ({listing(strays)})"
            raise AdapterError(f"{lora.folder}: {reason}", hint="an adapter of another base?")
        placed[part] = modules
    return placed


def _add(lora: Lora, module: nn.Module, name: str, matrices: Matrices, scale: float) -> None:
    weight = getattr(module, "weight", None)
    down, up = matrices.down.float().flatten(1), matrices.up.float().flatten(1)
    if not isinstance(weight, nn.Parameter) or (up.shape[0], down.shape[1]) != tuple(weight.flatten(1).shape):
        there = "no weight" if weight is None else "×".join(map(str, weight.shape))
        raise AdapterError(f"{lora.folder}: {name}: {up.shape[0]}×{down.shape[1]} for {there}", hint="an adapter of another base?")
    with torch.no_grad():
        # in float32 and rounded once: a small change would be lost in half the bits
        change = (up @ down * (matrices.scale * scale)).reshape(weight.shape).to(weight.device)
        weight.copy_((weight.float() + change).to(weight.dtype))


def _facts(lora: Lora, placed: Mapping[str, Mapping[str, Matrices]], scale: float) -> dict[str, Any]:
    every = [matrices for modules in placed.values() for matrices in modules.values()]
    facts: dict[str, Any] = {
        "digest": lora.digest,
        "dialect": lora.form,
        "r": _one({matrices.rank for matrices in every}),
        "alpha": _one({matrices.scale * (matrices.rank**0.5 if matrices.rooted else matrices.rank) for matrices in every}),
        "alpha_stated": all(matrices.alpha is not None for matrices in every),
        "lora_scale": scale,
        "modules": len(every),
        "parts": {part: len(modules) for part, modules in sorted(placed.items())},
        "merged": True,
    }
    if not facts["alpha_stated"]:
        facts["note"] = "the file does not say its alpha, which is taken to be r, as diffusers does; lora_scale corrects it"
    return facts


def _one(values: set[Any]) -> Any:
    """Return the only value, or all of them in order."""
    found = sorted(values)
    return found[0] if len(found) == 1 else found
