"""Axial slices through the heads of nobody: CT, and MR in two weightings."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.canvas import Canvas, Points, expose
from medbench.builtin.twins.chest import Side
from medbench.types import Struct

Modality = Literal["CT", "T1", "T2"]
Lesion = Literal["", "hemorrhage", "infarct", "mass", "subdural"]
Lobe = Literal["frontal", "parietal", "occipital"]

_TISSUE: dict[Modality, dict[str, float]] = {
    "CT": {"scalp": 0.36, "skull": 1.0, "cortex": 0.50, "white": 0.44, "fluid": 0.14},
    "T1": {"scalp": 0.85, "skull": 0.10, "cortex": 0.42, "white": 0.60, "fluid": 0.10},
    "T2": {"scalp": 0.75, "skull": 0.08, "cortex": 0.50, "white": 0.34, "fluid": 0.97},
}
"""Grey of each tissue, 0 black to 1 white."""

_LESION: dict[Modality, dict[str, float]] = {
    "CT": {"hemorrhage": 0.86, "infarct": 0.24, "mass": 0.70, "subdural": 0.80},
    "T1": {"hemorrhage": 0.90, "infarct": 0.22, "mass": 0.85, "subdural": 0.80},
    "T2": {"hemorrhage": 0.10, "infarct": 0.85, "mass": 0.78, "subdural": 0.88},
}


class Head(Struct):
    """What a slice shows."""

    modality: Modality = "CT"
    lesion: Lesion = ""
    side: Side = "right"
    """The patient's side of the lesion; `right` is on the left of the slice."""
    lobe: Lobe = "parietal"
    wide: bool = False
    """Enlarged ventricles."""


def draw_head(rng: np.random.Generator) -> Head:
    """Return random findings; a third of the slices has no lesion."""
    modalities: tuple[Modality, ...] = ("CT", "CT", "T1", "T2")
    lesions: tuple[Lesion, ...] = ("", "", "hemorrhage", "infarct", "mass", "subdural")
    sides: tuple[Side, Side] = ("right", "left")
    lobes: tuple[Lobe, Lobe, Lobe] = ("frontal", "parietal", "occipital")
    return Head(
        modality=modalities[rng.integers(4)],
        lesion=lesions[rng.integers(6)],
        side=sides[rng.integers(2)],
        lobe=lobes[rng.integers(3)],
        wide=bool(rng.random() < 0.4),
    )


