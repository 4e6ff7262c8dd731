"""The side view that goes with a frontal chest film: the same findings, seen from the left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.canvas import Array, Canvas, Points, expose
from medbench.builtin.twins.chest import Chest


def chest_lateral(chest: Chest, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a lateral film, shape (size, size): breast bone on the left, spine on the right."""
    film = Canvas(
        size, shift=(rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03)), scale=rng.uniform(0.92, 1.04), turn=rng.uniform(-0.05, 0.05)
    )
    base = 0.78 if chest.flat else 0.71
    field = film.shape(_field(base, chest.flat), 0.007)
    _body(film, base)
    film.blend(field, 0.24)
    film.add(film.cloud(rng, 20) * field, 0.014)
    _heart(film, chest.ratio, base, field)
    _spots(film, chest, base, field)
    _bones(film, rng)
    _fluid(film, chest, base, field)
    _device(film, chest)
    film.add(film.cloud(rng, 7), 0.012)
    return expose(film.pixels, rng, noise=rng.uniform(0.008, 0.018), low=0.02, high=rng.uniform(0.98, 1.1), gamma=rng.uniform(0.85, 1.1))


def _field(base: float, flat: bool) -> Points:
    dome = 0.02 if flat else 0.06
    return [
        (0.47, 0.12), (0.36, 0.22), (0.285, 0.34), (0.25, 0.5), (0.245, base - 0.03), (0.36, base - dome), (0.5, base - dome),
        (0.63, base + 0.02), (0.735, base + 0.12), (0.765, base + 0.05), (0.785, 0.55), (0.76, 0.35), (0.68, 0.2), (0.57, 0.12),
    ]  # fmt: skip


def _body(film: Canvas, base: float) -> None:
    outline = [
        (0.40, -0.05), (0.37, 0.06), (0.28, 0.17), (0.19, 0.3), (0.14, 0.5), (0.14, 0.72), (0.17, 1.08), (0.86, 1.08), (0.9, 0.7),
        (0.91, 0.45), (0.85, 0.22), (0.72, 0.08), (0.66, -0.05),
    ]  # fmt: skip
    body = film.shape(outline, 0.006)
    film.add(body, 0.5)
    down = np.clip((np.linspace(0, 1, film.size, dtype=np.float32) - np.float32(base)) / np.float32(0.25), 0, 1)
    film.pixels += body * down[:, None] * np.float32(0.22)
    film.add(film.shape([(0.25, 0.0), (0.28, 0.2), (0.42, 0.2), (0.7, 0.18), (0.84, 0.22), (0.75, 0.0)], 0.03) * body, 0.12)
    film.blend(film.oval(0.4, base + 0.03, 0.05, 0.03, 0.01), 0.45)


def _heart(film: Canvas, ratio: float, base: float, field: Array) -> None:
    back = 0.46 + 0.75 * (ratio - 0.4)
    outline = [
        (0.46, 0.37), (0.36, 0.4), (0.27, 0.5), (0.245, base - 0.03), (0.4, base), (back + 0.03, base - 0.02), (back + 0.055, base - 0.11),
        (back + 0.02, 0.48), (0.53, 0.4),
    ]  # fmt: skip
    film.blend(film.shape(outline, 0.01) * np.clip(field * 3, 0, 1), 0.64)
    film.add(film.strokes([[(0.5, 0.38), (0.47, 0.3), (0.52, 0.24), (0.6, 0.28), (0.63, 0.45)]], 0.045, 0.012), 0.1)
    film.add(film.oval(0.535, 0.405, 0.045, 0.04, 0.015), 0.16)
    film.add(film.strokes([[(0.51, 0.0), (0.525, 0.2), (0.54, 0.38)]], 0.032, 0.007), -0.17)


def _spots(film: Canvas, chest: Chest, base: float, field: Array) -> None:
    places = {"upper": (0.54, 0.23), "mid": (0.42, 0.44), "lower": (0.66, base - 0.1)}
    if chest.opacity:
        film.add(film.oval(*places[chest.opacity.zone], 0.09, 0.075, 0.024) * field, 0.28)
    if chest.nodule:
        film.blend(film.oval(*places[chest.nodule.zone], 0.038, 0.038, 0.005) * np.float32(0.45), 0.9)


def _bones(film: Canvas, rng: np.random.Generator) -> None:
    heights = np.linspace(0.08, 1.0, 15)
    column = [(0.69 + 0.1 * np.sin(np.pi * min(1.0, y * 1.1)), y) for y in heights]
    film.add(film.strokes([column], 0.085, 0.012), 0.1)
    film.add(film.ovals([(x, y, 0.04, 0.021) for x, y in column], 0.006), 0.11)
    phase = rng.uniform(-0.01, 0.01)
    ribs = [
        [(0.8, y + phase), (0.7, y + 0.05 + phase), (0.5, y + 0.14 + phase), (0.34, y + 0.2 + phase)] for y in np.linspace(0.14, 0.62, 8)
    ]
    film.add(film.strokes(ribs, 0.015, 0.004), 0.045)
    film.add(film.strokes([[(0.36, 0.19), (0.27, 0.32), (0.225, 0.5), (0.22, 0.6)]], 0.022, 0.004), 0.16)


def _fluid(film: Canvas, chest: Chest, base: float, field: Array) -> None:
    if not chest.effusions:
        return
    level = base - 0.55 * max(chest.effusions.values())
    pool = [
        (0.9, level - 0.09),
        (0.76, level - 0.06),
        (0.66, level + 0.02),
        (0.5, level + 0.06),
        (0.3, level + 0.08),
        (0.3, base + 0.1),
        (0.9, base + 0.2),
    ]
    film.blend(film.shape(pool, 0.009) * np.clip(field * 5, 0, 1), 0.68)


def _device(film: Canvas, chest: Chest) -> None:
    if chest.device == "pacemaker":
        film.add(film.strokes([[(0.3, 0.24), (0.42, 0.22), (0.5, 0.35), (0.47, 0.52), (0.33, 0.62)]], 0.008, 0.002), 0.45)
        film.blend(film.oval(0.29, 0.25, 0.018, 0.05, 0.003, turn=0.45), 1.15)
    elif chest.device == "central line":
        film.add(film.strokes([[(0.5, 0.0), (0.47, 0.2), (0.45, 0.42)]], 0.011, 0.002), 0.4)
    elif chest.device == "endotracheal tube":
        film.add(film.strokes([[(0.505, 0.0), (0.52, 0.27)]], 0.018, 0.002), 0.4)
