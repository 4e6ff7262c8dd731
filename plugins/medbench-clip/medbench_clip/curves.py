"""The losses of a fit as a picture, where a plot library is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.drawing import can_draw, draw
from medbench.figures import Curves, Line
from medbench.files import write_whole

FILE = "losses.svg"


def loss_curves(events: Sequence[Mapping[str, Any]]) -> Curves | None:
    """Return the losses of training and validation over the steps; None where there are none.

    Args:
        events: As `events.jsonl` has them.
    """
    lines = []
    for label, kind in (("train", "step"), ("validation", "held-out")):
        told = [event for event in events if event["event"] == kind and event.get("loss") is not None]
        if told:
            lines.append(
                Line(label=label, x=tuple(float(event["step"]) for event in told), y=tuple(float(event["loss"]) for event in told))
            )
    if not lines:
        return None
    return Curves(
        name="losses",
        title="Contrastive loss",
        lines=tuple(lines),
        x_label="step",
        y_label="nats",
        note="The best validation loss is the one whose weights are kept.",
    )


def draw_curves(folder: Path, events: Sequence[Mapping[str, Any]]) -> None:
    """Write the curves beside the weights; without matplotlib, `events.jsonl` has their numbers."""
    figure = loss_curves(events)
    if figure is not None and can_draw():
        write_whole(folder / FILE, draw(figure))
