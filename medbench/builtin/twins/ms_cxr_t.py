"""The twin of MS-CXR-T: pairs of drawn films of one patient, and how five findings changed between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from medbench.builtin.datasets.mimic_layout import study_folder
from medbench.builtin.datasets.ms_cxr_t import COLUMNS, FINDINGS, TABLE
from medbench.builtin.twins.chest import SIDES, SPOTS, Chest, chest_film
from medbench.builtin.twins.film_labels import CONGESTED
from medbench.builtin.twins.ms_cxr import JPG, SIDE, jpg_names
from medbench.builtin.twins.packing import write_grey_jpeg, write_table
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_marker

DATASET = "ms-cxr-t"
PLACE = f"ms-cxr-t/1.0.0/{TABLE}"
OWN = rf"ms-cxr-t/1\.0\.0/[^/]+|{JPG}/files/p1\d/p1\d{{7}}/s5\d{{7}}/[0-9a-f-]{{44}}\.jpg"
_LEVELS = (0.0, 0.15, 0.3, 0.5)
"""Amounts of fluid, so that a change is always one that can be seen."""


def write(root: Path, seed: int, size: int) -> None:
    """Write the pairs of `size` patients (0: 100), all of them test as in the real one.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    with new_twin(root, OWN) as folder:
        rows = [row for number in range(made.size) for row in _pairs(folder, seed, number)]
        header = (*COLUMNS, *(f"{finding}_label_quality" for finding in FINDINGS))
        write_table(folder / PLACE, header, rows)
        told = sum(bool(change) for row in rows for change in row[5 : 5 + len(FINDINGS)])
        write_marker(folder, made, {"test": told})


def _pairs(folder: Path, seed: int, number: int) -> Iterator[tuple[str, ...]]:
    """Write a patient's films and yield a row for each pair of neighbours; some patients have three films."""
    rng = generator(seed, DATASET, number)
    subject = jpg_names(number, rng)[0]
    first = _some(rng)
    while not any(_severity(first)):
        first = _some(rng)
    chests = [first]
    for _ in range(2 if number % 5 == 1 else 1):
        chests.append(_later(chests[-1], rng))
    names = []
    for visit, chest in enumerate(chests):
        _, study, dicom = jpg_names(3 * number + visit, rng)
        place = study_folder(subject, study)
        film = chest_film(chest, SIDE, generator(seed, DATASET, number, "film", visit))
        write_grey_jpeg(folder / JPG / "files" / place / f"{dicom}.jpg", film)
        names.append((study, f"{place}/{dicom}"))
    for before, after in zip(range(len(chests)), range(1, len(chests)), strict=False):
        changes = _changes(chests[before], chests[after])
        qualities = ("" if not change else "good" if rng.random() < 0.9 else "fair" for change in changes)
        yield (subject, *names[after], *names[before], *changes, *qualities)


def _some(rng: np.random.Generator) -> Chest:
    amount = float(rng.choice(_LEVELS))
    return Chest(
        ratio=round(float(rng.uniform(0.58, 0.64) if rng.random() < 0.4 else rng.uniform(0.4, 0.47)), 3),
        effusions={SIDES[rng.integers(2)]: amount} if amount else {},
        opacity=SPOTS[rng.integers(len(SPOTS))] if rng.random() < 0.5 else None,
        pneumothorax=SIDES[rng.integers(2)] if rng.random() < 0.3 else None,
    )


def _later(chest: Chest, rng: np.random.Generator) -> Chest:
    """Return the same patient later: each finding stays as it is with even odds."""
    other = _some(rng)
    side = next(iter(chest.effusions), SIDES[rng.integers(2)])
    amount = float(rng.choice(_LEVELS))
    changed = {
        "ratio": other.ratio,
        "effusions": {side: amount} if amount else {},
        "opacity": None if chest.opacity else other.opacity,
        "pneumothorax": None if chest.pneumothorax else other.pneumothorax,
    }
    return replace(chest, **{name: value for name, value in changed.items() if rng.random() < 0.5})


def _changes(before: Chest, after: Chest) -> tuple[str, ...]:
    """Return how each finding changed; a blank where neither film has it."""
    return tuple(_change(old, new) for old, new in zip(_severity(before), _severity(after), strict=True))


def _severity(chest: Chest) -> tuple[float, ...]:
    """Return how much of each finding there is, in the order of `FINDINGS`."""
    spot = chest.opacity
    return (
        float(spot is not None and spot.zone != "upper"),
        max(0.0, chest.ratio - CONGESTED) and 1.0,
        max(chest.effusions.values(), default=0.0),
        float(spot is not None and spot.side == "right"),
        float(chest.pneumothorax is not None),
    )


def _change(old: float, new: float) -> str:
    if not old and not new:
        return ""
    return "stable" if old == new else "worsening" if new > old else "improving"
