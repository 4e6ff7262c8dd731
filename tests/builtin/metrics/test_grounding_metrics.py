"""Contrast, overlap and pointing against maps painted pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.builtin.metrics.grounding import Cnr, Miou, PointingGame
from medbench.builtin.metrics.heat_cells import cells_of
from medbench.cards import MetricCard
from medbench.errors import DataError, PluginError, UsageError
from medbench.testing import check_metric
from medbench.types import Box, HeatMap, Pair, Sample, Text

SIDE = 24
"""Pixels of an image."""


def heat(grid, box=(0.0, 0.0, SIDE, SIDE), interpolation="nearest"):
    array = np.asarray(grid, dtype=float)
    return HeatMap(
        rows=array.shape[0], columns=array.shape[1], grid=tuple(array.ravel()), box=tuple(map(float, box)), interpolation=interpolation
    )


def pair(value, *boxes, number=0):
    named = tuple(Box(label="x", x=x, y=y, width=w, height=h) for x, y, w, h in boxes)
    return Pair(Sample(id=str(number), group=str(number), split="test", boxes=named), value)


def painted(value, boxes, size=SIDE):
    """Return map (NaN outside its crop) and mask of the boxes, pixel by pixel, for crops whose cells are whole pixels."""
    left, top, width, height = map(int, value.box)
    picture = np.full((size, size), np.nan)
    grid = np.array(value.grid).reshape(value.rows, value.columns)
    for y in range(top, top + height):
        for x in range(left, left + width):
            picture[y, x] = grid[(y - top) * value.rows // height, (x - left) * value.columns // width]
    mask = np.zeros((size, size), dtype=bool)
    for x, y, w, h in boxes:
        mask[y : y + h, x : x + w] = True
    return picture, mask


@st.composite
def cases(draw):
    cells = draw(st.sampled_from([1, 2, 3]))
    width, height = (cells * draw(st.integers(1, 4)) for _ in range(2))
    left, top = draw(st.integers(0, SIDE - width)), draw(st.integers(0, SIDE - height))
    grid = draw(
        st.lists(
            st.lists(st.sampled_from([-0.5, 0.0, 0.15, 0.3, 0.45, 0.9]), min_size=cells, max_size=cells), min_size=cells, max_size=cells
        )
    )
    sides = st.tuples(st.integers(0, 15), st.integers(0, 15), st.integers(1, 9), st.integers(1, 9))
    return heat(grid, (left, top, width, height)), draw(st.lists(sides, min_size=1, max_size=3))


@given(cases())
@settings(max_examples=200, deadline=None)
def test_figures_are_those_of_the_painted_map(case):
    value, boxes = case
    picture, mask = painted(value, boxes)
    there = ~np.isnan(picture)
    inside, outside = picture[mask & there], picture[~mask & there]
    found, signed = Cnr().measure([pair(value, *boxes)])[0]
    if not (inside.size and outside.size):
        assert np.isnan([found, signed]).all()
    elif np.isclose(inside.mean(), outside.mean()):
        assert found == pytest.approx(0, abs=1e-6)
    elif inside.std() + outside.std() > 0:
        expected = (inside.mean() - outside.mean()) / np.sqrt(inside.var() + outside.var())
        assert (found, signed) == (pytest.approx(abs(expected)), pytest.approx(expected))
    above = [np.nan_to_num(picture, nan=-np.inf) > t for t in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert Miou().measure([pair(value, *boxes)])[0, 0] == pytest.approx(np.mean([(a & mask).sum() / (a | mask).sum() for a in above]))


@pytest.mark.parametrize("shape", [(14, 14), (3, 5), (1, 4), (1, 1)])
def test_a_bilinear_map_is_nearly_that_of_a_fine_painting(shape):
    rng = np.random.default_rng(sum(shape))
    grid, box, (x, y, w, h) = rng.random(shape), (10.0, 20.0, 400.0, 300.0), (60, 50, 170, 120)
    rows, columns = shape
    at_y = np.clip((np.arange(300) + 0.5) / 300 * rows - 0.5, 0, rows - 1)
    at_x = np.clip((np.arange(400) + 0.5) / 400 * columns - 0.5, 0, columns - 1)
    along = np.array([np.interp(at_x, np.arange(columns), row) for row in grid])
    picture = np.array([np.interp(at_y, np.arange(rows), column) for column in along.T]).T
    mask = np.zeros(picture.shape, dtype=bool)
    mask[y - 20 : y - 20 + h, x - 10 : x - 10 + w] = True
    cells = cells_of(heat(grid, box, "bilinear"), [Box(label="x", x=x, y=y, width=w, height=h)])
    assert np.average(cells.values, weights=cells.inside) == pytest.approx(picture[mask].mean(), abs=2e-3)
    assert np.average(cells.values, weights=cells.outside) == pytest.approx(picture[~mask].mean(), abs=2e-3)
    assert cells.inside.sum() == pytest.approx(w * h)
    assert cells.inside.sum() + cells.outside.sum() == pytest.approx(400 * 300)


def test_overlapping_boxes_are_one_region():
    once = cells_of(heat([[1.0]]), [Box(label="x", x=2, y=2, width=6, height=6)])
    twice = cells_of(heat([[1.0]]), [Box(label="x", x=2, y=2, width=6, height=6)] * 2)
    assert (twice.box_area, twice.inside.tolist()) == (once.box_area, once.inside.tolist()) == (36.0, [36.0])


def test_the_highest_point_lies_in_a_box_or_not_and_ties_count_their_share():
    corner = (0, 0, 12, 12)
    value = [[0.9, 0.1], [0.2, 0.3]], [[0.1, 0.9], [0.2, 0.3]], [[0.5, 0.5], [0.5, 0.5]]
    assert PointingGame().measure([pair(heat(one), corner) for one in value])[:, 0].tolist() == [1.0, 0.0, 0.25]


def test_a_map_that_is_the_same_everywhere_has_no_contrast():
    assert Cnr().measure([pair(heat(np.full((4, 4), 0.7)), (0, 0, 5, 5))]).tolist() == [[0.0, 0.0]]
    assert Cnr().measure([pair(heat(np.zeros((4, 4))), (0, 0, 5, 5))]).tolist() == [[0.0, 0.0]]
    assert np.isnan(Cnr().measure([pair(heat([[0.1, 0.2]]), (0, 0, SIDE, SIDE))])).all()


def test_a_map_that_is_low_where_the_phrase_is_has_a_negative_sign():
    found, signed = Cnr().measure([pair(heat([[0.1, 0.8], [0.9, 0.7]]), (0, 0, 13, 13))])[0]
    assert found == -signed > 0


@pytest.mark.parametrize("name", ["cnr", "miou", "pointing-game"])
def test_promises_of_the_cards(registry, name):
    rng = np.random.default_rng(0)
    pairs = [pair(heat(rng.random((4, 4))), (3 * n % 12, n, 6, 7), number=n) for n in range(6)]
    check_metric(registry.get(MetricCard, name), pairs)


def test_what_cannot_be_measured_is_named():
    with pytest.raises(PluginError, match="sample 0 is a Text"):
        Cnr().measure([pair(Text(text="here"), (0, 0, 1, 1))])
    for boxes in ((), ((0, 0, 0, 4),)):
        with pytest.raises(DataError, match="sample 0 has no box"):
            Miou().measure([pair(heat([[1.0]]), *boxes)])
    for wrong in ("a,b", "", " , "):
        with pytest.raises(UsageError, match="thresholds"):
            Miou(thresholds=wrong)
    assert Miou(thresholds="0.5").signature()["thresholds"] == [0.5]
