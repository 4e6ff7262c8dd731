"""Figures as plain data: what a protocol or a metric has to show, drawn by whoever has a plot library."""

from __future__ import annotations

import msgspec

from medbench.types import Struct


class Line(Struct, omit_defaults=True):
    """One curve of a `Curves` figure: points in order of x, with an interval where there is one."""

    label: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    """None: undefined there."""
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


class Curves(Struct, tag="curves", omit_defaults=True):
    """Lines over one axis: a learning curve, ROC, a reliability diagram, a training loss."""

    name: str
    """Path-safe and unique in its run."""
    title: str
    lines: tuple[Line, ...]
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    diagonal: bool = False
    """Draw the line y = x: chance, or perfect calibration."""
    note: str = ""


class Matrix(Struct, tag="matrix", omit_defaults=True):
    """A table of numbers as colours: a confusion matrix, the similarities of a batch."""

    name: str
    title: str
    values: tuple[tuple[float | None, ...], ...]
    """Row-major."""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    row_label: str = ""
    column_label: str = ""
    value_label: str = ""
    counts: bool = False
    """The values are counts and are written into the cells."""
    marked: tuple[tuple[int, int], ...] = ()
    """Cells (row, column) to frame: the true partners."""
    note: str = ""


class Tile(Struct, omit_defaults=True):
    """One picture of a `Pictures` figure."""

    path: str
    """The image file."""
    preset: str = "default"
    """How it is decoded."""
    caption: str = ""
    good: bool | None = None
    """Frame it as right or wrong; None: no frame."""
    overlay: str = ""
    """Path of a picture of the same size laid over it half transparent: a heat map. Empty: none."""


class Strip(Struct, omit_defaults=True):
    """One row of pictures under a heading."""

    heading: str
    tiles: tuple[Tile, ...]


class Pictures(Struct, tag="pictures", omit_defaults=True):
    """Rows of pictures: a contact sheet, the most likely images for a caption. Holds data: private where the data is."""

    name: str
    title: str
    strips: tuple[Strip, ...]
    note: str = ""


class Bars(Struct, tag="bars", omit_defaults=True):
    """Named values with intervals: per-class scores, subgroups, a distribution (`counts`)."""

    name: str
    title: str
    labels: tuple[str, ...]
    values: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    x_label: str = ""
    counts: bool = False
    note: str = ""


class Points(Struct, tag="points", omit_defaults=True):
    """A scatter of pairs: judge against rater, cost against quality."""

    name: str
    title: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    labels: tuple[str, ...] = ()
    x_label: str = ""
    y_label: str = ""
    diagonal: bool = False
    note: str = ""


Figure = Curves | Matrix | Pictures | Bars | Points

_decoder: msgspec.json.Decoder[list[Figure]] = msgspec.json.Decoder(list[Figure])


def read_figures(raw: bytes) -> list[Figure]:
    """Return the figures of a run's `figures.json`.

    Raises:
        msgspec.MsgspecError: it is not one.
    """
    return _decoder.decode(raw)
