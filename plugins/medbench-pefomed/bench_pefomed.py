"""What fitting the tiny PeFoMed on the twin of VQA-RAD brings: seconds, and paired gains on the test split with their intervals."""  # noqa: INP001 - run as a script, or loaded by its path

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from medbench import api
from medbench.events import Finished
from medbench.registry import load_registry
from medbench.report.comparing import Comparison, compare
from medbench.report.measured import Kept
from medbench.runs import find_run

TASK = "vqa-rad"
SCORES = {"vqa/overall": "overall accuracy", "vqa/closed": "closed accuracy", "vqa/open": "open accuracy"}
PRIMARY = "vqa/overall"
SECONDS = 180.0
"""Most processor time that base stage and LoRA stage may take: wall time on two cores is less, unless others use them too."""


class Figure(NamedTuple):
    """One measured figure and the bar it is held to."""

    name: str
    value: float
    unit: str
    against: str
    bar: float
    ok: bool


def figures() -> Iterator[Figure]:
    """Yield each figure as it is measured; all of it takes about six minutes."""
    with tempfile.TemporaryDirectory(prefix="medbench-pefomed-") as folder:
        yield from _figures(Path(folder))


def _figures(folder: Path) -> Iterator[Figure]:
    registry = load_registry()
    out = folder / "fitted"
    begun, cpu = time.perf_counter(), time.process_time()
    fitted = api.fit("pefomed", TASK, data="twin", out=out, registry=registry, model_options={"preset": "tiny"}, device="cpu")
    seconds, spent = time.perf_counter() - begun, time.process_time() - cpu
    used = f"{seconds:.0f} s by the clock on {os.cpu_count()} cores at load {os.getloadavg()[1]:.1f}"
    yield Figure("tiny pefomed fitted, base and LoRA stage", spent, "s of CPU", used, SECONDS, spent <= SECONDS)
    for stage in fitted.facts["stages"]:
        held = stage["held_out"]["loss"]
        yield Figure(f"  stage {stage['name']}, held-out loss", held, "nats", f"{stage['steps']} steps", 0.0, held > 0)
    runs = {
        "pefomed": _run(folder, registry, "pefomed", weights=str(out)),
        "its base alone": _run(folder, registry, "pefomed", weights=str(out / "base")),
        "majority": _run(folder, registry, "majority"),
    }
    for name, kept in runs.items():
        for score in kept.record.scores:
            label = SCORES.get(f"{score.metric}/{score.name}")
            if label and score.value is not None:
                yield Figure(f"  {name}: {label}", score.value, "", f"[{score.low:.3f}, {score.high:.3f}]", 0.0, ok=True)
    ours = runs.pop("pefomed")
    for name, kept in runs.items():
        yield from _gains(name, compare([kept, ours]))


def _run(folder: Path, registry: Any, model: str, **options: str) -> Kept:
    done: list[Finished] = []
    api.run(
        TASK,
        model,
        registry=registry,
        on_event=lambda event: done.append(event) if isinstance(event, Finished) else None,
        data="twin",
        metrics=("vqa",),
        params={"options": "none"},
        runs_dir=str(folder / "runs"),
        model_options=options,
    )
    return Kept(find_run(str(done[0].folder), folder / "runs"), registry)


def _gains(other: str, made: Comparison) -> Iterator[Figure]:
    """Yield the paired differences to another system: that to `majority` is held to being above 0 by more than its interval."""
    for difference in made.differences:
        contrast = difference.contrast
        key = f"{contrast.metric}/{contrast.name}"
        if key not in SCORES or contrast.difference is None or contrast.low is None:
            continue
        held = key == PRIMARY and other == "majority"
        interval = f"over {other} [{contrast.low:+.3f}, {contrast.high:+.3f}]"
        yield Figure(f"gain in {SCORES[key]}", contrast.difference, "", interval, 0.0, not held or contrast.low > 0)


def main() -> None:
    """Print every figure."""
    for figure in figures():
        mark = "ok  " if figure.ok else "MISS"
        print(f"{mark} {figure.name}: {figure.value:,.3f} {figure.unit} (bar {figure.bar:,g}; {figure.against})", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
