"""Endoscopic pictures of nobody: a colon or a stomach in colour, with or without polyps, instruments and landmarks."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from PIL import ImageDraw

from medbench.builtin.twins.canvas import Array, Canvas
from medbench.builtin.twins.paint import Colour, Painting
from medbench.types import Struct

Procedure = Literal["colonoscopy", "gastroscopy"]
Shape = Literal["sessile", "pedunculated", "flat"]
Size = Literal["<5mm", "5-10mm", "11-20mm", ">20mm"]
Instrument = Literal["", "biopsy forceps", "polyp snare"]
Landmark = Literal["", "cecum", "z-line", "pylorus"]

SHAPES: tuple[Shape, ...] = ("sessile", "pedunculated", "flat")
SIZES: dict[Size, float] = {"<5mm": 0.055, "5-10mm": 0.085, "11-20mm": 0.12, ">20mm": 0.165}
"""Size of a polyp -> radius in parts of the picture's side."""

INSTRUMENTS: tuple[Instrument, ...] = ("biopsy forceps", "polyp snare")
PLACES = {
    "upper-left": (0.33, 0.33), "upper-right": (0.67, 0.33), "lower-left": (0.34, 0.66), "lower-right": (0.66, 0.66), "center": (0.5, 0.5),
}  # fmt: skip
"""Where something may lie -> its middle."""


class Polyp(Struct):
    """A polyp as it is seen."""

    place: str
    shape: Shape
    size: Size


class Scene(Struct):
    """What an endoscopic picture shows."""

    procedure: Procedure = "colonoscopy"
    polyps: tuple[Polyp, ...] = ()
    inflamed: bool = False
    """Red patches with yellow spots: colitis, or esophagitis in a gastroscopy."""
    instrument: Instrument = ""
    landmark: Landmark = ""
    box: Literal["", "green", "black"] = ""
    """The rectangle in the lower left corner, where the position of the scope is drawn."""
    text: str = ""


class Seen(Struct):
    """A picture and where in it the polyps and the instrument are."""

    pixels: NDArray[np.uint8]
    """Shape (size, size, 3)."""
    polyps: NDArray[np.uint8]
    """Mask of shape (size, size), 0 or 255."""
    instrument: NDArray[np.uint8]


def draw_scene(rng: np.random.Generator) -> Scene:
    """Return random contents: polyps and an inflamed wall in the colon, landmarks in both; findings exclude landmarks."""
    procedure: Procedure = "gastroscopy" if rng.random() < 0.22 else "colonoscopy"
    places = [list(PLACES)[at] for at in rng.permutation(len(PLACES)).tolist()]
    kind = rng.random()
    polyps: tuple[Polyp, ...] = ()
    if procedure == "colonoscopy" and kind < 0.55:
        count = int(rng.choice([1, 2, 3], p=[0.72, 0.2, 0.08]))
        sizes = list(SIZES)[: 4 if count == 1 else 2]
        polyps = tuple(Polyp(place=place, shape=SHAPES[rng.integers(3)], size=sizes[rng.integers(len(sizes))]) for place in places[:count])
    landmarks: tuple[Landmark, ...] = ("z-line", "pylorus") if procedure == "gastroscopy" else ("cecum",)
    landmark = landmarks[rng.integers(len(landmarks))] if kind > 0.8 else ""
    boxes: tuple[Literal["", "green", "black"], ...] = ("", "", "green", "black")
    return Scene(
        procedure=procedure,
        polyps=polyps,
        inflamed=0.55 <= kind < 0.68,
        instrument=INSTRUMENTS[rng.integers(2)] if rng.random() < 0.25 else "",
        landmark=landmark,
        box=boxes[rng.integers(4)],
        text=f"{rng.integers(8, 18)}:{rng.integers(10, 60)}:{rng.integers(10, 60)}" if rng.random() < 0.35 else "",
    )


def scene_picture(scene: Scene, size: int, rng: np.random.Generator) -> Seen:
    """Return the picture and its masks; `rng` gives tint, light, folds and grain."""
    rng, shapes = rng.spawn(2)
    view = _View(size, rng)
    view.wall(scene, rng)
    if scene.inflamed:
        view.inflame(shapes)
    if scene.landmark:
        view.landmark(scene.landmark)
    polyps = np.zeros((size, size), dtype=np.float32)
    for polyp in scene.polyps:
        polyps = np.maximum(polyps, view.polyp(polyp, shapes))
    tool = view.instrument(scene.instrument, shapes) if scene.instrument else np.zeros((size, size), dtype=np.float32)
    view.glints(rng)
    return Seen(pixels=view.picture(scene, rng), polyps=_mask(polyps), instrument=_mask(tool))


def _mask(soft: Array) -> NDArray[np.uint8]:
    return ((soft > 0.5) * 255).astype(np.uint8)


