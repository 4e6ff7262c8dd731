"""`medbench convert pefomed`: the released pickles, checked and put into one folder of safetensors, once and for all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import torch
from medbench_torch.folders import new_folder
from medbench_torch.loading import check_state, check_weights
from medbench_torch.weights import WeightsError, digest, find_weights, read_json
from transformers import AutoConfig, AutoModelForCausalLM, Blip2VisionModel

from medbench.files import write_whole
from medbench_pefomed import base, checkpoint
from medbench_pefomed.network import GROUPED

NOTE = "medbench_conversion.json"
_KEPT = ("*.json", "*.safetensors", "tokenizer.model", "*.txt", "*.jinja")


def convert(
    *,
    out: Path,
    vision: str,
    tuned: str = "",
    language_model: str = "",
    r: int = checkpoint.PUBLISHED_R,
    alpha: float = checkpoint.PUBLISHED_ALPHA,
    trust_pickle: bool = False,
) -> Path:
    """Write a folder that `pefomed` and `minigpt-v2` load without reading a pickle; every tensor is checked on the way.

    Args:
        out: Where to; must not exist.
        vision: `eva_vit_g.pth`; its position embeddings are stretched to 448 pixels.
        tuned: The checkpoint that PeFoMed or MiniGPT-v2 (stage 3) released; empty: none.
        language_model: Folder or hub id that is copied into the folder, where it has safetensors; empty: named at each run.
        r: Rank of the checkpoint's LoRA.
        alpha: Its alpha, which the checkpoint does not tell.
        trust_pickle: Read the pickles, which can run code of their maker.

    Raises:
        UsageError: `out` exists.
        WeightsError: a part is not what it should be, or a pickle that is not trusted.
    """
    file = find_weights(vision, trust_pickle=trust_pickle)
    config, tower = base.read_tower(file, trust_pickle=trust_pickle)
    with torch.device("meta"):
        check_state(Blip2VisionModel(config), tower, source=str(file))
    speaking = _language_model(language_model) if language_model else None
    found = None
    if tuned:
        found = checkpoint.read_tuned(find_weights(tuned, trust_pickle=trust_pickle), r=r, alpha=alpha, trust_pickle=trust_pickle)
        checkpoint.check_tower(found, GROUPED * config.hidden_size)
        if speaking is not None:
            checkpoint.check_language_model(found, AutoConfig.from_pretrained(speaking, local_files_only=True), language_model)
    notes: dict[str, Any] = {"vision": digest(file), "image_size": config.image_size}
    with new_folder(out) as partial:
        base.write_base(partial / "base", config, tower)
        if found is not None and found.projector is not None:
            checkpoint.write_tuned(partial / "adapter", checkpoint.lora_config(found.r, found.alpha), found.lora, found.projector)
            notes["tuned"] = found.digest
        if speaking is not None:
            notes["language_model"] = _copied(speaking, partial / "base" / base.LANGUAGE_MODEL)
        write_whole(partial / NOTE, msgspec.json.format(msgspec.json.encode(notes, order="deterministic"), indent=2) + b"\n")
    return out.expanduser()


def _language_model(named: str) -> Path:
    """Return the folder of a language model, all of which is there.

    Raises:
        WeightsError: it is not whole, or has pickles alone.
    """
    folder = find_weights(named)
    read_json(folder / "config.json")
    if not any(folder.glob("*.safetensors")):
        hint = "leave language_model out here and name it at each run, or take it with safetensors"
        raise WeightsError(f"{folder}: no safetensors in it, and pickles are not copied", hint=hint)
    check_weights(AutoModelForCausalLM, folder)
    return folder


def _copied(folder: Path, into: Path) -> str:
    """Copy a language model's data, no code and no pickles, and return its digest."""
    into.mkdir(parents=True)
    for pattern in _KEPT:
        for path in sorted(folder.glob(pattern)):
            if not path.name.endswith(".bin.index.json"):
                shutil.copyfile(path, into / path.name)
    return digest(into)
