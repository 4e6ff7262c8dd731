"""`medbench convert pefomed`: the released pickles, checked and put into one folder of safetensors, once and for all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
from medbench_torch.loading import check_weights
from medbench_torch.weights import WeightsError, digest, find_weights, read_json
from transformers import AutoModelForCausalLM

from medbench.errors import UsageError
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
    target = out.expanduser()
    if target.exists():
        raise UsageError(f"{target}: exists", hint="name another folder, or remove it")
    file = find_weights(vision, trust_pickle=trust_pickle)
    config, tower = base.read_tower(file, trust_pickle=trust_pickle)
    notes: dict[str, Any] = {"vision": digest(file), "image_size": config.image_size}
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    base.write_base(partial / "base", config, tower)
    if tuned:
        found = checkpoint.read_tuned(find_weights(tuned, trust_pickle=trust_pickle), r=r, alpha=alpha, trust_pickle=trust_pickle)
        assert found.projector is not None
        into = found.projector["weight"].shape[1]
        if into != GROUPED * config.hidden_size:
            raise WeightsError(f"{tuned}: a projection of {into} numbers, and the tower gives {GROUPED * config.hidden_size}")
        checkpoint.write_tuned(partial / "adapter", checkpoint.lora_config(found.r, found.alpha), found.lora, found.projector)
        notes["tuned"] = found.digest
    if language_model:
        notes["language_model"] = _copied(find_weights(language_model), partial / "base" / base.LANGUAGE_MODEL)
    write_whole(partial / NOTE, msgspec.json.format(msgspec.json.encode(notes, order="deterministic"), indent=2) + b"\n")
    return partial.rename(target)


def _copied(folder: Path, into: Path) -> str:
    """Copy a language model's data, no code and no pickles, and return its digest.

    Raises:
        WeightsError: it is not whole, or a pickle.
    """
    read_json(folder / "config.json")
    check_weights(AutoModelForCausalLM, folder)
    into.mkdir(parents=True)
    for pattern in _KEPT:
        for path in sorted(folder.glob(pattern)):
            shutil.copyfile(path, into / path.name)
    return digest(into)
