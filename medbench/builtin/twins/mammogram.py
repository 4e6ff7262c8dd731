"""Mammograms of nobody: a breast against air, with dense tissue and at most one finding."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.canvas import Canvas
from medbench.types import Struct

Finding = Literal["", "cyst", "mass", "calcifications"]
FINDINGS: tuple[Finding, ...] = ("", "cyst", "mass", "calcifications")


class Breast(Struct):
    """What the two views of a breast show."""

    side: Literal["L", "R"]
    density: int
    """0 (fatty) to 3 (dense)."""
    finding: Finding = ""
    large: bool = False
    place: tuple[float, float] = (0.4, 0.5)
    """Distance from the chest wall and height, in parts of the side of the picture."""

    @property
    def category(self) -> int:
        """BI-RADS assessment, 1 to 5."""
        if self.finding == "calcifications":
            return 4 if self.large else 3
        return {"": 1, "cyst": 2, "mass": 5 if self.large else 4}[self.finding]


def draw_breast(rng: np.random.Generator, side: Literal["L", "R"], density: int) -> Breast:
    """Return random findings: none in most breasts, as in screening."""
    finding = FINDINGS[rng.integers(1, 4)] if rng.random() < 0.5 else ""
    place = (round(float(rng.uniform(0.2, 0.42)), 3), round(float(rng.uniform(0.4, 0.62)), 3))
    return Breast(side=side, density=density, finding=finding, large=bool(rng.random() < 0.5), place=place)


def mammogram(breast: Breast, view: Literal["CC", "MLO"], size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return attenuation (0 air to about 1), shape (size, size); the chest wall of a left breast is on the left."""
    film = Canvas(size, shift=(0.0, float(rng.uniform(-0.03, 0.03))), scale=float(rng.uniform(0.94, 1.06)))
    middle, reach = (0.5, 0.56) if view == "CC" else (0.55, 0.52)
    skin = film.shape([(-0.2, middle - 0.42), (0.1, middle - 0.4), (0.38, middle - 0.26), (reach, middle), (0.38, middle + 0.27),
                       (0.1, middle + 0.38), (-0.2, middle + 0.4)], 0.006)  # fmt: skip
    film.add(skin, 0.38)
    gland = film.shape([(0.02, middle - 0.2), (0.25, middle - 0.17), (0.45, middle), (0.25, middle + 0.18), (0.02, middle + 0.2)], 0.03)
    film.add(gland * (1 + 0.35 * film.cloud(rng, 9)), 0.04 + 0.075 * breast.density)
    if view == "MLO":
        film.add(film.shape([(-0.3, -0.1), (0.34, -0.1), (0.05, 0.5), (-0.1, 0.7)], 0.012), 0.34)
    film.add(film.oval(reach - 0.005, middle, 0.02, 0.03, 0.004), 0.16)
    _finding(film, breast, view, rng)
    pixels = film.pixels * np.clip(skin + (film.pixels > 0.5), 0, 1)
    return np.ascontiguousarray(pixels if breast.side == "L" else pixels[:, ::-1])


def _finding(film: Canvas, breast: Breast, view: str, rng: np.random.Generator) -> None:
    x, y = breast.place[0], breast.place[1] + (0.05 if view == "MLO" else 0.0)
    size = 0.075 if breast.large else 0.05
    if breast.finding == "cyst":
        film.add(film.oval(x, y, size, size * 0.9, 0.003), 0.3)
    elif breast.finding == "mass":
        film.add(film.oval(x, y, size * 0.75, size * 0.75, 0.006), 0.42)
        angles = np.linspace(0, 2 * np.pi, 9, endpoint=False) + rng.uniform(0, 0.7)
        rays = [[(x, y), (x + 1.9 * size * float(np.cos(a)), y + 1.9 * size * float(np.sin(a)))] for a in angles]
        film.add(film.strokes(rays, 0.012, 0.003), 0.22)
    elif breast.finding == "calcifications":
        spots = rng.uniform(-1, 1, (14 if breast.large else 8, 2)) * size
        film.add(film.ovals([(x + float(dx), y + float(dy), 0.011, 0.011) for dx, dy in spots], 0.002), 0.75)
