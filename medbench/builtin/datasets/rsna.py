"""RSNA Pneumonia Detection Challenge: chest X-rays as DICOM, with boxes around lung opacities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.builtin.datasets.layout import absent, hashed_split, require_options, require_split
from medbench.builtin.datasets.tables import find_table, number, read_table, refuse
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.types import Box, Image, Sample

DATASET = "rsna-pneumonia"
LABELS = "stage_2_train_labels.csv"
CLASSES = "stage_2_detailed_class_info.csv"
PICTURES = "stage_2_train_images"
SALT = "medbench-rsna-v1"
"""Name of the split: the challenge gives labels for its train images only, so these are split by hash."""

LABEL = "Pneumonia"
_SPLITS = ("train", "val", "test")


class Film(msgspec.Struct, frozen=True):
    """One image: its target, its boxes."""

    target: float
    boxes: list[Box]


class Rsna:
    """Reads the labelled images of stage 2; the rows of one image, one for each box, are one sample."""

    PARAMS: tuple[str, ...] = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:  # noqa: ARG002 - there are none
        """Return what is missing from the folder, or how much of a twin is gone."""
        problems = absent(root)
        if not problems:
            problems = (
                [] if find_table(root, LABELS) else [Problem(f"{root}: no {LABELS}", "from Kaggle: rsna-pneumonia-detection-challenge")]
            )
            if not (root / PICTURES).is_dir():
                problems.append(Problem(f"{root}: no folder {PICTURES}/", f"expected {PICTURES}/<patientId>.dcm"))
        marker = read_marker(root)
        if marker and not problems:
            return shortfalls(root, marker, _counts(_films(root)))
        return problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the images of one split (by hash, 70/10/20), in the order of the table.

        Raises:
            UsageError: there is no such split.
            DataError: a table is missing or torn, or a row cannot be used.
        """
        require_split(DATASET, split, _SPLITS)
        require_options(DATASET, params, {})
        films = _films(root)
        require_whole(root, _counts(films))
        classes = _classes(root)
        for name, film in films.items():
            if hashed_split(SALT, name) == split:
                yield Sample(
                    id=name,
                    group=name,
                    split=split,
                    images=(Image(path=f"{PICTURES}/{name}.dcm"),),
                    labels={LABEL: film.target},
                    boxes=tuple(film.boxes),
                    meta={"class": classes[name]} if name in classes else {},
                )

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:  # noqa: ARG002 - only the samples
        """Return that the split is ours, and what stands among the negatives."""
        found = [f"no test labels are public: the labelled images are split by hash ({SALT})"]
        odd = sum(sample.meta.get("class", "").startswith("No Lung Opacity") for sample in samples)
        negative = sum(sample.labels[LABEL] == 0 for sample in samples)
        if odd:
            found.append(f"{odd:,} of the {negative:,} negatives are not normal: they show something other than an opacity")
        found.append("the images are a part of NIH ChestX-ray14: a model trained on that may have seen them")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic RSNA set as DICOM: `size` test images (0: 100)."""
        from medbench.builtin.twins.rsna import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def _films(root: Path) -> dict[str, Film]:
    path = find_table(root, LABELS)
    if path is None:
        raise DataError(f"{root}: no {LABELS}", hint="is this the right data folder?")
    films: dict[str, Film] = {}
    for line, (name, *sides, target) in read_table(path, ("patientId", "x", "y", "width", "height", "Target")):
        if not name.replace("-", "").isalnum():
            refuse(path, line, f"patientId is {name!r}, which is no id")
        if target not in ("0", "1") or (target == "1") != all(sides):
            refuse(path, line, f"Target is {target!r} with the box {', '.join(sides)}", "1 with a box, 0 without")
        if name in films and (target == "0" or films[name].target == 0):
            refuse(path, line, f"{name} is there twice, and not with a box each time")
        film = films.setdefault(name, Film(float(target), []))
        if target == "1":
            x, y, width, height = (number(path, line, "a side of the box", side) for side in sides)
            film.boxes.append(Box(label=LABEL, x=x, y=y, width=width, height=height))
    return films


def _counts(films: Mapping[str, Film]) -> dict[str, int]:
    return dict(Counter(hashed_split(SALT, name) for name in films))


def _classes(root: Path) -> dict[str, str]:
    """Return image -> class; the file repeats a row for each box."""
    path = find_table(root, CLASSES)
    if path is None:
        return {}
    found: dict[str, str] = {}
    for line, (name, kind) in read_table(path, ("patientId", "class")):
        if found.setdefault(name, kind) != kind:
            refuse(path, line, f"{name} is both {found[name]} and {kind}")
    return found
