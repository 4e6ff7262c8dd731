"""What every figure looks like: colours, fonts, and settings that make the same data the same bytes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

INK = "#1c1e21"
PAPER = "#ffffff"
COLOURS = ("#2f7bd6", "#d9730d", "#2e9e62", "#9a66d4", "#cf4b5c", "#8a7a2d", "#12959b", "#7d828a")
"""Readable on white and on near-black, and told apart by most colour-blind eyes when taken in this order."""
STYLES = ("-", "--", "-.", ":")
"""Lines differ by dash too, one style for each round of the colours."""
RIGHT, WRONG = COLOURS[2], COLOURS[4]

NOTE_SIZE = 8.0


@contextmanager
def settings(salt: str) -> Iterator[None]:
    """Set what makes pictures repeatable and plain; a label is never read as mathematics."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra, and slow to import

    wanted: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "text.parse_math": False,
        "font.family": ["DejaVu Sans", "sans-serif"],
        "font.size": 10.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "axes.grid": False,
        "figure.dpi": 100.0,
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    }
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(wanted)
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # a reader's browser may have the sign
        warnings.filterwarnings("ignore", message=".*constrained_layout.*")
        yield


def page(width: float, height: float, title: str, note: str = "") -> tuple[Any, Any]:
    """Return an empty figure of a size in inches, and its axes."""
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415 - an extra, and slow to import

    made = Canvas(figsize=(width, height), layout="constrained")
    axes = made.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", wrap=True)
    if note:
        made.supxlabel(note, fontsize=NOTE_SIZE, x=0.01, ha="left", wrap=True)
    return made, axes


def grid(axes: Any) -> None:
    """Draw a faint grid behind the data."""
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)


def numbers(values: Sequence[float | None]) -> list[float]:
    """Return numbers with NaN for what is undefined, which matplotlib leaves out."""
    return [float("nan") if value is None else float(value) for value in values]
