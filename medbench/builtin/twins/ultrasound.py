"""Ultrasound scans of nobody's gallbladder, kidney or liver: a fan of speckle with shadows and echoes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from medbench.builtin.twins.canvas import Array, Canvas, expose
from medbench.types import Struct

Organ = Literal["gallbladder", "kidney", "liver"]
Finding = Literal["", "stone", "cyst", "mass"]

ORGANS: tuple[Organ, ...] = ("gallbladder", "kidney", "liver")
FINDINGS: tuple[Finding, ...] = ("", "stone", "cyst", "mass")


class Scan(Struct):
    """What a scan shows."""

    organ: Organ = "kidney"
    finding: Finding = ""


def draw_scan(rng: np.random.Generator) -> Scan:
    """Return a random scan; the liver has no stones and the gallbladder no cysts."""
    organ = ORGANS[rng.integers(3)]
    fitting = [f for f in FINDINGS if (organ, f) not in {("liver", "stone"), ("gallbladder", "cyst")}]
    return Scan(organ=organ, finding=fitting[rng.integers(len(fitting))])


def scan_picture(scan: Scan, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a sector scan, shape (size, size), the probe on top."""
    film = Canvas(size, shift=(rng.uniform(-0.03, 0.03), rng.uniform(-0.02, 0.02)), scale=rng.uniform(0.95, 1.05))
    film.pixels += np.float32(0.42) + np.float32(0.05) * film.cloud(rng, 6)
    wall = [[(0.1, 0.2 + dy), (0.35, 0.23 + dy), (0.65, 0.22 + dy), (0.9, 0.2 + dy)] for dy in (0.0, 0.035, 0.07)]
    film.add(film.strokes(wall, 0.012, 0.006), 0.22)
    middle = (0.5 + rng.uniform(-0.07, 0.07), 0.54 + rng.uniform(-0.04, 0.04))
    _organ(film, scan.organ, middle, rng)
    _finding(film, scan, middle, rng)
    speckle = _speckle(size, rng)
    fan = _fan(film)
    return expose(film.pixels * speckle * fan, rng, noise=0.008, low=0.0, high=rng.uniform(0.9, 1.15), gamma=rng.uniform(0.9, 1.2))


def _organ(film: Canvas, organ: Organ, middle: tuple[float, float], rng: np.random.Generator) -> None:
    x, y = middle
    turn = rng.uniform(-0.3, 0.3)
    if organ == "gallbladder":
        film.blend(film.oval(x, y, 0.2, 0.1, 0.006, turn=turn), 0.75)
        film.blend(film.oval(x, y, 0.185, 0.085, 0.006, turn=turn), 0.05)
        film.add(film.oval(x, y + 0.21, 0.14, 0.1, 0.03), 0.18)
    elif organ == "kidney":
        film.blend(film.oval(x, y, 0.26, 0.15, 0.006, turn=turn), 0.62)
        film.blend(film.oval(x, y, 0.248, 0.138, 0.008, turn=turn), 0.26)
        film.blend(film.oval(x, y, 0.13, 0.05, 0.02, turn=turn), 0.72)
    else:
        film.blend(film.oval(x, y, 0.34, 0.24, 0.02), 0.5)
        vessels = [[(x - 0.25, y - 0.05), (x, y - 0.02), (x + 0.15, y - 0.12)], [(x - 0.02, y), (x + 0.12, y + 0.12)]]
        film.blend(film.strokes(vessels, 0.022, 0.005), 0.1)


def _finding(film: Canvas, scan: Scan, middle: tuple[float, float], rng: np.random.Generator) -> None:
    x, y = middle[0] + rng.uniform(-0.06, 0.06), middle[1] + rng.uniform(-0.02, 0.03)
    if scan.finding == "stone":
        film.blend(film.shape([(x - 0.035, y), (x + 0.035, y), (x + 0.06, 1.05), (x - 0.06, 1.05)], 0.008), 0.04)
        film.blend(film.oval(x, y, 0.042, 0.022, 0.004), 1.25)
    elif scan.finding == "cyst":
        film.add(film.shape([(x - 0.06, y), (x + 0.06, y), (x + 0.09, 1.0), (x - 0.09, 1.0)], 0.02), 0.2)
        film.blend(film.oval(x, y, 0.075, 0.07, 0.004), 0.02)
    elif scan.finding == "mass":
        film.blend(film.oval(x, y, 0.085, 0.075, 0.012), 0.95 if scan.organ != "liver" else 0.16)


def _speckle(size: int, rng: np.random.Generator) -> Array:
    """Multiplicative grain of mean 1, wider than it is deep, as interference gives it."""
    fine = rng.standard_normal((size, max(8, size // 2)), dtype=np.float32)
    wide = np.asarray(Pil.fromarray(fine).resize((size, size), Pil.Resampling.BILINEAR), dtype=np.float32)
    grain: Array = np.clip(1 + np.float32(0.42) * wide, 0.1, 2.4)
    return grain


def _fan(film: Canvas) -> Array:
    """The sector that is scanned: what lies outside of it is black."""
    y, x = np.mgrid[0 : film.size, 0 : film.size].astype(np.float32) / np.float32(film.size)
    away = np.hypot(x - 0.5, y + 0.22)
    angle = np.arctan2(x - 0.5, y + 0.22)
    inside = (np.abs(angle) < 0.52) & (away > 0.33) & (away < 1.16)
    fan: Array = inside.astype(np.float32) * np.clip(np.float32(1.25) - np.float32(0.45) * away, 0, 2)
    return fan
