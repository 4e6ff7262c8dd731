"""Chest radiographs of nobody: frontal and lateral films drawn from a handful of findings."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.canvas import Array, Canvas, Points, expose, oval_points
from medbench.types import Struct

Side = Literal["right", "left"]
Zone = Literal["upper", "mid", "lower"]
Device = Literal["", "pacemaker", "central line", "endotracheal tube"]

ENLARGED = 0.5
"""Cardiothoracic ratio above which a heart counts as enlarged; no phantom has one within 0.03 of it."""


class Spot(Struct):
    """Where in the lungs something lies; sides are the patient's, so `right` is on the left of the film."""

    side: Side
    zone: Zone


SIDES: tuple[Side, ...] = ("right", "left")
ZONES: tuple[Zone, ...] = ("upper", "mid", "lower")
DEVICES: tuple[Device, ...] = ("", "pacemaker", "central line", "endotracheal tube")
SPOTS = tuple(Spot(side=side, zone=zone) for side in SIDES for zone in ZONES)


class Chest(Struct):
    """What a film shows."""

    ratio: float = 0.44
    """Width of the heart over width of the chest."""
    effusions: dict[Side, float] = msgspec.field(default_factory=dict)
    """Side -> how much of the lung's height is fluid, 0.1 (blunted angle) to 0.6."""
    opacity: Spot | None = None
    nodule: Spot | None = None
    pneumothorax: Side | None = None
    device: Device = ""
    flat: bool = False
    """Hyperinflated: long lungs over flat diaphragms."""
    haze: bool = False
    """Patchy opacities all over both lungs."""

    @property
    def normal(self) -> bool:
        """Whether there is nothing to report."""
        return self == Chest(ratio=self.ratio) and self.ratio < ENLARGED


def draw_chest(rng: np.random.Generator, *, normal: float = 0.25) -> Chest:
    """Return random findings, independent of each other; with probability `normal` there are none."""
    if rng.random() < normal:
        return Chest(ratio=_round(rng.uniform(0.39, 0.47)))
    ratio = _round(rng.uniform(0.53, 0.64) if rng.random() < 0.4 else rng.uniform(0.39, 0.47))
    pneumothorax = SIDES[rng.integers(2)] if rng.random() < 0.22 else None
    effusions = {side: _round(rng.choice([0.15, 0.3, 0.5])) for side in SIDES if rng.random() < 0.22}
    free = [spot for spot in SPOTS if spot.side != pneumothorax and not _hidden(spot, ratio, effusions)]
    taken = [free[index] for index in rng.permutation(len(free))[:2].tolist()] + [None, None]
    return Chest(
        ratio=ratio,
        effusions=effusions,
        opacity=taken[0] if rng.random() < 0.38 else None,
        nodule=taken[1] if rng.random() < 0.35 else None,
        pneumothorax=pneumothorax,
        device=DEVICES[rng.integers(4) if rng.random() < 0.6 else 0],
        flat=bool(rng.random() < 0.15),
    )


def _hidden(spot: Spot, ratio: float, effusions: dict[Side, float]) -> bool:
    """Whether fluid or a large heart would lie over a spot."""
    fluid = effusions.get(spot.side, 0.0)
    if spot.zone == "lower":
        return fluid > 0 or (spot.side == "left" and ratio > ENLARGED)
    return spot.zone == "mid" and fluid >= 0.5