def head_slice(head: Head, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return an axial slice at the level of the lateral ventricles, shape (size, size), the face on top."""
    rng, shapes = rng.spawn(2)
    film = Canvas(
        size, shift=(rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03)), scale=rng.uniform(0.9, 1.05), turn=rng.uniform(-0.1, 0.1)
    )
    tissue = _TISSUE[head.modality]
    film.blend(film.shape(_outline(0.375, 0.455), 0.004), tissue["scalp"])
    film.blend(film.shape(_outline(0.35, 0.43), 0.003), tissue["skull"])
    inner = film.shape(_outline(0.315, 0.395), 0.004)
    film.blend(inner, tissue["fluid"] if head.modality != "CT" else 0.3)
    brain = film.shape(_outline(0.305, 0.385), 0.005)
    film.blend(brain, tissue["cortex"])
    film.blend(film.shape(_wavy(rng), 0.012), tissue["white"])
    _sulci(film, rng, tissue["fluid"])
    _deep(film, head, tissue)
    _lesion(film, head, shapes)
    film.add(film.cloud(rng, 24) * brain, 0.014)
    return expose(film.pixels, rng, noise=rng.uniform(0.01, 0.028), low=0.0, high=rng.uniform(0.95, 1.08), gamma=rng.uniform(0.85, 1.15))


def _outline(wide: float, long: float) -> Points:
    """A head from above: narrower at the forehead (top) than behind."""
    half = [(0.0, -1.0), (0.45, -0.93), (0.78, -0.66), (0.94, -0.25), (1.0, 0.15), (0.9, 0.58), (0.62, 0.88), (0.25, 1.0)]
    right = [(0.5 + wide * x, 0.5 + long * y) for x, y in half]
    return [*right, *((1 - x, y) for x, y in reversed(right[1:]))]


def _wavy(rng: np.random.Generator) -> Points:
    """The border between cortex and white matter."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = 1 + 0.07 * np.sin(9 * angle + rng.uniform(0, 6)) + 0.05 * np.sin(14 * angle + rng.uniform(0, 6))
    return [(0.5 + 0.25 * r * np.sin(a), 0.505 - 0.325 * r * np.cos(a)) for r, a in zip(radius.tolist(), angle.tolist(), strict=True)]


def _sulci(film: Canvas, rng: np.random.Generator, fluid: float) -> None:
    lines: list[Points] = [[(0.5, 0.12), (0.5, 0.27)], [(0.5, 0.72), (0.5, 0.885)]]
    for angle in np.linspace(0.15, 2 * np.pi - 0.15, 30) + rng.uniform(-0.06, 0.06, 30):
        deep = rng.uniform(0.8, 0.92)
        edge = (0.5 + 0.305 * np.sin(angle), 0.5 - 0.385 * np.cos(angle))
        turned = angle + rng.uniform(-0.06, 0.06)
        lines.append([edge, (0.5 + 0.305 * deep * np.sin(turned), 0.5 - 0.385 * deep * np.cos(turned))])
    film.blend(film.strokes(lines, 0.008, 0.004) * np.float32(0.7), fluid)


def _deep(film: Canvas, head: Head, tissue: dict[str, float]) -> None:
    grow = 1.75 if head.wide else 1.0
    shift = _push(head)
    nuclei = [
        (0.41 + shift, 0.47, 0.035, 0.06),
        (0.59 + shift, 0.47, 0.035, 0.06),
        (0.43 + shift, 0.55, 0.035, 0.045),
        (0.57 + shift, 0.55, 0.035, 0.045),
    ]
    film.blend(film.ovals(nuclei, 0.008) * np.float32(0.8), tissue["cortex"])
    for sign in (-1, 1):
        horn = [
            (0.012, 0.43),
            (0.02, 0.36),
            (0.055 * grow, 0.325),
            (0.075 * grow, 0.36),
            (0.045 * grow, 0.43),
            (0.035, 0.47),
            (0.014, 0.47),
        ]
        back = [(0.045, 0.60), (0.07 * grow, 0.6), (0.085 * grow, 0.66), (0.085 * grow, 0.72), (0.065, 0.71), (0.05, 0.66)]
        for part in (horn, back):
            film.blend(film.shape([(0.5 + shift + sign * x, y) for x, y in part], 0.005), tissue["fluid"])
    film.blend(film.strokes([[(0.5 + shift, 0.48), (0.5 + shift, 0.57)]], 0.010 * grow, 0.004), tissue["fluid"])
    if head.modality == "CT":
        film.blend(
            film.ovals([(0.435 + shift, 0.635, 0.012, 0.01), (0.565 + shift, 0.635, 0.012, 0.01), (0.5 + shift, 0.6, 0.01, 0.009)], 0.003),
            1.0,
        )


def _push(head: Head) -> float:
    """A large lesion pushes the midline to the other side."""
    if head.lesion not in ("mass", "subdural"):
        return 0.0
    return 0.018 if head.side == "right" else -0.018


def _lesion(film: Canvas, head: Head, rng: np.random.Generator) -> None:
    if not head.lesion:
        return
    grey = _LESION[head.modality][head.lesion]
    away = -1 if head.side == "right" else 1
    if head.lesion == "subdural":
        crescent = [(0.1, -0.375), (0.24, -0.27), (0.3, -0.05), (0.31, 0.12), (0.26, 0.26), (0.225, 0.16), (0.235, 0.02), (0.215, -0.18)]
        film.blend(film.shape([(0.5 + away * x, 0.5 + y) for x, y in crescent], 0.005), grey)
        return
    x, y = {"frontal": (0.15, 0.27), "parietal": (0.19, 0.49), "occipital": (0.145, 0.73)}[head.lobe]
    middle = (0.5 + away * (x + rng.uniform(-0.01, 0.01)), y + rng.uniform(-0.02, 0.02))
    radius = rng.uniform(0.055, 0.075)
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    rough = 0.28 if head.lesion == "infarct" else 0.1
    reach = radius * (1.35 if head.lesion == "infarct" else 1.0) * (1 + rng.uniform(-rough, rough, 10))
    ring = [(middle[0] + r * np.cos(a), middle[1] + r * np.sin(a)) for r, a in zip(reach.tolist(), angle.tolist(), strict=True)]
    film.blend(film.shape(ring, 0.012 if head.lesion == "infarct" else 0.005), grey)
    if head.lesion == "mass":
        film.blend(film.oval(*middle, radius * 0.55, radius * 0.55, 0.005), _TISSUE[head.modality]["fluid"])
