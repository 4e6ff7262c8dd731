"""The twin of the RSNA challenge: drawn films as JPEG-compressed DICOM, boxes around their opacities."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.layout import hashed_split
from medbench.builtin.datasets.rsna import CLASSES, LABELS, PICTURES, SALT
from medbench.builtin.twins.boxes import film_with_boxes
from medbench.builtin.twins.chest import draw_chest
from medbench.builtin.twins.dicom import write_dicom
from medbench.builtin.twins.packing import write_table
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_marker

DATASET = "rsna-pneumonia"
SIDE = 112
SAMPLE = "stage_2_sample_submission.csv"
OWN = rf"stage_2_[a-z_]+\.csv|{PICTURES}/[0-9a-f-]{{36}}\.dcm"
HEADER = ("patientId", "x", "y", "width", "height", "Target")


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` images that the hash puts into test (0: 100), three times as many for train, two fifths for val.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    counts = {"train": 3 * made.size, "val": max(1, made.size * 2 // 5), "test": made.size}
    labels: list[tuple[Any, ...]] = []
    classes: list[tuple[str, str]] = []
    with new_twin(root, OWN) as folder:
        for number, name in enumerate(names_for(SALT, counts, _names(seed))):
            rows, kind = _image(folder, seed, number, name)
            labels += rows
            classes += [(name, kind)] * len(rows)
        write_table(folder / LABELS, HEADER, labels)
        write_table(folder / CLASSES, ("patientId", "class"), classes)
        write_table(folder / SAMPLE, ("patientId", "PredictionString"), [])
        write_marker(folder, made, counts)


def names_for(salt: str, counts: dict[str, int], names: Iterator[str]) -> Iterator[str]:
    """Yield names until the hash has put as many into each split as `counts` says; names of a full split are passed over."""
    left = Counter(counts)
    while left.total():
        name = next(names)
        split = hashed_split(salt, name)
        if left[split]:
            left[split] -= 1
            yield name


def _names(seed: int) -> Iterator[str]:
    rng = generator(seed, DATASET, "names")
    while True:
        yield str(uuid.UUID(bytes=rng.bytes(16)))


def _image(folder: Path, seed: int, number: int, name: str) -> tuple[list[tuple[Any, ...]], str]:
    """Write one image; return its rows of labels and its class."""
    rng = generator(seed, DATASET, number)
    chest = draw_chest(rng, normal=0.33)
    pixels, boxes = film_with_boxes(chest, SIDE, (seed, DATASET, number, "film"), boxed=chest.opacity is not None)
    view = ("PA", "AP")[rng.integers(2)]
    tags = {
        (0x0008, 0x0060): ("CS", "CR"),
        (0x0008, 0x0064): ("CS", "WSD"),
        (0x0018, 0x5101): ("CS", view),
    }
    write_dicom(folder / PICTURES / f"{name}.dcm", pixels, number + 1, tags, jpeg=True)
    found = [box for box in boxes if box.label == "opacity"]
    if found:
        return [(name, box.x, box.y, box.width, box.height, 1) for box in found], "Lung Opacity"
    return [(name, "", "", "", "", 0)], "Normal" if chest.normal else "No Lung Opacity / Not Normal"
