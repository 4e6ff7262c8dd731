"""The twin of IU X-ray in R2Gen's layout: drawn films, reports worded from the same findings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from medbench.builtin.datasets.iu_xray import ANNOTATION, PICTURES
from medbench.builtin.twins.chest import chest_film, draw_chest
from medbench.builtin.twins.lateral import chest_lateral
from medbench.builtin.twins.reports import report_of
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_json, write_marker, write_png

DATASET = "iu-xray"
SIDE = 128
"""Pixels along a side of the pictures."""

FIRST_UID = 9001
"""Above every uid of the real collection, whose last is 3999."""

OWN = rf"{re.escape(ANNOTATION)}|{PICTURES}/CXR9\d+[^/]*/\d+\.png"


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` test studies (0: 100), three times as many for train and two fifths for val.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    counts = {"train": 3 * made.size, "val": max(1, made.size * 2 // 5), "test": made.size}
    names = [split for split, count in counts.items() for _ in range(count)]
    order = generator(seed, DATASET, "splits").permutation(len(names)).tolist()
    with new_twin(root, OWN) as folder:
        annotation: dict[str, list[dict[str, Any]]] = {split: [] for split in counts}
        for index, place in enumerate(order):
            split = names[place]
            annotation[split].append(_study(folder, seed, index, split))
        write_json(folder / ANNOTATION, annotation)
        write_marker(folder, made, counts)


def _study(folder: Path, seed: int, index: int, split: str) -> dict[str, Any]:
    name = _id(index)
    rng = generator(seed, DATASET, index)
    chest = draw_chest(rng, normal=0.3)
    report = report_of(chest, rng)
    films = folder / PICTURES / name
    films.mkdir(parents=True)
    paths = []
    for number in range(_listed(index, rng)):
        draw = chest_lateral if number == 1 else chest_film
        write_png(films / f"{number}.png", draw(chest, SIDE, rng))
        paths.append(f"{name}/{number}.png")
    return {"id": name, "report": report, "image_path": paths, "split": split}


def _id(index: int) -> str:
    """Return an id in one of the three patterns that the real ones have; the long ones are rare."""
    uid = FIRST_UID + index
    if index % 50 == 3:
        return f"CXR{uid}_IM-{index:04d}-1001"
    return f"CXR{uid}_1_IM-{index:04d}" if index % 200 == 2 else f"CXR{uid}_IM-{index:04d}"


def _listed(index: int, rng: np.random.Generator) -> int:
    """Return how many pictures a study lists: two, now and then one or three; the first studies have one of each."""
    if index < 2:
        return (1, 3)[index]
    return int(rng.choice([1, 2, 3], p=[0.05, 0.9, 0.05]))
