"""Figures on axes: curves, bars with intervals, histograms, scatters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medbench.drawing.style import COLOURS, INK, STYLES, grid, numbers, page
from medbench.figures import Bars, Curves, Line, Points

FEW_LINES = 6
"""More lines than that have their names beside the axes, where they hide nothing."""
MOST_LINES = 16
"""More lines than that get no legend: nobody could read it."""


def curves(figure: Curves) -> Any:
    """Return lines over one axis, drawn."""
    named = sum(bool(line.label) for line in figure.lines)
    beside = FEW_LINES < named <= MOST_LINES
    made, axes = page(7.2 if beside else 5.6, 4.2, figure.title, figure.note)
    if figure.diagonal:
        _diagonal(axes)
    for number, line in enumerate(figure.lines):
        _line(axes, line, COLOURS[number % len(COLOURS)], STYLES[number // len(COLOURS) % len(STYLES)])
    if figure.log_x:
        _logarithmic(axes, [x for line in figure.lines for x in line.x])
    grid(axes)
    axes.set(xlabel=figure.x_label, ylabel=figure.y_label)
    if beside:
        made.legend(loc="outside right upper", frameon=False, fontsize=8)
    elif 0 < named <= MOST_LINES:
        axes.legend(frameon=False, fontsize=8)
    return made


def _diagonal(axes: Any) -> None:
    axes.axline((0, 0), slope=1, color=INK, linewidth=0.8, linestyle=(0, (2, 3)), alpha=0.6)


def _logarithmic(axes: Any, places: Sequence[float]) -> None:
    """Make the x axis logarithmic, and name the places where there are points; powers of ten where there are many."""
    from matplotlib.ticker import LogFormatter, NullFormatter  # noqa: PLC0415 - an extra, and slow to import

    axes.set_xscale("log")
    named = sorted(set(places))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if len(named) <= 10:
        axes.set_xticks(named, [f"{x:g}" for x in named])
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_formatter(LogFormatter())


def _line(axes: Any, line: Line, colour: str, style: str) -> None:
    """Draw one curve with what is known of its interval; a curve of few points shows where they are."""
    y = numbers(line.y)
    marker = "o" if len(y) <= 25 else ""
    axes.plot(line.x, y, style, color=colour, marker=marker, markersize=4, linewidth=1.6, label=line.label or "_nolegend_")
    if line.low and line.high:
        axes.fill_between(line.x, numbers(line.low), numbers(line.high), color=colour, alpha=0.18, linewidth=0)


def bars(figure: Bars) -> Any:
    """Return named values with intervals, or counts as columns, drawn."""
    if figure.counts:
        return _histogram(figure)
    made, axes = page(5.6, max(1.8, 1.0 + 0.3 * len(figure.labels)), figure.title, figure.note)
    places, values = range(len(figure.labels)), numbers(figure.values)
    if figure.low and figure.high:
        for at, low, high in zip(places, numbers(figure.low), numbers(figure.high), strict=True):
            axes.plot((low, high), (at, at), color=COLOURS[0], linewidth=5, alpha=0.3, solid_capstyle="butt")
    axes.plot(values, places, "o", color=COLOURS[0], markersize=5)
    axes.set_yticks(places, figure.labels)
    axes.set_ylim(max(1, len(figure.labels)) - 0.5, -0.5)
    axes.set_xlabel(figure.x_label)
    grid(axes)
    return made


def _histogram(figure: Bars) -> Any:
    """Draw counts as columns side by side, their names below: all of few, some of many."""
    made, axes = page(5.6, 3.2, figure.title, figure.note)
    places = range(len(figure.labels))
    axes.bar(places, [0.0 if value is None else value for value in figure.values], width=0.9, color=COLOURS[0])
    step = -(-len(figure.labels) // 12) if figure.labels else 1
    long = max((len(label) for label in figure.labels), default=0) * min(12, len(figure.labels)) > 60
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if long else {}
    axes.set_xticks(list(places)[::step], figure.labels[::step], fontsize=8, **turned)
    axes.set(xlabel=figure.x_label, ylabel="count")
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)
    return made


def points(figure: Points) -> Any:
    """Return a scatter of pairs, drawn."""
    made, axes = page(5.6, 4.2, figure.title, figure.note)
    if figure.diagonal:
        _diagonal(axes)
    axes.scatter(figure.x, figure.y, s=22, color=COLOURS[0], alpha=0.75 if len(figure.x) < 200 else 0.35, linewidths=0)
    if len(figure.labels) <= 40:
        for x, y, label in zip(figure.x, figure.y, figure.labels, strict=False):
            axes.annotate(label, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=8)
    axes.set(xlabel=figure.x_label, ylabel=figure.y_label)
    grid(axes)
    return made
