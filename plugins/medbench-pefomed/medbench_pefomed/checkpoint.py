"""What fine-tuning leaves: LoRA and projection in a released checkpoint or in a folder, read so that nothing is left over."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from medbench_torch.adapter_files import Adapter, AdapterError, read_adapter
from medbench_torch.weights import WeightsError, digest, listing, read_tensors
from safetensors.torch import save_file

from medbench_pefomed.network import LORA_TARGETS

PUBLISHED_R = 64
PUBLISHED_ALPHA = 16.0
PUBLISHED_DROPOUT = 0.05
CONFIG = "adapter_config.json"
LORA_FILE = "adapter_model.safetensors"
PROJECTOR_FILE = "non_lora_trainables.safetensors"
PROJECTOR = "multi_modal_projector"

_LORA = re.compile(r"^llama_model\.base_model\.model\.(.+)\.(lora_[AB])(?:\.default)?\.weight$")
_PROJECTION = re.compile(r"^llama_proj\.(weight|bias)$")
_COMPUTED = re.compile(r"rotary_emb\.(inv_freq|cos_cached|sin_cached)$")
"""Buffers that older versions of transformers saved."""
_QV = re.compile(r"^model\.layers\.\d+\.self_attn\.[qv]_proj$")


def read_tuned(path: Path, *, r: int = PUBLISHED_R, alpha: float = PUBLISHED_ALPHA, trust_pickle: bool = False) -> Adapter:
    """Return what was fine-tuned, from a folder with `adapter_config.json` or from a checkpoint as PeFoMed and MiniGPT-v2 release it.

    Args:
        path: Folder or file.
        r: Rank that a released checkpoint is expected to have; a folder states its own.
        alpha: Alpha of a released checkpoint, which does not tell it.
        trust_pickle: Read pickled weights.

    Raises:
        AdapterError: tensors are missing, left over, or of another rank.
        WeightsError: the file cannot be read, or is a pickle that is not trusted.
    """
    if path.is_dir():
        found = read_adapter(path, trust_pickle=trust_pickle)
        if found.projector is None:
            raise AdapterError(f"{path}: no projection in it", hint=f"{PROJECTOR_FILE} belongs beside {LORA_FILE}")
        return found
    lora, projection = split(read_tensors(path, trust_pickle=trust_pickle), str(path))
    ranks = sorted({kinds["lora_A"].shape[0] for kinds in lora.values()})
    if ranks != [r]:
        said = ", ".join(map(str, ranks))
        hint = "its alpha is not in the file: medbench convert pefomed … r=… alpha=…, as it was trained"
        raise AdapterError(f"{path}: LoRA of rank {said}, and r={r} is expected", hint=hint)
    return Adapter(
        folder=path,
        config=lora_config(r, alpha),
        dialect="llava",
        digest=digest(path),
        lora=lora,
        projector=projection,
        projector_trained=True,
    )


def split(tensors: Mapping[str, torch.Tensor], source: str) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    """Return the LoRA tensors of a released checkpoint by module and kind, and the projection.

    Raises:
        AdapterError: a tensor is none of these, or one of them is missing.
    """
    lora: dict[str, dict[str, torch.Tensor]] = {}
    projection: dict[str, torch.Tensor] = {}
    strays = []
    for name, tensor in tensors.items():
        found = _LORA.match(name)
        if found and _QV.match(found[1]):
            lora.setdefault(found[1], {})[found[2]] = tensor
        elif part := _PROJECTION.match(name):
            projection[part[1]] = tensor
        elif not _COMPUTED.search(name):
            strays.append(name)
    if strays:
        hint = "a checkpoint of PeFoMed or MiniGPT-v2 (stage 3) has llama_proj and LoRA on q_proj and v_proj alone"
        raise AdapterError(f"{source}: {len(strays)} tensors that this model does not have ({listing(strays)})", hint=hint)
    missing = [f"llama_proj.{kind}" for kind in ("weight", "bias") if kind not in projection]
    missing += [f"{path}.{kind}" for path, kinds in lora.items() for kind in ("lora_A", "lora_B") if kind not in kinds]
    missing += [] if lora else ["llama_model.….lora_A"]
    if missing:
        raise AdapterError(f"{source}: not whole, no {listing(missing)}", hint="a checkpoint of PeFoMed or MiniGPT-v2 (stage 3)?")
    return lora, projection


def lora_config(r: int, alpha: float, dropout: float = PUBLISHED_DROPOUT, base: str = "") -> dict[str, Any]:
    """Return `adapter_config.json` as PEFT reads it."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "bias": "none",
        "inference_mode": True,
        "r": r,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "target_modules": list(LORA_TARGETS),
    }


def write_tuned(
    folder: Path, config: Mapping[str, Any], lora: Mapping[str, Mapping[str, torch.Tensor]], projection: Mapping[str, torch.Tensor]
) -> Path:
    """Write LoRA in PEFT's spelling for the language model, the projection beside it, as `read_tuned` and PEFT read them.

    Args:
        folder: Where to.
        config: From `lora_config`.
        lora: Module path in the language model -> `lora_A`, `lora_B` -> tensor.
        projection: `weight` and `bias`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"base_model.model.{path}.{kind}.weight": tensor for path, kinds in lora.items() for kind, tensor in kinds.items()}
    save_file({name: named[name].detach().cpu().contiguous() for name in sorted(named)}, folder / LORA_FILE, metadata={"format": "pt"})
    beside = {f"base_model.model.{PROJECTOR}.{kind}": tensor.detach().cpu().contiguous() for kind, tensor in projection.items()}
    save_file(beside, folder / PROJECTOR_FILE, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(dict(config), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return folder


def check_language_model(tuned: Adapter, config: Any, named: str) -> None:
    """Raise where what was tuned belongs to a language model of another size.

    Args:
        tuned: From `read_tuned`.
        config: Of the language model at hand.
        named: What the user called it, for the message.

    Raises:
        WeightsError: it does.
    """
    assert tuned.projector is not None
    text = config.get_text_config()
    layers = 1 + max(int(found[1]) for path in tuned.lora if (found := re.search(r"\.(\d+)\.", path)))
    wanted, there = (tuned.projector["weight"].shape[0], layers), (text.hidden_size, text.num_hidden_layers)
    if wanted != there:
        theirs, ours = (f"{width} wide of {depth} layers" for width, depth in (wanted, there))
        said = f"{tuned.folder} was tuned on a language model {theirs}; {named} is {ours}"
        raise WeightsError(said, hint="language_model= takes the one it was tuned on: Llama-2-7b-chat for the released ones")


def check_tower(tuned: Adapter, tower_width: int) -> None:
    """Raise where a projection belongs to a tower of another width.

    Args:
        tuned: From `read_tuned`.
        tower_width: Four times the width of the vision tower.

    Raises:
        WeightsError: it does.
    """
    assert tuned.projector is not None
    into = tuned.projector["weight"].shape[1]
    if into != tower_width:
        raise WeightsError(
            f"{tuned.folder}: a projection of {into} numbers, and the vision tower gives {tower_width}", hint="another tower?"
        )