def chest_film(chest: Chest, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a frontal film, shape (size, size); `rng` gives position, build, exposure and grain.

    What varies in the findings themselves comes from a stream of its own: with one seed, films differ by findings alone.
    """
    rng, shapes = rng.spawn(2)
    film = Canvas(
        size, shift=(rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03)), scale=rng.uniform(0.9, 1.04), turn=rng.uniform(-0.05, 0.05)
    )
    base = 0.80 if chest.flat else rng.uniform(0.69, 0.74)
    lungs = {
        "right": film.shape(_lung("right", base, chest.flat), 0.007),
        "left": film.shape(_lung("left", base + 0.025, chest.flat), 0.007),
    }
    both = np.maximum(lungs["right"], lungs["left"])
    _torso(film, rng, base)
    film.blend(both, 0.17)
    _vessels(film, rng, both)
    _findings_in_lungs(film, chest, shapes, lungs, base)
    _heart(film, chest.ratio, base)
    _spine(film)
    _bones(film, rng)
    _fluid(film, chest, lungs, base)
    _device(film, chest.device)
    film.add(film.cloud(rng, 7), 0.012)
    return expose(film.pixels, rng, noise=rng.uniform(0.008, 0.02), low=0.02, high=rng.uniform(0.98, 1.12), gamma=rng.uniform(0.8, 1.1))


# --- frontal ----------------------------------------------------------------------------------------------------------


def _mirror(side: Side, points: Points) -> Points:
    """Points are written for the film's left half (the patient's right)."""
    return points if side == "right" else [(1 - x, y) for x, y in points]


def _lung(side: Side, base: float, flat: bool) -> Points:
    dome = 0.02 if flat else 0.065
    inner = 0.425 if side == "right" else 0.40
    outline = [
        (0.345, 0.105), (0.42, 0.16), (0.44, 0.27), (0.435, 0.40), (inner, 0.54), (inner - 0.01, base - 0.03),
        (0.34, base - dome + 0.005), (0.25, base - dome + 0.035), (0.15, base + 0.07), (0.115, base - 0.04),
        (0.125, 0.52), (0.155, 0.35), (0.21, 0.21), (0.27, 0.13),
    ]  # fmt: skip
    return _mirror(side, outline)


def _torso(film: Canvas, rng: np.random.Generator, base: float) -> None:
    wide = rng.uniform(-0.015, 0.02)
    half = [
        (0.42, 0.0), (0.40, 0.055), (0.30, 0.085), (0.13, 0.125), (0.03 - wide, 0.2), (0.0 - wide, 0.33), (0.06 - wide, 0.4),
        (0.065 - wide, 0.6), (0.055 - wide, 0.8), (0.06 - wide, 1.08),
    ]  # fmt: skip
    outline = [*half, *((1 - x, y) for x, y in reversed(half))]
    body = film.shape(outline, 0.006)
    film.add(body, 0.5)
    down = np.clip((np.linspace(0, 1, film.size, dtype=np.float32) - np.float32(base)) / np.float32(0.25), 0, 1)
    film.pixels += body * down[:, None] * np.float32(0.2)
    film.add(film.oval(0.5, 0.5, 0.13, 0.6, 0.05) * body, 0.14)
    film.blend(film.oval(0.66, base + 0.075, 0.045, 0.03, 0.01), 0.42)


def _vessels(film: Canvas, rng: np.random.Generator, lungs: Array) -> None:
    lines: list[Points] = []
    twigs: list[Points] = []
    for side, hilum in (("right", 0.405), ("left", 0.595)):
        away = -1 if side == "right" else 1
        for angle in np.linspace(-1.25, 1.2, 9) + rng.uniform(-0.09, 0.09, 9):
            reach = rng.uniform(0.15, 0.25)
            end = (hilum + away * reach * np.cos(angle) * 0.85, 0.45 + reach * np.sin(angle) * (1.2 if angle > 0 else 1.35))
            bend = (hilum + away * reach * 0.45 * np.cos(angle), 0.45 + reach * 0.5 * np.sin(angle) + 0.01)
            lines.append([(hilum, 0.45), bend, end])
            twigs += [[bend, (end[0] + away * 0.02, end[1] - 0.05)], [bend, (end[0], end[1] + 0.05)]]
    film.add(film.strokes(lines, 0.011, 0.006) * lungs, 0.11)
    film.add(film.strokes(twigs, 0.006, 0.004) * lungs, 0.07)
    hila = film.ovals([(0.395, 0.44, 0.03, 0.055), (0.61, 0.425, 0.028, 0.05)], 0.018)
    film.add(hila * lungs, 0.22)


def _heart(film: Canvas, ratio: float, base: float) -> None:
    wide = 0.77 * ratio
    right, left = 0.5 - 0.33 * wide, 0.5 + 0.67 * wide
    outline = [
        (0.46, 0.40), (right + 0.015, 0.47), (right - 0.005, 0.56), (right + 0.02, base - 0.035), (0.5, base + 0.03),
        (left - 0.05, base + 0.025), (left, base - 0.05), (left - 0.025, base - 0.14), (0.585 + 0.2 * (ratio - 0.4), 0.46), (0.555, 0.39),
    ]  # fmt: skip
    film.blend(film.shape(outline, 0.008), 0.68)
    film.blend(film.shape([(0.455, 0.07), (0.445, 0.3), (0.45, 0.46), (0.56, 0.46), (0.56, 0.3), (0.545, 0.07)], 0.012), 0.62)
    film.blend(film.oval(0.565, 0.305, 0.033, 0.036, 0.006), 0.66)
    film.add(film.strokes([[(0.5, 0.0), (0.497, 0.2), (0.493, 0.33)]], 0.034, 0.007), -0.2)
    film.add(film.strokes([[(0.493, 0.325), (0.44, 0.4)], [(0.493, 0.325), (0.56, 0.395)]], 0.02, 0.007), -0.1)


def _spine(film: Canvas) -> None:
    steps = np.linspace(0.06, 1.0, 19)
    film.add(film.strokes([[(0.5, 0.0), (0.5, 1.05)]], 0.075, 0.012), 0.07)
    film.add(film.ovals([(0.5, y, 0.036, 0.017) for y in steps], 0.006), 0.055)


def _bones(film: Canvas, rng: np.random.Generator) -> None:
    phase = rng.uniform(-0.012, 0.012)
    behind: list[Points] = []
    front: list[Points] = []
    for k in range(9):
        y = 0.135 + 0.069 * k + phase
        out = 0.115 + 0.17 * np.exp(-0.65 * k)
        for side in ("right", "left"):
            behind.append(
                _mirror(side, [(0.46, y), (0.36, y - 0.028), (0.24 + out * 0.2, y - 0.002), (out + 0.02, y + 0.06), (out, y + 0.1)])
            )
            if 0 < k < 7:
                front.append(_mirror(side, [(out, y + 0.1), (out + 0.06, y + 0.15), (0.33, y + 0.185)]))
    film.add(film.strokes(behind, 0.02, 0.004) - 0.55 * film.strokes(behind, 0.01, 0.004), 0.105)
    film.add(film.strokes(front, 0.018, 0.005), 0.04)
    tilt = rng.uniform(-0.015, 0.015)
    clavicles = [_mirror("right", _clavicle(tilt)), _mirror("left", _clavicle(-tilt))]
    film.add(film.strokes(clavicles, 0.03, 0.004), 0.15)


def _clavicle(tilt: float) -> Points:
    return [(0.465, 0.195), (0.37, 0.17 + tilt), (0.26, 0.145 + tilt), (0.13, 0.13 + 2 * tilt)]


def _middle(spot: Spot, base: float) -> tuple[float, float]:
    x = {"upper": 0.31, "mid": 0.265, "lower": 0.25}[spot.zone]
    y = {"upper": 0.235, "mid": 0.42, "lower": base - 0.13}[spot.zone]
    return (x if spot.side == "right" else 1 - x, y)


def _findings_in_lungs(film: Canvas, chest: Chest, rng: np.random.Generator, lungs: dict[str, Array], base: float) -> None:
    if chest.haze:
        both = np.maximum(lungs["right"], lungs["left"])
        film.add(both * np.clip(0.75 + 0.5 * film.cloud(rng, 11), 0, 2), 0.13)
    if chest.opacity:
        x, y = _middle(chest.opacity, base)
        ring = oval_points(x, y, 0.1, 0.085, count=9) + rng.uniform(-0.018, 0.018, (9, 2))
        patch = film.shape([(px, py) for px, py in ring.tolist()], 0.022)
        film.add(patch * lungs[chest.opacity.side] * (1 + 0.18 * film.cloud(rng, 16)), 0.36)
    if chest.nodule:
        x, y = _middle(chest.nodule, base)
        x, y = x + rng.uniform(-0.035, 0.035), y + rng.uniform(-0.03, 0.03)
        radius = rng.uniform(0.036, 0.046)
        film.add(film.oval(x, y, radius, radius * rng.uniform(0.9, 1.1), 0.005), 0.36)
    if chest.pneumothorax:
        _collapse(film, chest.pneumothorax, lungs[chest.pneumothorax], base)


def _collapse(film: Canvas, side: Side, lung: Array, base: float) -> None:
    """The lung falls back to a visible edge; outside of it there is air without vessels."""
    edge = [(0.43, 0.21), (0.345, 0.225), (0.265, 0.31), (0.225, 0.45), (0.215, base - 0.08), (0.235, base + 0.03)]
    inside = [*edge, (0.45, base + 0.03), (0.45, 0.3)]
    rest = film.shape(_mirror(side, inside), 0.005)
    film.blend(lung * (1 - rest), 0.04)
    film.add(lung * rest, 0.07)
    film.add(film.strokes([_mirror(side, edge)], 0.008, 0.003) * lung, 0.22)


def _fluid(film: Canvas, chest: Chest, lungs: dict[str, Array], base: float) -> None:
    for side, amount in sorted(chest.effusions.items()):
        level = base - 0.55 * amount
        meniscus = [(0.02, level - 0.11), (0.13, level - 0.07), (0.19, level - 0.005), (0.28, level + 0.03), (0.4, level + 0.03)]
        pool = film.shape(
            _mirror(side, [*meniscus, (0.5, level + 0.01), (0.52, base + 0.1), (0.3, base + 0.14), (0.02, base + 0.12)]), 0.009
        )
        film.blend(pool * np.clip(lungs[side] * 5, 0, 1), 0.67)


def _device(film: Canvas, device: Device) -> None:
    if device == "pacemaker":
        film.add(
            film.strokes([[(0.77, 0.25), (0.7, 0.19), (0.6, 0.2), (0.475, 0.25), (0.46, 0.45), (0.5, 0.6), (0.58, 0.66)]], 0.008, 0.002),
            0.45,
        )
        film.blend(film.shape([(0.74, 0.21), (0.82, 0.2), (0.845, 0.26), (0.81, 0.31), (0.74, 0.29)], 0.003), 1.15)
    elif device == "central line":
        film.add(film.strokes([[(0.395, 0.0), (0.405, 0.1), (0.45, 0.22), (0.462, 0.4), (0.46, 0.47)]], 0.016, 0.002), 0.42)
    elif device == "endotracheal tube":
        film.add(film.strokes([[(0.487, 0.0), (0.487, 0.25)], [(0.51, 0.0), (0.51, 0.24)]], 0.008, 0.002), 0.5)


def _round(value: float) -> float:
    return round(float(value), 3)
