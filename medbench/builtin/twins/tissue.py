"""Stained sections of nobody's tissue: glands, muscle or fat, with or without something wrong."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.canvas import Array, Canvas
from medbench.builtin.twins.paint import Painting
from medbench.types import Struct

Kind = Literal["glandular tissue", "smooth muscle", "adipose tissue"]
Change = Literal["", "inflammation", "necrosis", "hemorrhage", "granuloma"]

KINDS: tuple[Kind, ...] = ("glandular tissue", "smooth muscle", "adipose tissue")
CHANGES: tuple[Change, ...] = ("", "inflammation", "necrosis", "hemorrhage", "granuloma")
CORNERS = {"upper left": (0.3, 0.3), "upper right": (0.7, 0.3), "lower left": (0.3, 0.7), "lower right": (0.7, 0.7)}
"""Where a change may lie -> its middle."""

_PURPLE = (0.33, 0.18, 0.48)


class Section(Struct):
    """What a section shows."""

    kind: Kind = "glandular tissue"
    change: Change = ""
    corner: str = "upper left"


def draw_section(rng: np.random.Generator) -> Section:
    """Return a random section; a quarter is normal."""
    changes = ("", *CHANGES[1:], CHANGES[int(rng.integers(5))])
    return Section(kind=KINDS[rng.integers(3)], change=changes[rng.integers(6)], corner=list(CORNERS)[rng.integers(4)])


def section_picture(section: Section, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a section stained with hematoxylin and eosin, shape (size, size, 3)."""
    rng, shapes = rng.spawn(2)
    turned = Canvas(
        size, shift=(rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05)), turn=rng.uniform(-0.5, 0.5), scale=rng.uniform(1.1, 1.3)
    )
    page = Painting(turned, (0.93, 0.68 + rng.uniform(-0.04, 0.04), 0.79 + rng.uniform(-0.04, 0.04)))
    page.mottle(rng, 7, 0.035)
    page.mottle(rng, 30, 0.03)
    {"glandular tissue": _glands, "smooth muscle": _muscle, "adipose tissue": _fat}[section.kind](page, rng)
    if section.change:
        _change(page, section, shapes)
    return page.finish(rng, noise=rng.uniform(0.01, 0.02), gain=rng.uniform(0.96, 1.05), gamma=rng.uniform(0.85, 1.15))


def _grid(count: int, rng: np.random.Generator, wobble: float) -> list[tuple[float, float]]:
    steps = (np.arange(count) + 0.5) / count
    return [(x + rng.uniform(-wobble, wobble), y + rng.uniform(-wobble, wobble)) for x in steps.tolist() for y in steps.tolist()]


def _nuclei(page: Painting, spots: list[tuple[float, float]], long: float, wide: float) -> None:
    page.blend(page.film.ovals([(x, y, long, wide) for x, y in spots], 0.002), _PURPLE, 0.85)


def _glands(page: Painting, rng: np.random.Generator) -> None:
    """Rings of nuclei around pale middles."""
    nuclei: list[tuple[float, float]] = []
    walls, middles = [], []
    for x, y in _grid(4, rng, 0.03):
        radius = rng.uniform(0.075, 0.1)
        walls.append((x, y, radius, radius))
        middles.append((x, y, radius * 0.42, radius * 0.42))
        angles = np.linspace(0, 2 * np.pi, 13, endpoint=False)
        nuclei += [(x + 0.8 * radius * float(np.cos(a)), y + 0.8 * radius * float(np.sin(a))) for a in angles]
    page.blend(page.film.ovals(walls, 0.004), (0.86, 0.55, 0.74), 0.8)
    page.blend(page.film.ovals(middles, 0.004), (0.97, 0.93, 0.95), 0.95)
    _nuclei(page, nuclei, 0.013, 0.013)


def _muscle(page: Painting, rng: np.random.Generator) -> None:
    """Wavy bands with long nuclei along them."""
    lines = [
        [(x, y + 0.025 * float(np.sin(9 * x + 5 * y))) for x in np.linspace(-0.2, 1.2, 7).tolist()]
        for y in np.linspace(-0.1, 1.1, 17).tolist()
    ]
    page.blend(page.film.strokes(lines, 0.012, 0.004), (0.85, 0.45, 0.62), 0.55)
    _nuclei(page, [(x, y) for x, y in _grid(8, rng, 0.05)], 0.032, 0.008)


def _fat(page: Painting, rng: np.random.Generator) -> None:
    """White cells with thin walls."""
    cells = _grid(6, rng, 0.012)
    page.blend(page.film.ovals([(x, y, 0.083, 0.08) for x, y in cells], 0.004), (0.98, 0.96, 0.97), 0.97)
    _nuclei(page, [(x + 0.078, y + 0.03) for x, y in cells[::2]], 0.014, 0.007)


def _change(page: Painting, section: Section, rng: np.random.Generator) -> None:
    x, y = CORNERS[section.corner]
    film, radius = page.film, rng.uniform(0.17, 0.21)
    ring = [
        (x + radius * (1 + rng.uniform(-0.15, 0.15)) * float(np.cos(a)), y + radius * float(np.sin(a)))
        for a in np.linspace(0, 2 * np.pi, 10, endpoint=False)
    ]
    patch: Array = film.shape(ring, 0.012)
    if section.change == "necrosis":
        page.blend(patch, (0.96, 0.8, 0.84), 0.97)
        page.blend(film.ovals([(*_within(x, y, radius, rng), 0.006, 0.006) for _ in range(30)], 0.002), (0.62, 0.42, 0.6), 0.7)
    elif section.change == "hemorrhage":
        page.blend(patch, (0.86, 0.16, 0.2), 0.8)
        page.blend(film.ovals([(*_within(x, y, radius, rng), 0.015, 0.015) for _ in range(70)], 0.002), (0.78, 0.08, 0.12), 0.8)
    elif section.change == "inflammation":
        page.blend(patch, (0.85, 0.6, 0.78), 0.6)
        _nuclei(page, [_within(x, y, radius, rng) for _ in range(130)], 0.011, 0.011)
    else:
        page.blend(patch, (0.93, 0.74, 0.82), 0.95)
        angles = np.linspace(0, 2 * np.pi, 34, endpoint=False)
        _nuclei(
            page,
            [(x + radius * r * float(np.cos(a)), y + radius * r * float(np.sin(a))) for r in (0.9, 1.02) for a in angles],
            0.012,
            0.012,
        )
        page.blend(film.oval(x, y, radius * 0.3, radius * 0.26, 0.005), (0.8, 0.5, 0.66), 0.9)


def _within(x: float, y: float, radius: float, rng: np.random.Generator) -> tuple[float, float]:
    angle, away = rng.uniform(0, 2 * np.pi), radius * float(np.sqrt(rng.uniform(0, 0.9)))
    return x + away * float(np.cos(angle)), y + away * float(np.sin(angle))
