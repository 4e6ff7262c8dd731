"""A map over an image against boxes in it, by exact areas of small rectangles: no picture of the image's size is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from medbench.types import Box, HeatMap

Array = np.ndarray[Any, np.dtype[Any]]

FINER = 8
"""Into so many parts per side each cell of a bilinear map is cut, the value in the middle standing for each part."""


class Cells(NamedTuple):
    """The cells of a map: a value each, and how much of its area (in pixels) the boxes cover and leave."""

    values: Array
    inside: Array
    outside: Array
    box_area: float
    """Area of all boxes together, where the map does not reach included."""
    highest_in_box: float
    """Share of the highest cells of the map as given whose middle lies in a box."""


def cells_of(heat: HeatMap, boxes: Sequence[Box]) -> Cells:
    """Return the cells of a map against boxes, which may overlap.

    >>> heat = HeatMap(rows=1, columns=2, grid=(0.2, 0.8), box=(0.0, 0.0, 10.0, 10.0), interpolation="nearest")
    >>> cells = cells_of(heat, [Box(label="x", x=4.0, y=0.0, width=4.0, height=10.0)])
    >>> cells.inside.tolist(), cells.outside.tolist(), cells.box_area, cells.highest_in_box
    ([10.0, 30.0], [40.0, 20.0], 40.0, 1.0)
    """
    grid = np.array(heat.grid, dtype=np.float64).reshape(heat.rows, heat.columns)
    highest = _highest_in_box(grid, heat.box, boxes)
    if heat.interpolation == "bilinear":
        grid = _finer(_finer(grid, axis=0), axis=1)
    left, top, width, height = heat.box
    x_edges = left + width * np.arange(grid.shape[1] + 1) / grid.shape[1]
    y_edges = top + height * np.arange(grid.shape[0] + 1) / grid.shape[0]
    covered, total = _covered(x_edges, y_edges, boxes)
    whole = np.outer(np.diff(y_edges), np.diff(x_edges))
    return Cells(grid.ravel(), covered.ravel(), np.maximum(whole - covered, 0.0).ravel(), total, highest)


def _covered(x_edges: Array, y_edges: Array, boxes: Sequence[Box]) -> tuple[Array, float]:
    """Return the area of each cell that is in any box, (rows, columns), and the area of all boxes together."""
    xs = np.unique([side for box in boxes for side in (box.x, box.x + box.width)])
    ys = np.unique([side for box in boxes for side in (box.y, box.y + box.height)])
    middle_x, middle_y = (xs[:-1] + xs[1:]) / 2, (ys[:-1] + ys[1:]) / 2
    any_box = np.zeros((len(middle_y), len(middle_x)))
    for box in boxes:
        within_x = (middle_x > box.x) & (middle_x < box.x + box.width)
        within_y = (middle_y > box.y) & (middle_y < box.y + box.height)
        any_box[np.outer(within_y, within_x)] = 1.0
    # rectangles between the boxes' sides are wholly in or out; a cell takes its overlap with each of them
    covered = _overlaps(y_edges, ys) @ any_box @ _overlaps(x_edges, xs).T
    return np.asarray(covered), float(np.diff(ys) @ any_box @ np.diff(xs))


def _overlaps(edges: Array, others: Array) -> Array:
    """Return how long each interval of `edges` overlaps each of `others`, (intervals, other intervals)."""
    low = np.maximum(edges[:-1, None], others[None, :-1])
    high = np.minimum(edges[1:, None], others[None, 1:])
    return np.asarray(np.maximum(high - low, 0.0))


def _finer(grid: Array, axis: int) -> Array:
    """Return the grid with `FINER` times the cells along an axis, interpolated between the middles of cells, level at the rim."""
    count = grid.shape[axis]
    at = np.clip((np.arange(count * FINER) + 0.5) / FINER - 0.5, 0, count - 1)
    low = np.minimum(at.astype(np.int64), max(count - 2, 0))
    high = np.minimum(low + 1, count - 1)
    share = (at - low).reshape([-1 if dimension == axis else 1 for dimension in range(2)])
    return np.asarray(np.take(grid, low, axis) * (1 - share) + np.take(grid, high, axis) * share)


def _highest_in_box(grid: Array, place: tuple[float, float, float, float], boxes: Sequence[Box]) -> float:
    left, top, width, height = place
    rows, columns = np.nonzero(grid == grid.max())
    x, y = left + width * (columns + 0.5) / grid.shape[1], top + height * (rows + 0.5) / grid.shape[0]
    hit = np.zeros(len(rows), dtype=bool)
    for box in boxes:
        hit |= (x >= box.x) & (x <= box.x + box.width) & (y >= box.y) & (y <= box.y + box.height)
    return float(hit.mean())
