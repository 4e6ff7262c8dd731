"""What fitting the tiny LLaVA on the twin of MIMIC-CXR brings: seconds, and paired gains on the test split with their intervals."""  # noqa: INP001 - run as a script, or loaded by its path

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from medbench import api
from medbench.cards import ReaderCard
from medbench.events import Finished
from medbench.registry import load, load_registry
from medbench.report.comparing import Comparison, compare
from medbench.report.measured import Kept
from medbench.runs import find_run

TASK = "mimic-mrg"
METRICS = ("rouge-l", "twin-findings")
SCORES = {"rouge-l/rouge-l": "ROUGE-L", "twin-findings/micro": "findings F1"}
TWIN_SIZE = 300
"""Test patients of the twin: about a thousand train studies, and intervals that can tell systems apart."""
SHOWN = ("nearest-neighbour", "its base alone")
"""Systems whose difference is shown, whoever wins."""
SECONDS = 180.0
"""Longest time that base stage and LoRA stage may take together on two cores."""


class Figure(NamedTuple):
    """One measured figure and the bar it is held to."""

    name: str
    value: float
    unit: str
    against: str
    bar: float
    ok: bool


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
    runs = {
        "llava-lora": _run(folder, registry, "llava-lora", weights=str(out)),
        "its base alone": _run(folder, registry, "llava", weights=str(out / "base")),
        "itself before fitting": _run(folder, registry, "llava-lora", preset="tiny"),
        "most-common-report": _run(folder, registry, "most-common-report"),
        "nearest-neighbour": _run(folder, registry, "nearest-neighbour"),
    }
    for name, kept in runs.items():
        for score in kept.record.scores:
            if f"{score.metric}/{score.name}" in SCORES and score.value is not None:
                label = SCORES[f"{score.metric}/{score.name}"]
                yield Figure(f"  {name}: {label}", score.value, "", f"[{score.low:.3f}, {score.high:.3f}]", 0.0, ok=True)
    ours = runs.pop("llava-lora")
    for name, kept in runs.items():
        yield from _gains(name, compare([kept, ours]))


def _run(folder: Path, registry: Any, model: str, **options: str) -> Kept:
    done: list[Finished] = []
    api.run(
        TASK,
        model,
        registry=registry,
        on_event=lambda event: done.append(event) if isinstance(event, Finished) else None,
        data=folder / "twin",
        metrics=METRICS,
        runs_dir=str(folder / "runs"),
        model_options=options,
    )
    return Kept(find_run(str(done[0].folder), folder / "runs"), registry)


def _gains(other: str, made: Comparison) -> Iterator[Figure]:
    """Yield the paired differences to another system: held to being above 0 by more than their interval, but for those of `SHOWN`."""
    for difference in made.differences:
        contrast = difference.contrast
        name = f"{contrast.metric}/{contrast.name}"
        if name not in SCORES or contrast.difference is None or contrast.low is None:
            continue
        shown = other in SHOWN
        interval = f"over {other} [{contrast.low:+.3f}, {contrast.high:+.3f}]"
        yield Figure(f"gain in {SCORES[name]}", contrast.difference, "", interval, 0.0, shown or contrast.low > 0)


def main() -> None:
    """Print every figure."""
    for figure in figures():
        mark = "ok  " if figure.ok else "MISS"
        print(f"{mark} {figure.name}: {figure.value:,.3f} {figure.unit} (bar {figure.bar:,g}; {figure.against})", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
