"""Axial CT slices through the upper abdomens of nobody."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.canvas import Array, Canvas, Points, expose
from medbench.builtin.twins.chest import Side
from medbench.types import Struct


class Abdomen(Struct):
    """What a slice shows."""

    liver_lesions: int = 0
    """0, 1, 2 or 3 dark round lesions."""
    cyst: Side | None = None
    """The kidney with a cyst."""
    stone: Side | None = None
    """The kidney with a stone."""
    aneurysm: bool = False
    ascites: bool = False
    contrast: bool = False
    """Contrast was swallowed: the stomach is bright."""


def draw_abdomen(rng: np.random.Generator) -> Abdomen:
    """Return random findings, independent of each other."""
    sides: tuple[Side, Side] = ("right", "left")
    return Abdomen(
        liver_lesions=int(rng.integers(1, 4)) if rng.random() < 0.5 else 0,
        cyst=sides[rng.integers(2)] if rng.random() < 0.35 else None,
        stone=sides[rng.integers(2)] if rng.random() < 0.35 else None,
        aneurysm=bool(rng.random() < 0.35),
        ascites=bool(rng.random() < 0.35),
        contrast=bool(rng.random() < 0.5),
    )


def abdomen_slice(abdomen: Abdomen, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return an axial slice at the level of the kidneys, shape (size, size); the patient's right is on the left."""
    rng, shapes = rng.spawn(2)
    film = Canvas(
        size, shift=(rng.uniform(-0.02, 0.02), rng.uniform(-0.03, 0.03)), scale=rng.uniform(0.92, 1.04), turn=rng.uniform(-0.06, 0.06)
    )
    fat = rng.uniform(0.02, 0.045)
    _wall(film, fat)
    cavity = film.shape(_oval(0.38 - fat, 0.27 - fat), 0.006)
    film.blend(cavity, 0.42 if abdomen.ascites else 0.20)
    _spine(film)
    _kidneys(film, abdomen)
    _bowel(film, rng, cavity)
    _stomach(film, abdomen.contrast)
    _liver(film, abdomen, shapes)
    _vessels(film, abdomen.aneurysm)
    film.add(film.cloud(rng, 30) * cavity, 0.012)
    return expose(film.pixels, rng, noise=rng.uniform(0.012, 0.03), low=0.0, high=rng.uniform(0.95, 1.06), gamma=rng.uniform(0.9, 1.15))


def _oval(wide: float, high: float) -> Points:
    """A trunk in cross-section: flat behind, rounder in front."""
    half = [(0.0, -0.98), (0.5, -0.95), (0.85, -0.62), (1.0, -0.05), (0.92, 0.5), (0.6, 0.9), (0.2, 0.97)]
    right = [(0.5 + wide * x, 0.48 + high * y) for x, y in half]
    return [*right, (0.5, 0.48 + high * 0.9), *((1 - x, y) for x, y in reversed(right[1:]))]


def _wall(film: Canvas, fat: float) -> None:
    film.blend(
        film.shape([(0.0, 0.86), (0.3, 0.90), (0.7, 0.90), (1.0, 0.86), (1.0, 0.875), (0.7, 0.915), (0.3, 0.915), (0.0, 0.875)], 0.003),
        0.35,
    )
    film.blend(film.shape(_oval(0.45, 0.345), 0.004), 0.44)
    film.blend(film.shape(_oval(0.44, 0.335), 0.005), 0.17)
    film.blend(film.shape(_oval(0.40 - fat / 2, 0.295 - fat / 2), 0.005), 0.48)
    ribs = [(0.5 + (0.39 - fat) * np.sin(a), 0.48 - (0.283 - fat) * np.cos(a)) for a in (1.0, 1.5, 1.95, 2.35, -1.0, -1.5, -1.95, -2.35)]
    film.blend(film.ovals([(x, y, 0.019, 0.012) for x, y in ribs], 0.004), 0.95)


def _spine(film: Canvas) -> None:
    film.blend(film.ovals([(0.40, 0.715, 0.055, 0.045), (0.60, 0.715, 0.055, 0.045)], 0.006), 0.5)
    film.blend(film.oval(0.5, 0.65, 0.062, 0.05, 0.005), 0.97)
    film.blend(film.oval(0.5, 0.652, 0.045, 0.035, 0.008), 0.78)
    film.blend(
        film.strokes([[(0.46, 0.70), (0.44, 0.735), (0.5, 0.765), (0.56, 0.735), (0.54, 0.70)], [(0.5, 0.76), (0.5, 0.80)]], 0.022, 0.004),
        0.95,
    )
    film.blend(film.oval(0.5, 0.722, 0.022, 0.018, 0.004), 0.42)


