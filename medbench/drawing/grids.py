"""Figures in cells: matrices, and rows of pictures."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from medbench.drawing.style import COLOURS, NOTE_SIZE, PAPER, RIGHT, WRONG, numbers, page
from medbench.errors import InputError
from medbench.figures import Matrix, Pictures
from medbench.types import Image

MOST_WRITTEN = 24
"""Cells are written into a matrix of up to so many rows and columns, and so many ticks are named."""
TILE_PIXELS = 256
DARK_TEXT = "#0b0d10"


def matrix(figure: Matrix) -> Any:
    """Return a table of numbers as colours, drawn."""
    values = np.array([numbers(row) for row in figure.values], dtype=np.float64)
    if values.ndim != 2 or not values.size:
        values = np.full((1, 1), np.nan)
    rows, columns = values.shape
    side = 1.6 + 0.36 * min(max(rows, columns, 1), 14)
    made, axes = page(side + 1.2, side, figure.title, figure.note)
    defined = values[np.isfinite(values)]
    low, high = (float(defined.min()), float(defined.max())) if defined.size else (0.0, 1.0)
    low = min(low, 0.0) if figure.counts else low
    shown = axes.imshow(np.ma.masked_invalid(values), cmap="Blues", vmin=low, vmax=high if high > low else low + 1, aspect="auto")
    _name_cells(axes, figure, rows, columns)
    if rows <= MOST_WRITTEN and columns <= MOST_WRITTEN:
        _write_cells(axes, figure, values, (low + high) / 2)
    for row, column in figure.marked:
        axes.add_patch(_frame(column, row))
    if not figure.counts:
        made.colorbar(shown, ax=axes, shrink=0.8, label=figure.value_label)
    return made


def _name_cells(axes: Any, figure: Matrix, rows: int, columns: int) -> None:
    """Name rows and columns, as many as can be read."""
    if figure.columns:
        step = -(-columns // MOST_WRITTEN) or 1
        axes.set_xticks(range(0, columns, step), figure.columns[::step], rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    if figure.rows:
        step = -(-rows // MOST_WRITTEN) or 1
        axes.set_yticks(range(0, rows, step), figure.rows[::step], fontsize=8)
    axes.set(xlabel=figure.column_label, ylabel=figure.row_label)
    axes.spines[:].set_visible(False)


def _write_cells(axes: Any, figure: Matrix, values: Any, middle: float) -> None:
    """Write counts, or two digits of a small matrix, into the cells."""
    small = max(values.shape, default=0) <= 8
    if not figure.counts and not small:
        return
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            if value == value:  # noqa: PLR0124 - NaN: the cell is empty
                text = f"{value:,.0f}" if figure.counts else f"{value:.2f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=PAPER if value > middle else DARK_TEXT)


def _frame(x: float, y: float) -> Any:
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - an extra, and slow to import

    return Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=1.6)


def pictures(figure: Pictures, root: Path) -> Any:
    """Return rows of pictures, drawn; relative paths are relative to `root`."""
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415 - an extra, and slow to import
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415 - an extra, and slow to import

    columns = max((len(strip.tiles) for strip in figure.strips), default=1) or 1
    rows = max(1, len(figure.strips))
    made = Canvas(figsize=(1.6 * columns + 0.4, 2.2 * rows + 0.6), layout=ConstrainedLayoutEngine(hspace=0.2))
    made.suptitle(f"{figure.title}\n\n", fontsize=11, fontweight="bold", x=0.01, ha="left")
    if figure.note:
        made.supxlabel(figure.note, fontsize=NOTE_SIZE, x=0.01, ha="left")
    cells = made.subplots(rows, columns, squeeze=False)
    for axes in cells.flat:
        axes.set_axis_off()
    for strip, line in zip(figure.strips, cells, strict=False):
        heading = line[0].text(0, 1.05, "\n".join(wrap(strip.heading, 21 * columns)), transform=line[0].transAxes, va="bottom", fontsize=9)
        heading.set_in_layout(False)  # else the first column grows as wide as the words
        for tile, axes in zip(strip.tiles, line, strict=False):
            axes.imshow(picture(tile.path, tile.preset, root, overlay=tile.overlay))
            axes.text(0.5, -0.03, tile.caption, transform=axes.transAxes, ha="center", va="top", fontsize=8, wrap=True)
            if tile.good is not None:
                _surround(axes, good=tile.good)
    return made


def picture(path: str, preset: str, root: Path, *, overlay: str = "", side: int = TILE_PIXELS) -> Any:
    """Return a small Pillow picture of a file, RGB, with another laid over it half transparent; grey where it cannot be read.

    Args:
        path: The file.
        preset: How it is decoded.
        root: Folder that a relative path is relative to.
        overlay: File of the picture laid over it; empty: none.
        side: Longest side in pixels.
    """
    from PIL import Image as Pil  # noqa: PLC0415 - loaded by those who decode

    from medbench.images import decode  # noqa: PLC0415 - loaded by those who decode

    try:
        made = decode(Image(path=str(root / path), preset=preset))
        made.thumbnail((side, side))
        if overlay:
            above = decode(Image(path=str(root / overlay))).resize(made.size)
            made = Pil.blend(made, above, 0.45)
    except InputError:
        return Pil.new("RGB", (side, side), (128, 128, 128))
    return made


def _surround(axes: Any, *, good: bool) -> None:
    """Frame a picture: right in a whole line, wrong in a broken one, so that colour alone says nothing."""
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=RIGHT if good else WRONG, linewidth=3, linestyle="-" if good else (0, (2, 1)))
