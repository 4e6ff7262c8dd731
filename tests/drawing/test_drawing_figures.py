"""Figures drawn: every kind, empty or hostile, the same bytes each time, following the reader's colours."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from medbench import drawing
from medbench.errors import UsageError
from medbench.figures import Bars, Curves, Line, Matrix, Pictures, Points, Strip, Tile

pytest.importorskip("matplotlib")

HOSTILE = "<script>alert('x')</script> $x_1$ ]]> --> & \u202e"
CURVES = Curves(name="roc", title=HOSTILE, lines=(Line(label="a", x=(0.0, 0.5, 1.0), y=(0.0, None, 1.0)),), diagonal=True, note="n")
LEARNING = Curves(
    name="learning",
    title="t",
    log_x=True,
    lines=(Line(label=HOSTILE, x=(1, 4, 16), y=(0.5, 0.6, 0.7), low=(0.4, 0.5, None), high=(0.6, 0.7, None)),),
)
MATRIX = Matrix(name="confusion", title="t", values=((3, 1), (None, 2000)), rows=("yes", HOSTILE), columns=("yes", "no"), counts=True)
SIMILARITY = Matrix(name="similarity", title="t", values=((0.25, 0.5), (0.125, 1.0)), marked=((0, 0), (1, 1)), value_label="cosine")
BARS = Bars(name="bars", title="t", labels=("a", HOSTILE), values=(0.5, None), low=(0.4, None), high=(0.6, None), x_label="x")
COUNTS = Bars(name="counts", title="t", labels=tuple(f"{i / 20:.2f}" for i in range(20)), values=tuple(range(20)), counts=True)
POINTS = Points(name="points", title="t", x=(0.1, 0.9), y=(0.2, 0.8), labels=("one", HOSTILE), diagonal=True)
EMPTY = (
    Curves(name="e1", title="t", lines=()),
    Matrix(name="e2", title="t", values=()),
    Bars(name="e3", title="t", labels=(), values=()),
    Bars(name="e4", title="t", labels=(), values=(), counts=True),
    Points(name="e5", title="t", x=(), y=()),
    Pictures(name="e6", title="t", strips=()),
)
ALL = (CURVES, LEARNING, MATRIX, SIMILARITY, BARS, COUNTS, POINTS, *EMPTY)


@pytest.fixture
def sheet(tmp_path):
    """A contact sheet of a red and a missing picture, and the folder that its paths are relative to."""
    Image.new("RGB", (40, 20), (200, 0, 0)).save(tmp_path / "red.png")
    tiles = (Tile(path="red.png", caption="so <b>red</b>", good=True, overlay="red.png"), Tile(path="gone.png", good=False))
    return Pictures(name="sheet", title="t", strips=(Strip(heading="one", tiles=tiles),)), tmp_path


@pytest.mark.parametrize("figure", ALL, ids=lambda figure: figure.name)
def test_every_kind_is_drawn_the_same_way_twice(figure):
    svg = drawing.draw(figure)
    assert svg == drawing.draw(figure)
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {one.tag.rpartition("}")[2] for one in root.iter()}.isdisjoint({"script", "foreignObject", "a"})
    assert "prefers-color-scheme:dark" in svg.decode()


def test_text_stays_text_and_is_never_mathematics():
    svg = drawing.draw(CURVES).decode()
    assert "&lt;script&gt;" in svg
    assert "$x_1$" in svg
    labels = ["".join(one.itertext()) for one in ET.fromstring(drawing.draw(MATRIX)).iter() if one.tag.endswith("text")]
    assert {"yes", "no", "3", "1", "2,000"} <= set(labels)
    ticks = [one.text for one in ET.fromstring(drawing.draw(LEARNING)).iter() if one.tag.endswith("text")]
    assert {"1", "4", "16"} <= set(ticks)


def test_ink_is_the_readers_own_colour_and_the_ground_transparent():
    svg = drawing.draw(BARS).decode()
    assert "currentColor" in svg
    assert svg.count("#1c1e21") == 1, "only the light scheme's own colour may be named"
    assert "fill: #ffffff" not in svg


def test_a_png_is_on_white(sheet):
    figure, root = sheet
    raw = drawing.draw(figure, ".png", root=root)
    assert raw == drawing.draw(figure, ".png", root=root)
    pixels = np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert (pixels == (200, 0, 0)).all(axis=2).any()


def test_the_data_are_where_they_belong():
    low, high = (drawing.draw(Bars(name="b", title="", labels=("a", "b"), values=values)) for values in ((0.1, 0.9), (0.9, 0.1)))
    assert low != high


def test_mistakes_are_said(monkeypatch):
    with pytest.raises(UsageError, match=r"drawn as .svg or .png, not .gif"):
        drawing.draw(BARS, ".gif")
    monkeypatch.setattr(drawing, "find_spec", lambda _: None)
    assert not drawing.can_draw()
    with pytest.raises(UsageError, match="needs matplotlib") as refused:
        drawing.draw(BARS)
    assert "medbench[plots]" in refused.value.hint