def _kidneys(film: Canvas, abdomen: Abdomen) -> None:
    sides: tuple[tuple[Side, float, int], ...] = (("right", 0.335, -1), ("left", 0.665, 1))
    for side, x, away in sides:
        bean = [
            (0.03, -0.055),
            (0.06, -0.03),
            (0.07, 0.015),
            (0.045, 0.06),
            (0.0, 0.062),
            (-0.035, 0.035),
            (-0.012, 0.005),
            (-0.03, -0.03),
            (-0.005, -0.06),
        ]
        film.blend(film.shape([(x + away * dx, 0.60 + dy) for dx, dy in bean], 0.005), 0.74)
        film.blend(film.oval(x - away * 0.015, 0.605, 0.016, 0.02, 0.008), 0.30)
        if abdomen.cyst == side:
            film.blend(film.oval(x + away * 0.055, 0.555, 0.043, 0.043, 0.004), 0.36)
        if abdomen.stone == side:
            film.blend(film.oval(x + away * 0.005, 0.61, 0.034, 0.034, 0.003), 1.15)


def _bowel(film: Canvas, rng: np.random.Generator, cavity: Array) -> None:
    spots = [(0.56, 0.40), (0.66, 0.47), (0.60, 0.51), (0.49, 0.47), (0.73, 0.53)]
    loops = [(x + rng.uniform(-0.015, 0.015), y + rng.uniform(-0.015, 0.015), 0.036, 0.03) for x, y in spots]
    film.blend(film.ovals(loops, 0.006) * cavity, 0.5)
    gas = [(x, y - 0.008, 0.016, 0.011) for x, y, _, _ in loops if rng.random() < 0.5]
    film.blend(film.ovals(gas, 0.004) * cavity, 0.02)


def _stomach(film: Canvas, contrast: bool) -> None:
    bag = [(0.55, 0.29), (0.63, 0.255), (0.73, 0.30), (0.765, 0.37), (0.72, 0.42), (0.64, 0.385), (0.57, 0.345)]
    film.blend(film.shape(bag, 0.006), 0.56)
    inside = [(0.66 + 0.82 * (x - 0.66), 0.335 + 0.78 * (y - 0.335)) for x, y in bag]
    film.blend(film.shape(inside, 0.005), 1.05 if contrast else 0.40)
    film.blend(film.oval(0.645, 0.288, 0.05, 0.016, 0.005), 0.02)
    film.blend(film.shape([(0.785, 0.40), (0.815, 0.46), (0.80, 0.56), (0.765, 0.60), (0.765, 0.52), (0.755, 0.45)], 0.005), 0.66)


def _liver(film: Canvas, abdomen: Abdomen, rng: np.random.Generator) -> None:
    outline = [
        (0.20, 0.38), (0.27, 0.28), (0.38, 0.245), (0.50, 0.26), (0.565, 0.30), (0.51, 0.355), (0.46, 0.40), (0.44, 0.47), (0.36, 0.51),
        (0.30, 0.54), (0.24, 0.60), (0.19, 0.56), (0.175, 0.47),
    ]  # fmt: skip
    film.blend(film.shape(outline, 0.005), 0.62)
    film.add(
        film.strokes(
            [[(0.44, 0.42), (0.37, 0.41), (0.29, 0.37)], [(0.37, 0.41), (0.30, 0.46)], [(0.41, 0.40), (0.42, 0.31)]], 0.014, 0.004
        ),
        0.1,
    )
    film.blend(film.oval(0.435, 0.47, 0.028, 0.034, 0.005, turn=0.4), 0.36)
    spots = [(0.275, 0.36), (0.36, 0.32), (0.255, 0.49)]
    for index in rng.permutation(3)[: abdomen.liver_lesions].tolist():
        radius = rng.uniform(0.033, 0.043)
        x, y = spots[index][0] + rng.uniform(-0.012, 0.012), spots[index][1] + rng.uniform(-0.012, 0.012)
        film.blend(film.oval(x, y, radius, radius * 0.95, 0.006), 0.36)


def _vessels(film: Canvas, aneurysm: bool) -> None:
    radius = 0.062 if aneurysm else 0.026
    x, y = 0.515, 0.60 - radius
    film.blend(film.oval(0.445, 0.575, 0.028, 0.022, 0.004), 0.72)
    film.blend(film.oval(x, y, radius, radius, 0.004), 0.60 if aneurysm else 0.86)
    if aneurysm:
        film.blend(film.oval(x, y + 0.008, radius * 0.6, radius * 0.6, 0.004), 0.88)
        film.add(
            film.strokes(
                [[(x - radius, y), (x - 0.7 * radius, y - 0.7 * radius)], [(x + radius, y), (x + 0.8 * radius, y + 0.6 * radius)]],
                0.01,
                0.002,
            ),
            0.45,
        )
