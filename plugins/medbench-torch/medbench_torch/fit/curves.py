"""The losses of a fit, stage by stage, as figures: drawn beside the weights where a plot library is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.drawing import SVG, can_draw, draw
from medbench.figures import Curves, Line
from medbench.files import write_whole
from medbench_torch.fit.journal import read_events

KINDS = {"train": "step", "held out": "held-out"}


def losses(events: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None) -> Iterator[Curves]:
    """Yield one figure for each stage whose losses are known: those of training, and those held out.

    Args:
        events: As `events.jsonl` has them.
        titles: Stage -> title; a stage without one goes by its name.

    >>> events = [{"event": "step", "stage": "base", "step": step, "loss": 1 / step} for step in (1, 2)]
    >>> [(figure.name, figure.title, figure.lines[0].y) for figure in losses(events)]
    [('losses-base', 'base', (1.0, 0.5))]
    """
    for stage in dict.fromkeys(event["stage"] for event in events):
        lines = []
        for label, kind in KINDS.items():
            told = [event for event in events if (event["event"], event["stage"]) == (kind, stage) and event.get("loss") is not None]
            if told:
                steps, values = (tuple(float(event[name]) for event in told) for name in ("step", "loss"))
                lines.append(Line(label=label, x=steps, y=values))
        if lines:
            yield Curves(name=f"losses-{stage}", title=(titles or {}).get(stage, stage), lines=tuple(lines), x_label="step", y_label="loss")


def draw_losses(folder: Path, titles: Mapping[str, str] | None = None) -> None:
    """Draw the losses of a fit into its folder; without matplotlib, `events.jsonl` has their numbers."""
    if can_draw():
        for figure in losses(read_events(folder), titles):
            write_whole(folder / f"{figure.name}{SVG}", draw(figure))
