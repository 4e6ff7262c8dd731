"""What aligning the tiny masked autoencoder to reports brings on the twin of MIMIC-CXR: seconds, AUROC, paired gains with intervals."""  # noqa: INP001 - run as a script, or loaded by its path

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

TASKS = ("mimic-cls14", "mimic-mrg")
METRICS = ("auroc", "accuracy", "log-loss")
SCORES = {"auroc/macro": "macro AUROC", "accuracy/label": "label accuracy", "accuracy/subset": "subset accuracy"}
PRIMARY = "auroc/macro"
SECONDS = 180.0
"""Most processor time that all stages of one model may take: wall time on two cores is less, unless others use them too."""


class Figure(NamedTuple):
    """One measured figure and the bar it is held to."""

    name: str
    value: float
    unit: str
    against: str
    bar: float
    ok: bool


def figures() -> Iterator[Figure]:
    """Yield each figure as it is measured; all of it takes about five minutes."""
    with tempfile.TemporaryDirectory(prefix="medbench-mae-") as folder:
        yield from _figures(Path(folder))


def _figures(folder: Path) -> Iterator[Figure]:
    registry = load_registry()
    for model in ("mae-cls", "mae-llm"):
        yield from _fit(folder / model, registry, model)
    runs = {
        "mae-llm": _run(folder, registry, "mae-llm", weights=str(folder / "mae-llm")),
        "mae-cls": _run(folder, registry, "mae-cls", weights=str(folder / "mae-cls")),
        "mae-cls, untrained": _run(folder, registry, "mae-cls", preset="tiny"),
        "prevalence": _run(folder, registry, "prevalence"),
    }
    for name, kept in runs.items():
        for score in kept.record.scores:
            label = SCORES.get(f"{score.metric}/{score.name}")
            if label and score.value is not None and not score.subgroup:
                interval = f"[{score.low:.3f}, {score.high:.3f}]" if score.low is not None else "no interval"
                yield Figure(f"  {name}: {label}", score.value, "", interval, 0.0, ok=True)
    aligned, alone, *others = runs
    yield from _gains(aligned, alone, compare([runs[alone], runs[aligned]]))
    for other in others:
        yield from _gains(alone, other, compare([runs[other], runs[alone]]))


def _fit(out: Path, registry: Any, model: str) -> Iterator[Figure]:
    begun, cpu = time.perf_counter(), time.process_time()
    fitted = api.fit(model, TASKS, data="twin", out=out, registry=registry, model_options={"preset": "tiny"}, device="cpu")
    seconds, spent = time.perf_counter() - begun, time.process_time() - cpu
    used = f"{seconds:.0f} s by the clock on {os.cpu_count()} cores at load {os.getloadavg()[1]:.1f}"
    yield Figure(f"tiny {model} fitted, all stages", spent, "s of CPU", used, SECONDS, spent <= SECONDS)
    for stage in fitted.facts["stages"]:
        held = stage["held_out"]["loss"]
        yield Figure(f"  stage {stage['name']}, held-out loss", held, "", f"{stage['steps']} steps, {stage['seconds']} s", 0.0, held > 0)


def _run(folder: Path, registry: Any, model: str, **options: str) -> Kept:
    done: list[Finished] = []
    api.run(
        TASKS[0],
        model,
        registry=registry,
        on_event=lambda event: done.append(event) if isinstance(event, Finished) else None,
        data="twin",
        metrics=METRICS,
        runs_dir=str(folder / "runs"),
        model_options=options,
    )
    return Kept(find_run(str(done[0].folder), folder / "runs"), registry)


def _gains(name: str, other: str, made: Comparison) -> Iterator[Figure]:
    """Yield the paired differences to another system; that of the primary score is held to being above 0 by more than its interval."""
    for difference in made.differences:
        contrast = difference.contrast
        key = f"{contrast.metric}/{contrast.name}"
        if key not in SCORES or contrast.difference is None or contrast.low is None:
            continue
        interval = f"over {other} [{contrast.low:+.3f}, {contrast.high:+.3f}]"
        yield Figure(f"gain of {name} in {SCORES[key]}", contrast.difference, "", interval, 0.0, key != PRIMARY or contrast.low > 0)


def main() -> None:
    """Print every figure."""
    for figure in figures():
        mark = "ok  " if figure.ok else "MISS"
        print(f"{mark} {figure.name}: {figure.value:,.3f} {figure.unit} (bar {figure.bar:,g}; {figure.against})", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
