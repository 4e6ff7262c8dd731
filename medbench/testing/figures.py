"""For a plugin's bench file, whose `figures()` yields what it measures: a figure with its bar, and systems compared on a task."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from medbench import api
from medbench.events import Event, Finished
from medbench.registry import Registry
from medbench.report.comparing import compare
from medbench.report.measured import Kept
from medbench.runs import find_run


class Figure(NamedTuple):
    """One measured figure and the bar it is held to."""

    name: str
    value: float
    unit: str
    against: str
    bar: float
    ok: bool


def show(figures: Iterable[Figure]) -> None:
    """Print each figure as soon as it is there."""
    for figure in figures:
        mark = "ok  " if figure.ok else "MISS"
        sys.stdout.write(f"{mark} {figure.name}: {figure.value:,.3f} {figure.unit} (bar {figure.bar:,g}; {figure.against})\n")
        sys.stdout.flush()


def kept_run(task: str, model: Any, registry: Registry, runs: Path, **how: Any) -> Kept:
    """Carry out a run and return what is kept of it.

    Args:
        task: Its task.
        model: The name of its model, or the model itself.
        registry: Where both are known.
        runs: Folder of runs.
        **how: What else `medbench.run` takes.
    """
    done: list[Finished] = []

    def hear(event: Event) -> None:
        if isinstance(event, Finished):
            done.append(event)

    api.run(task, model, registry=registry, on_event=hear, runs_dir=str(runs), **how)
    return Kept(find_run(str(done[0].folder), runs), registry)


def standings(runs: Mapping[str, Kept], labels: Mapping[str, str]) -> Iterator[Figure]:
    """Yield the scores of each system, none of them held to a bar.

    Args:
        runs: System -> its run.
        labels: `metric/score` -> what it is called; other scores are left out.
    """
    for name, kept in runs.items():
        for score in kept.record.scores:
            label = labels.get(f"{score.metric}/{score.name}")
            if label and score.value is not None:
                yield Figure(f"  {name}: {label}", score.value, "", f"[{score.low:.3f}, {score.high:.3f}]", 0.0, ok=True)


def gains(ours: Kept, others: Mapping[str, Kept], labels: Mapping[str, str], held: Collection[tuple[str, str]]) -> Iterator[Figure]:
    """Yield the paired differences to other systems.

    Args:
        ours: The run whose gains they are.
        others: System -> its run.
        labels: `metric/score` -> what it is called; other scores are left out.
        held: (system, `metric/score`) that must be above 0 by more than the interval.
    """
    for name, other in others.items():
        for difference in compare([other, ours]).differences:
            contrast = difference.contrast
            key = f"{contrast.metric}/{contrast.name}"
            if key not in labels or contrast.difference is None or contrast.low is None:
                continue
            interval = f"over {name} [{contrast.low:+.3f}, {contrast.high:+.3f}]"
            ok = (name, key) not in held or contrast.low > 0
            yield Figure(f"gain in {labels[key]}", contrast.difference, "", interval, 0.0, ok)