class _View(Painting):
    """What an endoscope sees, painted from the far wall to the near instrument."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        turned = Canvas(size, shift=(rng.uniform(-0.02, 0.02), rng.uniform(-0.02, 0.02)), turn=rng.uniform(-0.2, 0.2))
        super().__init__(turned, (0.0, 0.0, 0.0))

    def wall(self, scene: Scene, rng: np.random.Generator) -> None:
        """Paint mucosa with vessels, the lumen in the distance and the folds around it."""
        tint: Colour = (0.86, 0.5, 0.42) if scene.procedure == "colonoscopy" else (0.88, 0.45, 0.36)
        film = self.film
        self.planes += np.array(tint, dtype=np.float32)[:, None, None] * np.float32(rng.uniform(0.9, 1.06))
        self.mottle(rng, 6, 0.05)
        self.mottle(rng, 24, 0.025)
        self._vessels(rng)
        x, y = 0.5 + rng.uniform(-0.09, 0.09), 0.5 + rng.uniform(-0.09, 0.09)
        corners = 3 if scene.procedure == "colonoscopy" else 5
        phase = rng.uniform(0, 2 * np.pi)
        for radius in (0.5, 0.37, 0.26, 0.17):
            ring = _ring(x, y, radius * rng.uniform(0.94, 1.06), corners, phase + rng.uniform(-0.25, 0.25))
            self.shade(film.shape(ring, 0.02), 0.8)
            self.blend(film.strokes([[*ring, ring[0]]], 0.022, 0.008), (0.98, 0.72, 0.62), 0.45)
        self.shade(film.shape(_ring(x, y, 0.1, corners, phase), 0.03), 0.22)

    def _vessels(self, rng: np.random.Generator) -> None:
        lines = []
        for _ in range(7):
            px, py, angle = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9), rng.uniform(0, 2 * np.pi)
            steps = np.cumsum(rng.uniform(-0.5, 0.5, 4)) + angle
            points = np.array([px, py]) + np.cumsum(np.stack([np.cos(steps), np.sin(steps)], axis=1) * 0.07, axis=0)
            lines.append([(float(a), float(b)) for a, b in points])
        self.blend(self.film.strokes(lines, 0.007, 0.002), (0.6, 0.16, 0.16), 0.45)

    def inflame(self, rng: np.random.Generator) -> None:
        """Paint red patches and yellow-white spots."""
        red = np.clip(self.film.cloud(rng, 5) - 0.1, 0, 1)
        self.blend(red, (0.78, 0.14, 0.13), 0.85)
        spots = [(*rng.uniform(0.18, 0.82, 2).tolist(), *rng.uniform(0.014, 0.03, 2).tolist()) for _ in range(14)]
        self.blend(self.film.ovals(spots, 0.005), (0.96, 0.9, 0.68), 0.95)

    def landmark(self, landmark: Landmark) -> None:
        """Paint the blind end of the colon, the line between gullet and stomach, or the gate of the stomach."""
        film = self.film
        if landmark == "cecum":
            self.blend(film.oval(0.5, 0.5, 0.33, 0.3, 0.03), (0.85, 0.52, 0.44), 0.95)
            for turn in (0.4, 2.5, 4.6):
                end = (0.5 + 0.3 * np.cos(turn), 0.5 + 0.3 * np.sin(turn))
                self.blend(
                    film.strokes([[(0.5, 0.5), ((0.5 + end[0]) / 2 + 0.03, (0.5 + end[1]) / 2), end]], 0.035, 0.01), (0.97, 0.74, 0.64), 0.7
                )
            self.shade(film.strokes([[(0.46, 0.53), (0.5, 0.565), (0.555, 0.53)]], 0.026, 0.004), 0.2)
        elif landmark == "z-line":
            edge = [
                (0.5 + r * np.cos(a), 0.5 + r * np.sin(a))
                for a, r in zip(np.linspace(0, 2 * np.pi, 14, endpoint=False), [0.25, 0.33] * 7, strict=True)
            ]
            outside = 1 - film.shape(edge, 0.006)
            self.blend(outside, (0.95, 0.76, 0.7), 0.9)
        else:
            self.blend(film.oval(0.5, 0.5, 0.2, 0.19, 0.02), (0.97, 0.66, 0.55), 0.9)
            self.blend(film.oval(0.5, 0.5, 0.075, 0.07, 0.008), (0.12, 0.03, 0.03))

    def polyp(self, polyp: Polyp, rng: np.random.Generator) -> Array:
        """Paint a polyp and return its mask."""
        (x, y), radius = PLACES[polyp.place], SIZES[polyp.size] * rng.uniform(0.92, 1.08)
        x, y = x + rng.uniform(-0.03, 0.03), y + rng.uniform(-0.03, 0.03)
        high = radius * (0.62 if polyp.shape == "flat" else rng.uniform(0.88, 1.0))
        film = self.film
        if polyp.shape == "pedunculated":
            stalk = film.strokes(
                [[(x, y), (x + 0.4 * radius, y + 1.2 * radius), (x + 0.3 * radius, y + 2.1 * radius)]], radius * 0.7, 0.005
            )
            self.shade(stalk, 0.75)
            self.blend(stalk, (0.9, 0.56, 0.48), 0.8)
        self.shade(film.oval(x + 0.25 * radius, y + 0.35 * radius, radius * 1.15, high * 1.15, 0.02), 0.5)
        lump = film.oval(x, y, radius, high, 0.006)
        if polyp.shape == "flat":
            self.blend(lump, (0.93, 0.66, 0.6), 0.9)
            self.blend(film.oval(x, y, radius * 0.6, high * 0.6, 0.015), (0.8, 0.4, 0.36), 0.6)
            return lump
        self.blend(lump, (0.76, 0.24, 0.24), 0.95)
        self.blend(film.oval(x - 0.2 * radius, y - 0.22 * high, radius * 0.6, high * 0.6, 0.03), (0.98, 0.5, 0.45), 0.8)
        self.blend(film.oval(x - 0.35 * radius, y - 0.4 * high, radius * 0.14, high * 0.1, 0.004), (1.0, 0.98, 0.95))
        return lump

    def instrument(self, instrument: Instrument, rng: np.random.Generator) -> Array:
        """Paint forceps or a snare that come in from the edge, and return their mask."""
        film = self.film
        x, y = 0.62 + rng.uniform(-0.06, 0.06), 0.64 + rng.uniform(-0.06, 0.06)
        shaft = film.strokes([[(1.0, 0.98), ((1.0 + x) / 2 + 0.02, (0.98 + y) / 2), (x, y)]], 0.06, 0.003)
        self.blend(shaft, (0.62, 0.66, 0.7))
        self.blend(
            film.strokes([[(0.985, 0.965), ((1.0 + x) / 2, (0.95 + y) / 2), (x - 0.01, y - 0.01)]], 0.016, 0.004), (0.93, 0.95, 0.98)
        )
        if instrument == "biopsy forceps":
            jaws = film.strokes(
                [[(x, y), (x - 0.1, y - 0.03), (x - 0.15, y - 0.1)], [(x, y), (x - 0.03, y - 0.1), (x - 0.1, y - 0.15)]], 0.034, 0.003
            )
            self.blend(jaws, (0.78, 0.8, 0.83))
            return np.maximum(shaft, jaws)
        loop = _ring(x - 0.11, y - 0.11, 0.11, 2, 0.8)
        wire = film.strokes([[*loop, loop[0]], [(x, y), loop[3]]], 0.016, 0.002)
        self.blend(wire, (0.9, 0.88, 0.72))
        return np.maximum(shaft, wire)

    def glints(self, rng: np.random.Generator) -> None:
        """Paint where the lamp is mirrored by wet mucosa."""
        spots = [(*rng.uniform(0.15, 0.85, 2).tolist(), *rng.uniform(0.004, 0.014, 2).tolist()) for _ in range(int(rng.integers(5, 14)))]
        self.blend(self.film.ovals(spots, 0.002), (1.0, 0.98, 0.96), 0.9)

    def picture(self, scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return 8-bit colour: lamp light, grain, cut corners, the box and the clock."""
        size = self.film.size
        y, x = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(size) - np.float32(0.5)
        inside = (np.abs(x) + np.abs(y) < 0.82) & (np.abs(x) < 0.485) & (np.abs(y) < 0.485)
        light = (np.float32(1.08) - np.float32(0.75) * (x * x + y * y)) * inside
        gain, gamma, noise = rng.uniform(0.92, 1.1), rng.uniform(0.85, 1.1), rng.uniform(0.008, 0.02)
        pixels = self.finish(rng, noise=noise, gain=gain, gamma=gamma, light=light)
        return _overlaid(pixels, scene) if scene.box or scene.text else pixels


def _ring(x: float, y: float, radius: float, corners: int, phase: float) -> list[tuple[float, float]]:
    """Points of a round shape with soft corners."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    reach = radius * (1 + 0.13 * np.cos(corners * angles + phase))
    return [(x + float(r * np.cos(a)), y + float(r * np.sin(a))) for a, r in zip(angles, reach, strict=True)]


def _overlaid(pixels: NDArray[np.uint8], scene: Scene) -> NDArray[np.uint8]:
    page, side = Pil.fromarray(pixels), pixels.shape[0]
    pen = ImageDraw.Draw(page)
    if scene.box:
        fill = (20, 120, 50) if scene.box == "green" else (8, 8, 10)
        low, high = 0.02 * side, 0.3 * side
        pen.rectangle((low, side - high, high, side - low), fill=fill, outline=(60, 190, 100) if scene.box == "green" else (70, 70, 70))
        pen.arc((0.07 * side, 0.75 * side, 0.25 * side, 0.95 * side), 40, 320, fill=(230, 230, 120), width=max(1, side // 80))
    if scene.text:
        pen.text((0.03 * side, 0.02 * side), scene.text, fill=(235, 235, 235))
    return np.asarray(page)
