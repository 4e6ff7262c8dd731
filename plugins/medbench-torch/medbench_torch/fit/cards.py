"""The card beside fitted weights: what they were fitted on and how, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from medbench.files import write_whole

FILE = "card.json"


def write_card(
    folder: Path, identity: Mapping[str, Any], facts: Mapping[str, Any], *, title: str, begun: str, use: str, about: Iterable[str] = ()
) -> None:
    """Write `card.json` and `README.md`. No times and no paths: the same fit gives the same bytes.

    Args:
        folder: Of the weights.
        identity: What the learner says of itself.
        facts: What the loop says of the fit.
        title: Heading of the README: what the weights are.
        begun: What the fit began from, in words.
        use: Model and options that `medbench run` takes for them, after `--model`; THIS_FOLDER stands for the folder.
        about: Further lines, of LoRA for example.
    """
    stages = [{name: value for name, value in stage.items() if name != "seconds"} for stage in facts["stages"]]
    card = {**identity, **{name: value for name, value in facts.items() if name != "stages"}, "stages": stages}
    lines = [
        f"# {title}",
        "",
        f"* Begun from: {begun}",
        f"* Learnt from: {card['n_examples']:,} examples (digest {card['data']['train']}), seed {card['seed']}",
        *(f"* {line}" for line in about),
        *(f"* Stage {stage['name']}: {stage['steps']:,} steps{_losses(stage)}" for stage in stages),
        "",
        f"Use it: `medbench run --task NAME --model {use}`",
        "",
        f"Everything else is in {FILE}.",
        "",
    ]
    write_whole(folder / FILE, msgspec.json.format(msgspec.json.encode(card, order="deterministic"), indent=2) + b"\n")
    write_whole(folder / "README.md", "\n".join(lines).encode())


def lora_in_words(lora: Mapping[str, Any], where: str) -> str:
    """Return a line about LoRA.

    >>> lora_in_words({"r": 64, "alpha": 16.0, "dropout": 0.05}, "q_proj and v_proj")
    'LoRA: r 64, alpha 16, dropout 0.05, on q_proj and v_proj'
    """
    return f"LoRA: r {lora['r']}, alpha {lora['alpha']:g}, dropout {lora['dropout']:g}, on {where}"


def _losses(stage: Mapping[str, Any]) -> str:
    said = f", loss {stage['loss']:.4f}" if stage.get("loss") is not None else ""
    return said + "".join(f", held-out {name} {value:.4f}" for name, value in stage.get("held_out", {}).items())
