"""Angiograms of nobody: vessels filled with contrast, dark on a pale ground."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.canvas import Canvas, Points, expose
from medbench.types import Struct

Vessel = Literal["coronary", "cerebral"]
Fault = Literal["", "stenosis", "aneurysm", "occlusion"]

VESSELS: tuple[Vessel, ...] = ("coronary", "cerebral")
FAULTS: tuple[Fault, ...] = ("", "stenosis", "aneurysm", "occlusion")


class Angiogram(Struct):
    """What an angiogram shows."""

    vessel: Vessel = "coronary"
    fault: Fault = ""


def draw_angiogram(rng: np.random.Generator) -> Angiogram:
    """Return a random vessel with or without a fault."""
    return Angiogram(vessel=VESSELS[rng.integers(2)], fault=FAULTS[rng.integers(4)])


def angiogram_picture(shown: Angiogram, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return an angiogram, shape (size, size)."""
    film = Canvas(
        size, shift=(rng.uniform(-0.04, 0.04), rng.uniform(-0.04, 0.04)), scale=rng.uniform(0.9, 1.05), turn=rng.uniform(-0.25, 0.25)
    )
    film.pixels += np.float32(0.74) + np.float32(0.035) * film.cloud(rng, 5)
    if shown.vessel == "coronary":
        film.add(film.oval(0.5, 0.62, 0.42, 0.36, 0.05), -0.12)
        trunk = [(0.28, 0.08), (0.36, 0.2), (0.46, 0.32), (0.53, 0.46), (0.57, 0.62), (0.6, 0.78), (0.66, 0.93)]
        film.add(film.strokes([[(0.28, 0.08), (0.2, 0.0), (0.05, -0.05)]], 0.03, 0.003), -0.3)
    else:
        film.add(film.oval(0.5, 0.5, 0.46, 0.46, 0.03), -0.08)
        film.add(film.strokes([_ring(0.46)], 0.02, 0.008), -0.09)
        trunk = [(0.47, 1.02), (0.48, 0.86), (0.44, 0.72), (0.5, 0.6), (0.57, 0.48), (0.66, 0.38), (0.78, 0.3)]
    _tree(film, trunk, shown.fault, rng)
    return expose(film.pixels, rng, noise=rng.uniform(0.012, 0.025), low=0.05, high=rng.uniform(0.95, 1.05), gamma=rng.uniform(0.9, 1.15))


def _ring(radius: float) -> Points:
    return [(0.5 + radius * np.cos(a), 0.5 + radius * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 13)]


def _tree(film: Canvas, trunk: Points, fault: Fault, rng: np.random.Generator) -> None:
    """Draw the trunk, its branches, and the fault somewhere past the middle of the trunk."""
    bent = [(x + rng.uniform(-0.015, 0.015), y + rng.uniform(-0.015, 0.015)) for x, y in trunk]
    at = int(rng.integers(3, 5))
    shown = bent[: at + 1] if fault == "occlusion" else bent
    width = rng.uniform(0.036, 0.044)
    vessel = film.strokes([shown], width, 0.004)
    branches: list[Points] = []
    for nth, (x, y) in enumerate(shown[1:-1], 1):
        side = 1 if nth % 2 else -1
        length = rng.uniform(0.16, 0.26)
        fall = rng.uniform(-0.06, 0.14)
        branches.append([(x, y), (x + side * length * 0.5, y + fall * 0.3), (x + side * length, y + fall + 0.04)])
        branches.append([(x + side * length * 0.5, y + fall * 0.3), (x + side * length * 0.8, y + fall - 0.07)])
    film.add(np.maximum(vessel, film.strokes(branches, 0.015, 0.003)), -0.5)
    x, y = bent[at]
    if fault == "stenosis":
        pinch = film.oval(x, y, 0.05, 0.05, 0.006)
        film.blend(pinch * vessel, 0.66)
        film.add(film.strokes([bent[at - 1 : at + 2]], 0.01, 0.002) * pinch, -0.42)
    elif fault == "aneurysm":
        film.blend(film.oval(x + 0.045, y - 0.03, 0.072, 0.068, 0.004), 0.2)
