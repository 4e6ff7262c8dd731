"""A study as one picture: every voice against the mean of the people, point by point, and the table below."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from medbench.agreement.study import Study
from medbench.agreement.views import RHO, cell, head, lines
from medbench.agreement.voices import Panel, Voice, mean_of
from medbench.drawing import KINDS, can_draw
from medbench.drawing.style import COLOURS, INK, PAPER, grid, settings
from medbench.errors import UsageError
from medbench.identity import sample_seed
from medbench.stats.bootstrap import Array

COLUMNS = 4
SIDE = 2.6
"""Inches of one scatter."""
COLOUR = {"judge": COLOURS[0], "metric": COLOURS[1], "rater": COLOURS[2]}


def draw_study(panel: Panel, study: Study, kind: str = ".svg") -> bytes:
    """Return the picture.

    Args:
        panel: Everybody's verdicts.
        study: What was made of them.
        kind: `.svg` or `.png`.

    Raises:
        UsageError: matplotlib is not installed, or the kind is unknown.
    """
    if kind not in KINDS:
        raise UsageError(f"the picture is drawn as {' or '.join(KINDS)}, not {kind or 'without a suffix'}")
    if not can_draw():
        raise UsageError("drawing needs matplotlib", hint="pip install 'medbench[plots]'")
    with settings("agreement"):
        from matplotlib.figure import Figure as Canvas  # noqa: PLC0415 - an extra, and slow to import

        voices = [voice for voice in (*panel.others, *(panel.raters if len(panel.raters) > 1 else [])) if _drawable(voice)]
        rows = max(1, math.ceil(len(voices) / COLUMNS))
        table = list(lines(study))
        height = SIDE * rows + 0.5, 0.24 * (len(table) + 2)
        made = Canvas(figsize=(SIDE * COLUMNS + 1.4, sum(height) + 0.4), layout="constrained")
        parts: Any = made.subfigures(2, 1, height_ratios=height)
        above, below = parts
        above.suptitle("Agreement with people", x=0.01, ha="left", fontsize=12, fontweight="bold")
        axes = np.asarray(above.subplots(rows, COLUMNS, squeeze=False)).ravel()
        for place, axis in enumerate(axes):
            if place < len(voices):
                _scatter(axis, voices[place], panel, study)
            else:
                axis.set_axis_off()
        _tabulate(below, table)
        return _bytes(made, kind)


def write_study(panel: Panel, study: Study, out: Path) -> Path:
    """Write the picture into a folder and return where it is."""
    path = out / "agreement.svg"
    path.write_bytes(draw_study(panel, study))
    return path


def _drawable(voice: Voice) -> bool:
    return bool((~np.isnan(voice.values)).sum() > 1)


def _scatter(axis: Any, voice: Voice, panel: Panel, study: Study) -> None:
    """Draw one voice against the mean of the (other) people, with a small fixed jitter so that equal grades are seen."""
    others = [rater.values for rater in panel.raters if rater is not voice]
    people = mean_of(others)
    known = ~(np.isnan(people) | np.isnan(voice.values))
    axis.scatter(
        people[known] + _jitter(panel, "x")[known],
        voice.values[known] + (_jitter(panel, "y")[known] if voice.on_scale else 0.0),
        s=9,
        alpha=0.5,
        linewidths=0,
        color=COLOUR[voice.kind],
    )
    low, high = panel.scale.low, panel.scale.high
    if voice.on_scale:
        axis.plot([low, high], [low, high], color=INK, alpha=0.35, linewidth=0.8, linestyle="--")
        axis.set_ylim(low - 0.4, high + 0.4)
        axis.set_yticks(panel.scale.grades if len(panel.scale.grades) <= 7 else [low, high])
    axis.set_xlim(low - 0.4, high + 0.4)
    axis.set_xticks(panel.scale.grades if len(panel.scale.grades) <= 7 else [low, high])
    grid(axis)
    rank = next(one.statistics.get("spearman") for one in study.agreements if one.voice == voice.name)
    axis.set_title(f"{_short(voice.name)}\n{RHO} {cell(rank)}", fontsize=8, loc="left")
    axis.set_xlabel("other raters, mean" if voice.kind == "rater" else "people, mean", fontsize=8)
    axis.tick_params(labelsize=7)


def _jitter(panel: Panel, axis: str) -> Array:
    """Return a shift of at most 0.12 grades for each unit, by its name alone."""
    return np.array([(sample_seed(0, f"{axis} {run} {sample}") % 1000 / 999 - 0.5) * 0.24 for run, sample in panel.units])


def _tabulate(canvas: Any, rows: list[list[str]]) -> None:
    axis = canvas.subplots()
    axis.set_axis_off()
    cells = [[_short(row[0]), *row[1:]] for row in rows]
    table = axis.table(cellText=cells, colLabels=head(), loc="upper left", cellLoc="right", edges="horizontal")
    table.auto_set_font_size(value=False)
    table.set_fontsize(7)
    table.auto_set_column_width(list(range(len(head()))))
    for (_, column), one in table.get_celld().items():
        one.set_linewidth(0.3)
        if column < 2:
            one.get_text().set_ha("left")


def _short(name: str, width: int = 40) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"


def _bytes(made: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == ".svg":
        made.savefig(buffer, format="svg", facecolor=PAPER, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    else:
        made.savefig(buffer, format="png", facecolor=PAPER, dpi=150, metadata={"Software": None})
    return buffer.getvalue()
