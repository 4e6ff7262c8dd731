"""The twin of NIH ChestX-ray14: its table with the split header, its lists, its boxes, drawn films as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pil

from medbench.builtin.datasets.nih_cxr14 import BOXES, ENTRIES, LISTS
from medbench.builtin.twins.boxes import film_with_boxes
from medbench.builtin.twins.chest import Chest, draw_chest
from medbench.builtin.twins.film_labels import nih_findings
from medbench.builtin.twins.packing import write_bytes, write_table
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_marker, write_png
from medbench.types import Box, Struct

DATASET = "nih-cxr14"
SIDE = 112
FIRST_PATIENT = 90001
"""Above every real patient, whose last is 30805."""

OWN = r"images/\d{8}_\d{3}\.png|Data_Entry_2017_v2020\.csv|BBox_List_2017\.csv|(train_val|test)_list\.txt"
HEADER = (
    *("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender", "View Position"),
    *("OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]"),
)
BOX_HEADER = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]", "", "", "")
_FILE_NAMES = {"Infiltration": "Infiltrate"}
"""Labels as the file of boxes spells them."""


class Film(Struct):
    """One image of the set."""

    name: str
    patient: int
    follow_up: int
    split: str
    chest: Chest
    boxes: tuple[Box, ...]
    row: tuple[Any, ...]


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` test patients (0: 100) and three times as many for train.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    patients = {"train": 3 * made.size, "test": made.size}
    with new_twin(root, OWN) as folder:
        (folder / "images").mkdir()
        films = list(_films(folder, seed, patients))
        write_table(folder / ENTRIES[0], HEADER, (film.row for film in films))
        boxed = [film for film in films if film.split == "test"]
        write_table(folder / BOXES, BOX_HEADER, (row for film in boxed for row in _box_rows(film)))
        listed = {split: [film.name for film in films if film.split == split] for split in patients}
        for split, names in listed.items():
            write_bytes(folder / LISTS[split], "".join(f"{name}\n" for name in names).encode())
        write_marker(folder, made, {split: len(names) for split, names in listed.items()})


def _films(folder: Path, seed: int, patients: dict[str, int]) -> Iterator[Film]:
    names = [split for split, count in patients.items() for _ in range(count)]
    order = generator(seed, DATASET, "splits").permutation(len(names)).tolist()
    for number, place in enumerate(order):
        rng = generator(seed, DATASET, number)
        sex, age = "FM"[rng.integers(2)], 0 if number == 1 else int(rng.integers(5, 95))
        for follow_up in range(9 if number == 0 else 2 if number % 6 == 2 else 1):
            yield _film(folder, seed, number, follow_up, names[place], sex, age)


def _film(folder: Path, seed: int, number: int, follow_up: int, split: str, sex: str, age: int) -> Film:
    patient = FIRST_PATIENT + number
    name = f"{patient:08d}_{follow_up:03d}.png"
    rng = generator(seed, DATASET, number, follow_up)
    chest = draw_chest(rng, normal=0.45)
    pixels, boxes = film_with_boxes(chest, SIDE, (seed, DATASET, number, follow_up, "film"), boxed=split == "test")
    if (number, follow_up) in ((2, 0), (5, 0)):
        Pil.fromarray(np.dstack([pixels] * 3 + [np.full_like(pixels, 255)])).save(folder / "images" / name, compress_level=2)
    else:
        write_png(folder / "images" / name, pixels)
    findings = "|".join(nih_findings(chest)) or "No Finding"
    view = ("PA", "AP")[rng.integers(2)]
    row = (name, findings, follow_up, patient, age, sex, view, SIDE, SIDE, 0.143, 0.143)
    return Film(name=name, patient=patient, follow_up=follow_up, split=split, chest=chest, boxes=boxes, row=row)


def _box_rows(film: Film) -> Iterator[Sequence[Any]]:
    """Yield the boxes of the findings that the table lists: a spot is what its zone makes of it."""
    for box in film.boxes:
        kinds = ("Infiltration", "Pneumonia", "Consolidation") if box.label == "opacity" else ("Nodule", "Mass")
        for label in set(kinds) & set(nih_findings(film.chest)):
            yield (film.name, _FILE_NAMES.get(label, label), box.x, box.y, box.width, box.height, "", "", "")
