"""Draws figures with matplotlib, where it is installed: the same data, the same bytes."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from medbench.drawing import charts, grids
from medbench.drawing.style import INK, PAPER, settings
from medbench.errors import UsageError
from medbench.figures import Bars, Curves, Figure, Matrix, Points

__all__ = ["KINDS", "PNG", "SVG", "can_draw", "draw"]

SVG, PNG = ".svg", ".png"
KINDS = (SVG, PNG)

_SCHEMES = f"svg{{color:{INK}}}@media(prefers-color-scheme:dark){{svg{{color:#e4e6ea}}}}"


def can_draw() -> bool:
    """Say whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(figure: Figure, kind: str = SVG, *, root: Path | None = None) -> bytes:
    """Return a figure as a picture.

    An SVG has a transparent ground, and text and axes that follow the reader's dark or light scheme; a PNG is on white.

    Args:
        figure: What is drawn.
        kind: `.svg` or `.png`.
        root: Folder that relative paths of pictures are relative to; None: the working folder.

    Raises:
        UsageError: matplotlib is not installed, or the kind is unknown.
    """
    if kind not in KINDS:
        raise UsageError(f"figures are drawn as {' or '.join(KINDS)}, not {kind or 'without a suffix'}")
    if not can_draw():
        raise UsageError("drawing figures needs matplotlib", hint="pip install 'medbench[plots]'")
    with settings(figure.name):
        made = _drawn(figure, root or Path())
        return _svg(made) if kind == SVG else _png(made)


def _svg(made: Any) -> bytes:
    """Return the bytes of an SVG whose ink is the reader's own text colour."""
    buffer = io.BytesIO()
    made.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue().decode().replace(INK, "currentColor")
    head, sign, rest = text.partition("<defs>")
    return f"{head}<style>{_SCHEMES}</style>{sign}{rest}".encode()


def _png(made: Any) -> bytes:
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", facecolor=PAPER, dpi=150, metadata={"Software": None})
    return buffer.getvalue()


def _drawn(figure: Figure, root: Path) -> Any:
    match figure:
        case Curves():
            return charts.curves(figure)
        case Bars():
            return charts.bars(figure)
        case Points():
            return charts.points(figure)
        case Matrix():
            return grids.matrix(figure)
        case _:
            return grids.pictures(figure, root)
