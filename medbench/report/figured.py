"""The figures of a run as a page shows them: drawn, described, and as numbers for those who cannot see them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from medbench import drawing
from medbench.figures import Bars, Curves, Figure, Matrix, Pictures, Points, Tile
from medbench.report.choosing import Column
from medbench.report.texts import fit
from medbench.report.thumbnails import Thumbnail, thumbnail
from medbench.types import Image, Struct

BINS = 20
MOST_FIGURES = 24
MOST_STRIPS, MOST_TILES = 12, 12
TILE = 160
"""Longest side of a picture in a row of them, in pixels."""
MOST_CELLS = 400
"""A figure of more numbers has no table of them."""
LARGE = 200_000
"""An SVG of more bytes is shown as a PNG instead."""


class Cells(Struct):
    """The numbers of a figure."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Row(Struct):
    """Some pictures under a heading."""

    heading: str
    tiles: tuple[tuple[Thumbnail, bool | None], ...]


class Shown(Struct):
    """A figure on a page."""

    title: str
    note: str
    uri: str = ""
    strips: tuple[Row, ...] = ()
    cells: Cells | None = None


def shown(figure: Figure, root: Path) -> Shown:
    """Return a figure for a page; without matplotlib its numbers alone.

    Args:
        figure: What is shown.
        root: Folder that relative paths of pictures are relative to.
    """
    if isinstance(figure, Pictures):
        return Shown(title=fit(figure.title), note=fit(figure.note), strips=tuple(_strips(figure, root)))
    return Shown(title=fit(figure.title), note=fit(figure.note), uri=_uri(figure) if drawing.can_draw() else "", cells=_cells(figure))


def distributions(columns: Sequence[Column], most: int = 6) -> Iterator[Bars]:
    """Yield a histogram of the samples' own values for each primary score; of few different values, a column for each."""
    for column in [c for c in columns if c.facts.primary][:most] or list(columns[:1]):
        values = column.values[np.isfinite(column.values)]
        distinct = np.unique(values)
        if len(distinct) <= 6:
            labels = [f"{value:g}" for value in distinct]
            counts = [int((values == value).sum()) for value in distinct]
        else:
            low = min(0.0, float(values.min())) if column.facts.low == 0 else float(values.min())
            high = max(1.0, float(values.max())) if column.facts.high == 1 else float(values.max())
            numbers, edges = np.histogram(values, bins=BINS, range=(low, high))
            labels, counts = [f"{edge:.3g}" for edge in edges[:-1]], numbers.tolist()
        yield Bars(
            name=f"distribution-{column.title}",
            title=f"{column.title} of each sample",
            labels=tuple(labels),
            values=tuple(map(float, counts)),
            x_label=f"{column.title}{'' if len(distinct) <= 6 else ' from … on'}",
            counts=True,
        )


def _uri(figure: Figure) -> str:
    figure = msgspec.structs.replace(figure, title="")  # the page has it as a heading
    raw, kind = drawing.draw(figure, drawing.SVG), "svg+xml"
    if len(raw) > LARGE:
        raw, kind = drawing.draw(figure, drawing.PNG), "png"
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"


def _strips(figure: Pictures, root: Path) -> Iterator[Row]:
    for strip in figure.strips[:MOST_STRIPS]:
        yield Row(heading=fit(strip.heading), tiles=tuple((_tile(tile, root), tile.good) for tile in strip.tiles[:MOST_TILES]))


def _tile(tile: Tile, root: Path) -> Thumbnail:
    overlay = Image(path=_place(tile.overlay, root)) if tile.overlay else None
    return thumbnail(Image(path=_place(tile.path, root), preset=tile.preset), caption=fit(tile.caption), overlay=overlay, side=TILE)


def _place(path: str, root: Path) -> str:
    """Return where a picture is: as it is named, or among the drawn pictures that the run folder keeps, which may have moved."""
    kept = root / "pictures" / Path(path).name
    return str(kept if kept.is_file() else root / path)


Numbers = tuple[tuple[str, ...], list[tuple[str, ...]]]


def _cells(figure: Figure) -> Cells | None:
    """Return the numbers of a figure that has few of them."""
    made: Numbers
    match figure:
        case Bars():
            made = _of_bars(figure)
        case Curves():
            made = _of_curves(figure)
        case Matrix():
            made = _of_matrix(figure)
        case Points():
            labels = figure.labels or ("",) * len(figure.x)
            pairs = zip(labels, figure.x, figure.y, strict=False)
            made = ("", figure.x_label or "x", figure.y_label or "y"), [(label, _text(x), _text(y)) for label, x, y in pairs]
        case _:
            return None
    heads, rows = made
    if len(rows) * len(heads) > MOST_CELLS:
        return None
    return Cells(heads=tuple(map(fit, heads)), rows=tuple(tuple(map(fit, row)) for row in rows))


def _of_bars(figure: Bars) -> Numbers:
    heads = ("", figure.x_label or "value", *(("95 % interval",) if figure.low else ()))
    rows: list[tuple[str, ...]] = [
        (label, _text(value), *((_span(figure.low, figure.high, at),) if figure.low else ()))
        for at, (label, value) in enumerate(zip(figure.labels, figure.values, strict=True))
    ]
    return heads, rows


def _of_curves(figure: Curves) -> Numbers:
    rows: list[tuple[str, ...]] = [
        (line.label, _text(x), _text(y), _span(line.low, line.high, at))
        for line in figure.lines
        for at, (x, y) in enumerate(zip(line.x, line.y, strict=True))
    ]
    return ("curve", figure.x_label or "x", figure.y_label or "y", "95 % interval"), rows


def _of_matrix(figure: Matrix) -> Numbers:
    width = max((len(row) for row in figure.values), default=0)
    names = figure.rows or tuple(str(number) for number in range(1, len(figure.values) + 1))
    columns = figure.columns or tuple(str(number) for number in range(1, width + 1))
    rows: list[tuple[str, ...]] = [(name, *map(_text, row)) for name, row in zip(names, figure.values, strict=False)]
    return (figure.row_label, *columns), rows


def _text(value: float | None) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.4g}"


def _span(low: Sequence[float | None], high: Sequence[float | None], at: int) -> str:
    if not (low and high) or low[at] is None or high[at] is None:
        return ""
    return f"[{_text(low[at])}, {_text(high[at])}]"
