"""The twin of VinDr-Mammo: four drawn views of each examination as 12-bit DICOM, and its tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.datasets.vindr_mammo import PICTURES, TABLE
from medbench.builtin.twins.dicom import write_dicom
from medbench.builtin.twins.mammogram import Breast, draw_breast, mammogram
from medbench.builtin.twins.packing import write_table
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_marker

DATASET = "vindr-mammo"
SIDE = 64
"""Pixels along a side: four views of 400 examinations, uncompressed, are to stay below 15 MB."""

OWN = rf"(breast-level|finding)_annotations\.csv|metadata\.csv|{PICTURES}/[0-9a-f]{{32}}/[0-9a-f]{{32}}\.dicom"
HEADER = (
    *("study_id", "series_id", "image_id", "laterality", "view_position", "height", "width", "breast_birads", "breast_density", "split"),
)
FINDING_HEADER = (
    *HEADER[:7],
    "breast_birads",
    "breast_density",
    "finding_categories",
    "finding_birads",
    "xmin",
    "ymin",
    "xmax",
    "ymax",
    "split",
)
METADATA_HEADER = ("SOP Instance UID", "Series Instance UID", "Patient's Age", "Manufacturer", "Photometric Interpretation")
VIEWS: tuple[Literal["CC", "MLO"], ...] = ("CC", "MLO")
_NAMES = {"": "No Finding", "cyst": "Mass", "mass": "Mass", "calcifications": "Suspicious Calcification"}


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` test examinations (0: 100) and three times as many for train.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    parts = {"training": 3 * made.size, "test": made.size}
    names = [part for part, count in parts.items() for _ in range(count)]
    order = generator(seed, DATASET, "splits").permutation(len(names)).tolist()
    with new_twin(root, OWN) as folder:
        rows = [row for number, place in enumerate(order) for row in _examination(folder, seed, number, names[place])]
        write_table(folder / TABLE, HEADER, (breast for breast, _, _ in rows))
        write_table(folder / "finding_annotations.csv", FINDING_HEADER, (finding for _, finding, _ in rows))
        write_table(folder / "metadata.csv", METADATA_HEADER, (metadata for _, _, metadata in rows))
        write_marker(folder, made, {"train": 4 * parts["training"], "test": 4 * parts["test"]})


def _examination(folder: Path, seed: int, number: int, part: str) -> Iterator[tuple[tuple[Any, ...], ...]]:
    """Write four views and yield, for each, its row in the three tables."""
    rng = generator(seed, DATASET, number)
    study, series = rng.bytes(16).hex(), rng.bytes(16).hex()
    density = int(rng.integers(4))
    sides: tuple[Literal["L", "R"], ...] = ("L", "R")
    for breast in (draw_breast(rng, side, density) for side in sides):
        for view in VIEWS:
            image = rng.bytes(16).hex()
            inverted = number % 5 == 2
            shown = "MONOCHROME1" if inverted else "MONOCHROME2"
            _write_view(
                folder / PICTURES / study / f"{image}.dicom", mammogram(breast, view, SIDE, rng), rng, inverted, number, breast, view
            )
            known = (study, series, image, breast.side, view, SIDE, SIDE)
            told = (f"BI-RADS {breast.category}", f"DENSITY {'ABCD'[density]}")
            yield (*known, *told, part), _finding_row(known, told, breast, part), (image, series, "060Y", "PLANMED", shown)


def _write_view(
    path: Path,
    attenuation: NDArray[np.float32],
    rng: np.random.Generator,
    inverted: bool,
    number: int,
    breast: Breast,
    view: str,
) -> None:
    grain = rng.normal(0, 25, attenuation.shape)
    stored = np.clip(attenuation * 2900 + (attenuation > 0.02) * grain, 0, 4095).astype(np.uint16)
    tags: dict[tuple[int, int], tuple[str, str | int]] = {
        (0x0008, 0x0060): ("CS", "MG"),
        (0x0018, 0x5101): ("CS", view),
        (0x0020, 0x0062): ("CS", breast.side),
        (0x0028, 0x0004): ("CS", "MONOCHROME1" if inverted else "MONOCHROME2"),
        (0x0028, 0x1050): ("DS", "2047"),
        (0x0028, 0x1051): ("DS", "4095"),
    }
    pixels = (4095 - stored).astype(np.uint16) if inverted else stored
    write_dicom(path, pixels, 8 * number + 2 * (breast.side == "R") + (view == "MLO") + 1, tags, bits=12)


def _finding_row(known: tuple[Any, ...], told: tuple[str, str], breast: Breast, part: str) -> tuple[Any, ...]:
    if not breast.finding:
        return (*known, *told, "['No Finding']", "", "", "", "", "", part)
    x = breast.place[0] if breast.side == "L" else 1 - breast.place[0]
    y = breast.place[1] + (0.05 if known[4] == "MLO" else 0.0)
    half = 0.1
    sides = ((x - half) * SIDE, (y - half) * SIDE, (x + half) * SIDE, (y + half) * SIDE)
    return (*known, *told, str([_NAMES[breast.finding]]), told[0], *(round(side, 1) for side in sides), part)
