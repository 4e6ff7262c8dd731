"""Fluoroscopy of nobody swallowing barium, or with barium in the bowel."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.canvas import Canvas, Points, expose
from medbench.types import Struct

Part = Literal["esophagus", "colon"]
Finding = Literal["", "stricture", "diverticulum"]

PARTS: tuple[Part, ...] = ("esophagus", "colon")
FINDINGS: tuple[Finding, ...] = ("", "stricture", "diverticulum")


class Swallow(Struct):
    """What a fluoroscopic picture shows."""

    part: Part = "esophagus"
    finding: Finding = ""


def draw_swallow(rng: np.random.Generator) -> Swallow:
    """Return a random part with or without a finding."""
    return Swallow(part=PARTS[rng.integers(2)], finding=FINDINGS[rng.integers(3)])


def swallow_picture(shown: Swallow, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a fluoroscopic picture, shape (size, size): barium is white, the round image field leaves black corners."""
    film = Canvas(
        size, shift=(rng.uniform(-0.04, 0.04), rng.uniform(-0.04, 0.04)), scale=rng.uniform(0.92, 1.06), turn=rng.uniform(-0.12, 0.12)
    )
    film.pixels += np.float32(0.36) + np.float32(0.03) * film.cloud(rng, 5)
    film.add(film.strokes([[(0.5, -0.05), (0.49, 0.5), (0.5, 1.05)]], 0.16, 0.02), 0.1)
    film.add(film.ovals([(0.5, y, 0.075, 0.034) for y in np.linspace(0.05, 1.0, 9)], 0.008), 0.06)
    lines = _esophagus(rng) if shown.part == "esophagus" else _colon(rng)
    width = rng.uniform(0.06, 0.075) if shown.part == "esophagus" else rng.uniform(0.085, 0.1)
    barium = film.strokes(lines, width, 0.005)
    film.blend(barium, 0.95)
    if shown.part == "colon":
        _haustra(film, lines[0], width)
    _finding(film, shown.finding, lines[0], width, rng)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(size) - np.float32(0.5)
    film.pixels *= (np.hypot(x, y) < 0.56).astype(np.float32)
    return expose(film.pixels, rng, noise=rng.uniform(0.015, 0.03), low=0.0, high=rng.uniform(0.98, 1.1), gamma=rng.uniform(0.9, 1.15))


def _esophagus(rng: np.random.Generator) -> list[Points]:
    bend = rng.uniform(-0.03, 0.03)
    tube = [(0.47, -0.02), (0.46 + bend, 0.2), (0.47, 0.4), (0.48 - bend, 0.58), (0.53, 0.7), (0.6, 0.78)]
    return [tube, [(0.6, 0.78), (0.7, 0.8), (0.76, 0.9), (0.68, 1.0)]]


def _colon(rng: np.random.Generator) -> list[Points]:
    sag = rng.uniform(-0.04, 0.05)
    frame = [(0.24, 0.78), (0.2, 0.5), (0.24, 0.25), (0.38, 0.24 + sag), (0.52, 0.28 + sag), (0.66, 0.24 + sag), (0.78, 0.2)]
    return [[*frame, (0.82, 0.45), (0.78, 0.7), (0.64, 0.8), (0.54, 0.86), (0.52, 1.0)]]


def _haustra(film: Canvas, line: Points, width: float) -> None:
    """Notches across the colon, which make its bags."""
    notches = []
    for (x0, y0), (x1, y1) in pairwise(line):
        dx, dy = x1 - x0, y1 - y0
        reach = 0.62 * width / max(1e-6, float(np.hypot(dx, dy)))
        for part in (0.0, 0.5):
            x, y = x0 + part * dx, y0 + part * dy
            notches += [
                [(x - dy * reach, y + dx * reach), (x - 0.5 * dy * reach, y + 0.5 * dx * reach)],
                [(x + dy * reach, y - dx * reach), (x + 0.5 * dy * reach, y - 0.5 * dx * reach)],
            ]
    film.blend(film.strokes(notches, 0.014, 0.003), 0.42)


def _finding(film: Canvas, finding: Finding, line: Points, width: float, rng: np.random.Generator) -> None:
    at = int(rng.integers(2, len(line) - 2))
    (x, y), (nx, ny) = line[at], line[at + 1]
    if finding == "stricture":
        film.blend(film.oval(x, y, width * 0.95, width * 0.95, 0.012), 0.4)
        film.blend(film.strokes([[line[at - 1], (x, y), (nx, ny)]], width * 0.22, 0.003) * film.oval(x, y, 0.12, 0.12, 0.01), 0.95)
    elif finding == "diverticulum":
        long = max(1e-6, float(np.hypot(nx - x, ny - y)))
        away = width * 1.05
        px, py = x + (ny - y) / long * away, y - (nx - x) / long * away
        film.blend(film.oval(px, py, 0.052, 0.052, 0.004), 0.98)
