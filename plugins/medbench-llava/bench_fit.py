"""What fitting the tiny LLaVA on the twin of MIMIC-CXR brings: seconds, and paired gains on the test split with their intervals."""  # noqa: INP001 - run as a script, or loaded by its path

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from medbench import api
from medbench.cards import ReaderCard
from medbench.registry import load, load_registry
from medbench.testing.figures import Figure, gains, kept_run, show, standings

TASK = "mimic-mrg"
METRICS = ("rouge-l", "twin-findings")
SCORES = {"rouge-l/rouge-l": "ROUGE-L", "twin-findings/micro": "findings F1"}
TWIN_SIZE = 300
"""Test patients of the twin: about a thousand train studies, and intervals that can tell systems apart."""
HELD = set(product(("itself before fitting", "most-common-report"), SCORES))
"""Systems that must be beaten; the difference to the others is shown, whoever wins."""
SECONDS = 180.0
"""Longest time that base stage and LoRA stage may take together on two cores."""


def figures() -> Iterator[Figure]:
    """Yield each figure as it is measured; all of it takes about eight minutes."""
    with tempfile.TemporaryDirectory(prefix="medbench-fit-") as folder:
        yield from _figures(Path(folder))


def _figures(folder: Path) -> Iterator[Figure]:
    registry = load_registry()
    data = folder / "twin"
    load(registry.get(ReaderCard, "mimic-cxr"))().write_twin(data, seed=0, size=TWIN_SIZE)
    out = folder / "fitted"
    begun = time.perf_counter()
    fitted = api.fit("llava-lora", TASK, data=data, out=out, registry=registry, model_options={"preset": "tiny"}, device="cpu")
    seconds = time.perf_counter() - begun
    yield Figure("tiny llava-lora fitted, base and LoRA stage", seconds, "s", f"{os.cpu_count()} cores", SECONDS, seconds <= SECONDS)
    for stage in fitted.facts["stages"]:
        held = stage["held_out"]["loss"]
        yield Figure(f"  stage {stage['name']}, held-out loss", held, "nats", f"{stage['steps']} steps", 0.0, held > 0)

    def run(model: str, **options: Any) -> Any:
        return kept_run(TASK, model, registry, folder / "runs", data=data, metrics=METRICS, model_options=options)

    ours = run("llava-lora", weights=str(out))
    others = {
        "its base alone": run("llava", weights=str(out / "base")),
        "itself before fitting": run("llava-lora", preset="tiny"),
        "most-common-report": run("most-common-report"),
        "nearest-neighbour": run("nearest-neighbour"),
    }
    yield from standings({"llava-lora": ours, **others}, SCORES)
    yield from gains(ours, others, SCORES, HELD)


if __name__ == "__main__":
    show(figures())
