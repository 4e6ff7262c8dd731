"""The card beside fitted weights: what they were fitted on and how, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from medbench.files import write_whole
from medbench_diffusion.base import CARD


def write_card(folder: Path, identity: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write `card.json` and `README.md`. No times and no paths: the same fit gives the same bytes.

    Args:
        folder: Of the weights.
        identity: What the learner says of itself.
        facts: What the loop says of the fit.
    """
    stages = [{name: value for name, value in stage.items() if name != "seconds"} for stage in facts["stages"]]
    card = {**identity, **{name: value for name, value in facts.items() if name != "stages"}, "stages": stages}
    write_whole(folder / CARD, msgspec.json.format(msgspec.json.encode(card, order="deterministic"), indent=2) + b"\n")
    write_whole(folder / "README.md", _readme(folder.name, card).encode())


def _readme(kind: str, card: Mapping[str, Any]) -> str:
    base, lora, adapter = card["base"], card["lora"], kind == "adapter"
    beside = ", text encoder too" if lora["text_encoder"] else ""
    own = "kandinsky-colonoscopy" if card["pipeline"].startswith("Kandinsky") else "sd-colonoscopy"
    use = f"{own} --model-option adapter=THIS_FOLDER" if adapter else "diffusion --model-option weights=THIS_FOLDER"
    lines = [
        "---",
        "library_name: diffusers",  # diffusers looks for such a head, and complains of a file without one
        f"tags: [text-to-image{', lora' if adapter else ''}]",
        "---",
        "",
        f"# {card['pipeline']}: {'a LoRA adapter' if adapter else 'whole weights'} fitted by medbench",
        "",
        f"* Begun from: {base['name'] or 'a folder'} (digest {base['digest']})",
        f"* Learnt from: {card['n_examples']:,} examples (digest {card['data']['train']}), seed {card['seed']}",
        *([f"* LoRA: r {lora['r']}, alpha {lora['alpha']:g}, dropout {lora['dropout']:g}, on attention{beside}"] if adapter else []),
        *(f"* Stage {stage['name']}: {stage['steps']:,} steps{_losses(stage)}" for stage in card["stages"]),
        "",
        f"Use it: `medbench run --task NAME --model {use}`",
        "",
        "Everything else is in card.json.",
        "",
    ]
    return "\n".join(lines)


def _losses(stage: Mapping[str, Any]) -> str:
    said = f", loss {stage['loss']:.4f}" if stage.get("loss") is not None else ""
    return said + "".join(f", held-out {name} {value:.4f}" for name, value in stage.get("held_out", {}).items())
