"""The twin of CheXpert-small: its two tables and drawn films as JPEG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.chexpert import ARCHIVES
from medbench.builtin.datasets.chexpert_labels import LABELS
from medbench.builtin.twins.chest import Chest, chest_film, draw_chest
from medbench.builtin.twins.film_labels import chexpert_fields, radiologist_fields
from medbench.builtin.twins.lateral import chest_lateral
from medbench.builtin.twins.packing import write_grey_jpeg, write_table
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_marker

DATASET = "chexpert"
SIDE = 128
FIRST_PATIENT = 90001
"""Above every real patient; the last ones are below 65300."""

FOLDER = ARCHIVES[0]
OWN = rf"{FOLDER}/((train|valid|test_labels)\.csv|(train|valid|test)/patient9\d{{4}}/study\d/view\d_(frontal|lateral)\.jpg)"
HEADER = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *LABELS)


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` patients in valid and in test (0: 100) and three times as many in train.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    counts = {}
    with new_twin(root, OWN) as folder:
        first = 0
        for split, part, patients in (("train", "train", 3 * made.size), ("val", "valid", made.size), ("test", "test", made.size)):
            rows = [row for number in range(first, first + patients) for row in _patient(folder, seed, number, part)]
            first += patients
            if split == "test":
                bare = ((row[0].removeprefix(f"{FOLDER}/"), *row[5:]) for row in rows)
                write_table(folder / FOLDER / "test_labels.csv", ("Path", *LABELS), bare)
            else:
                write_table(folder / FOLDER / f"{part}.csv", HEADER, rows)
            counts[split] = len(rows)
        write_marker(folder, made, counts)


def _patient(folder: Path, seed: int, number: int, part: str) -> Iterator[tuple[Any, ...]]:
    rng = generator(seed, DATASET, number)
    sex = "Unknown" if number == 4 else ("Female", "Male")[rng.integers(2)]
    age = 0 if number in (1, 5) else int(rng.integers(18, 91))
    for study in range(1, 2 + (part == "train" and (number == 6 or number % 9 == 3))):
        chest = draw_chest(rng)
        fields = _spoken(chest, seed, number, study) if part == "train" else radiologist_fields(chest)
        for view, position in enumerate(_positions(number, study, part, rng.random()), 1):
            side = "Lateral" if not position else "Frontal"
            inner = f"{part}/patient{FIRST_PATIENT + number:05d}/study{study}/view{view}_{side.lower()}.jpg"
            draw = chest_film if position else chest_lateral
            write_grey_jpeg(folder / FOLDER / inner, draw(chest, SIDE, generator(seed, DATASET, number, study, view)))
            yield (f"{FOLDER}/{inner}", sex, age, side, position, *(fields[name] for name in LABELS))


def _spoken(chest: Chest, seed: int, number: int, study: int) -> dict[str, str]:
    return chexpert_fields(chest, generator(seed, DATASET, "labels", number, study))


def _positions(number: int, study: int, part: str, chance: float) -> list[str]:
    """Return the position of each view; an empty one is a lateral. The first train patients have the odd ones."""
    odd = {(0, 1): ["LL"], (2, 1): ["RL"], (6, 2): [""], (7, 1): ["AP", "AP", ""]}
    if part == "train" and (number, study) in odd:
        return odd[number, study]
    return ["AP"] if chance < 0.65 else ["PA", ""] if chance < 0.8 else ["PA"]
