"""The twin of MS-CXR: phrases with boxes on drawn films, in MIMIC-CXR-JPG's folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from medbench.builtin.datasets.mimic_layout import study_folder
from medbench.builtin.datasets.ms_cxr import COLUMNS, TABLES
from medbench.builtin.twins.boxes import Names, box_between, film_with_boxes
from medbench.builtin.twins.chest import ENLARGED, Chest, Spot, draw_chest
from medbench.builtin.twins.packing import write_grey_jpeg, write_table
from medbench.builtin.twins.reports import effusion_size, zone_words
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_marker
from medbench.types import Box, Struct

DATASET = "ms-cxr"
SIDE = 112
JPG = "mimic-cxr-jpg/2.1.0"
TABLE = f"ms-cxr/1.1.0/{TABLES[0]}"
OWN = rf"ms-cxr/1\.1\.0/[^/]+|{JPG}/files/p1\d/p1\d{{7}}/s5\d{{7}}/[0-9a-f-]{{44}}\.jpg"


class Saying(Struct):
    """A phrase, and the films that would show one of its parts less each."""

    category: str
    text: str
    without: tuple[Chest, ...]


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` test patients (0: 100), three times as many for train and two fifths for val.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    patients = {"train": 3 * made.size, "val": max(1, made.size * 2 // 5), "test": made.size}
    names = [split for split, count in patients.items() for _ in range(count)]
    order = generator(seed, DATASET, "splits").permutation(len(names)).tolist()
    with new_twin(root, OWN) as folder:
        rows = [row for number, place in enumerate(order) for row in _film(folder, seed, number, names[place])]
        write_table(folder / TABLE, (*COLUMNS, "split"), rows)
        counts = Counter(split for _, _, split in {(row[9], row[1], row[10]) for row in rows})
        write_marker(folder, made, dict(sorted(counts.items())))


def jpg_names(number: int, rng: np.random.Generator) -> tuple[str, str, str]:
    """Return subject, study and dicom_id of a film: the first subjects lie below every real one."""
    subject = str(10000001 + number if number < 31 else 11000000 + number)
    return subject, str(50000001 + number), "-".join(f"{part:08x}" for part in rng.integers(0, 1 << 32, 5).tolist())


def _film(folder: Path, seed: int, number: int, split: str) -> Iterator[tuple[Any, ...]]:
    """Write one film and yield its rows: one for each box."""
    rng = generator(seed, DATASET, number)
    chest = _with_something(rng, number)
    subject, study, dicom = jpg_names(number, rng)
    names: Names = (seed, DATASET, number, "film")
    pixels, _ = film_with_boxes(chest, SIDE, names, boxed=False)
    path = f"files/{study_folder(subject, study)}/{dicom}.jpg"
    write_grey_jpeg(folder / JPG / path, pixels)
    sayings = _sayings(chest, rng)
    for saying in sayings[:1] if number % 4 else sayings:
        boxes = [box for without in saying.without if (box := box_between(pixels, chest, without, names, saying.category))]
        yield from (_row(saying, box, path, dicom, split) for box in boxes)


def _with_something(rng: np.random.Generator, number: int) -> Chest:
    """Return a chest with something to point at; the first has fluid on both sides, a phrase of two boxes."""
    if number == 0:
        return Chest(effusions={"right": 0.3, "left": 0.3})
    while True:
        chest = draw_chest(rng, normal=0.0)
        if chest.opacity or chest.effusions or chest.pneumothorax or chest.ratio > ENLARGED:
            return chest


def _sayings(chest: Chest, rng: np.random.Generator) -> list[Saying]:
    made = []
    if chest.opacity:
        category = {"upper": "Lung Opacity", "mid": "Pneumonia", "lower": "Consolidation"}[chest.opacity.zone]
        made.append(Saying(category=category, text=_opacity(category, chest.opacity, rng), without=(replace(chest, opacity=None),)))
    if chest.effusions:
        sides = sorted(chest.effusions)
        fewer = tuple(replace(chest, effusions={s: a for s, a in chest.effusions.items() if s != side}) for side in sides)
        where = "bilateral" if len(sides) == 2 else sides[0]
        size = effusion_size(max(chest.effusions.values()))
        text = (f"{size} {where} pleural effusion", f"{where} effusion, {size} in size", f"{size} {where}-sided pleural fluid")
        made.append(Saying(category="Pleural Effusion", text=text[rng.integers(3)], without=fewer))
    if chest.pneumothorax:
        text = (
            f"{chest.pneumothorax} pneumothorax",
            f"pneumothorax on the {chest.pneumothorax}",
            f"{chest.pneumothorax}-sided pneumothorax",
        )
        made.append(Saying(category="Pneumothorax", text=text[rng.integers(3)], without=(replace(chest, pneumothorax=None),)))
    if chest.ratio > ENLARGED:
        text = ("enlarged cardiac silhouette", "cardiomegaly", "the heart is enlarged")
        made.append(Saying(category="Cardiomegaly", text=text[rng.integers(3)], without=(replace(chest, ratio=0.2),)))
    order = rng.permutation(len(made)).tolist()
    return [made[place] for place in order]


def _opacity(category: str, spot: Spot, rng: np.random.Generator) -> str:
    where = zone_words(spot)
    name = {"Lung Opacity": "opacity", "Pneumonia": "pneumonia", "Consolidation": "consolidation"}[category]
    return (f"{name} in the {where}", f"{where} {name}", f"patchy {where} {name}")[rng.integers(3)]


def _row(saying: Saying, box: Box, path: str, dicom: str, split: str) -> tuple[Any, ...]:
    sides = (int(box.x), int(box.y), int(box.width), int(box.height))
    return (saying.category, saying.text, path, *sides, SIDE, SIDE, dicom, split)
