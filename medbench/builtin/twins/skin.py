"""Photographs of nobody's skin: a patch of it with one of six conditions."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.canvas import Canvas, Points
from medbench.builtin.twins.paint import Colour, Painting

Condition = Literal["psoriasis", "tinea corporis", "vitiligo", "melanocytic nevus", "urticaria", "herpes zoster"]

CONDITIONS: tuple[Condition, ...] = ("psoriasis", "tinea corporis", "vitiligo", "melanocytic nevus", "urticaria", "herpes zoster")
TONES: tuple[Colour, ...] = ((0.93, 0.76, 0.66), (0.86, 0.66, 0.53), (0.72, 0.52, 0.4), (0.52, 0.36, 0.28))


def skin_picture(condition: Condition, tone: Colour, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a photograph, shape (size, size, 3); position, light and hair vary."""
    page = Painting(Canvas(size, turn=rng.uniform(-3, 3), scale=rng.uniform(0.85, 1.15)), tone)
    page.mottle(rng, 3, 0.05)
    page.mottle(rng, 40, 0.025)
    x, y = 0.5 + rng.uniform(-0.12, 0.12), 0.5 + rng.uniform(-0.12, 0.12)
    _lesion(page, condition, tone, (x, y), rng)
    hairs: list[Points] = []
    for _ in range(int(rng.integers(0, 16))):
        px, py, turn = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(-0.6, 0.6)
        hairs.append([(px, py), (px + 0.05, py + 0.06 + 0.03 * turn), (px + 0.12 * (1 + turn), py + 0.13)])
    if hairs:
        page.blend(page.film.strokes(hairs, 0.005, 0.001), (0.2, 0.14, 0.1), 0.75)
    return page.finish(rng, noise=rng.uniform(0.008, 0.02), gain=rng.uniform(0.95, 1.1), gamma=rng.uniform(0.85, 1.15))


def _blob(x: float, y: float, radius: float, rough: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * np.pi, 11, endpoint=False).tolist()
    return [
        (x + radius * (1 + rng.uniform(-rough, rough)) * float(np.cos(a)), y + radius * (1 + rng.uniform(-rough, rough)) * float(np.sin(a)))
        for a in angles
    ]


def _red(tone: Colour, strength: float) -> Colour:
    return (min(1.0, tone[0] * 1.02), tone[1] * (1 - strength), tone[2] * (1 - strength))


def _lesion(page: Painting, condition: Condition, tone: Colour, middle: tuple[float, float], rng: np.random.Generator) -> None:
    (x, y), film = middle, page.film
    if condition == "psoriasis":
        page.blend(film.shape(_blob(x, y, rng.uniform(0.24, 0.32), 0.16, rng), 0.008), _red(tone, 0.5), 0.9)
        scales = [(x + rng.uniform(-0.18, 0.18), y + rng.uniform(-0.18, 0.18), 0.04, 0.022) for _ in range(26)]
        page.blend(film.ovals(scales, 0.008), (0.96, 0.94, 0.93), 0.75)
    elif condition == "tinea corporis":
        radius = rng.uniform(0.22, 0.3)
        ring = _blob(x, y, radius, 0.06, rng)
        page.blend(film.shape(ring, 0.01), _red(tone, 0.12), 0.8)
        page.blend(film.strokes([[*ring, ring[0]]], 0.06, 0.008), _red(tone, 0.5), 0.9)
    elif condition == "vitiligo":
        for dx, dy in ((-0.1, 0.0), (0.12, 0.08), (0.02, -0.16)):
            page.blend(film.shape(_blob(x + dx, y + dy, rng.uniform(0.1, 0.17), 0.2, rng), 0.006), (0.99, 0.93, 0.9), 0.92)
    elif condition == "melanocytic nevus":
        page.blend(film.shape(_blob(x, y, rng.uniform(0.09, 0.15), 0.08, rng), 0.008), (0.26, 0.15, 0.1), 0.95)
    elif condition == "urticaria":
        for _ in range(9):
            px, py, radius = x + rng.uniform(-0.3, 0.3), y + rng.uniform(-0.3, 0.3), rng.uniform(0.05, 0.09)
            page.blend(film.oval(px, py, radius * 1.3, radius * 1.1, 0.012), _red(tone, 0.38), 0.85)
            page.blend(film.oval(px, py, radius * 0.8, radius * 0.65, 0.02), _lit(tone), 0.7)
    else:
        page.blend(
            film.shape(
                [(x - 0.34, y - 0.1), (x, y - 0.13), (x + 0.34, y - 0.02), (x + 0.33, y + 0.12), (x, y + 0.1), (x - 0.33, y + 0.08)], 0.03
            ),
            _red(tone, 0.42),
            0.9,
        )
        spots = [(x + rng.uniform(-0.28, 0.28), y + rng.uniform(-0.08, 0.08)) for _ in range(18)]
        page.blend(film.ovals([(px, py, 0.03, 0.028) for px, py in spots], 0.003), (0.95, 0.85, 0.72), 0.9)
        page.blend(film.ovals([(px - 0.008, py - 0.009, 0.008, 0.007) for px, py in spots], 0.002), (1.0, 1.0, 1.0), 0.9)


def _lit(tone: Colour) -> Colour:
    return (min(1.0, tone[0] * 1.07), min(1.0, tone[1] * 1.07), min(1.0, tone[2] * 1.07))
