"""VinDr-Mammo: four mammograms of each examination as DICOM, with BI-RADS and density of each breast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.builtin.datasets.layout import absent, require_options, require_split
from medbench.builtin.datasets.tables import find_table, read_table, refuse, split_value
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.types import Image, Sample

DATASET = "vindr-mammo"
TABLE = "breast-level_annotations.csv"
PICTURES = "images"
COLUMNS = ("study_id", "image_id", "laterality", "view_position", "breast_birads", "breast_density", "split")
CLASSES = tuple(f"BI-RADS {number}" for number in range(1, 6))
_SPLITS = ("train", "test")
_ORDER = {"CC": 0, "MLO": 1}


class Breast(msgspec.Struct, frozen=True):
    """One breast of an examination; its views share one assessment."""

    study: str
    side: str
    split: str
    category: str
    density: str
    views: list[tuple[str, str]]


class VinDrMammo:
    """Reads the assessments of breasts; the two views of a breast are the images of one sample."""

    PARAMS: tuple[str, ...] = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:  # noqa: ARG002 - there are none
        """Return what is missing from the folder, or how much of a twin is gone."""
        problems = absent(root)
        if not problems:
            problems = [] if find_table(root, TABLE) else [Problem(f"{root}: no {TABLE}", "from PhysioNet: vindr-mammo/1.0.0")]
            if not (root / PICTURES).is_dir():
                problems.append(Problem(f"{root}: no folder {PICTURES}/", f"expected {PICTURES}/<study_id>/<image_id>.dicom"))
        marker = read_marker(root)
        if marker and not problems:
            return shortfalls(root, marker, _counts(_breasts(root)))
        return problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the breasts of one split, in the order of the table; CC comes before MLO.

        Raises:
            UsageError: there is no such split.
            DataError: the table is missing or torn, an image is there twice, or a row cannot be used.
        """
        require_split(DATASET, split, _SPLITS)
        require_options(DATASET, params, {})
        breasts = _breasts(root)
        require_whole(root, _counts(breasts))
        yield from (_sample(breast) for breast in breasts if breast.split == split)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:  # noqa: ARG002 - only the samples
        """Return how the assessments are distributed, and how many breasts lack a view."""
        told = Counter(sample.references[0] for sample in samples)
        found = [f"BI-RADS 1 to 5: {', '.join(str(told[name]) for name in CLASSES)} breasts"] if samples else []
        short = sum(len(sample.images) != 2 for sample in samples)
        return [*found, f"{short:,} breasts have another number of views than two"] if short else found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic VinDr-Mammo as DICOM: `size` test examinations (0: 100)."""
        from medbench.builtin.twins.vindr_mammo import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def _breasts(root: Path) -> list[Breast]:
    path = find_table(root, TABLE)
    if path is None:
        raise DataError(f"{root}: no {TABLE}", hint="is this the right data folder?")
    found: dict[tuple[str, str], Breast] = {}
    seen: set[str] = set()
    for line, (study, image, side, view, category, density, split) in read_table(path, COLUMNS):
        if not (study.isalnum() and image.isalnum()):
            refuse(path, line, f"study_id {study!r} or image_id {image!r} is no id")
        if image in seen:
            refuse(path, line, f"the image {image} is there twice")
        seen.add(image)
        named = category.strip().upper()
        if named not in CLASSES:
            refuse(path, line, f"breast_birads is {category!r}", f"allowed: {', '.join(CLASSES)}")
        made = Breast(study, side, split_value(path, line, split), named, density.strip().upper(), [])
        held = found.setdefault((study, side), made)
        if (held.split, held.category) != (made.split, made.category):
            refuse(path, line, f"the {side} breast of {study} has another split or BI-RADS than in an earlier row")
        held.views.append((view.strip().upper(), image))
    return list(found.values())


def _counts(breasts: Sequence[Breast]) -> dict[str, int]:
    """Return the rows of each split: pictures, so that a breast that lost a view is missed too."""
    return dict(Counter(breast.split for breast in breasts for _ in breast.views))


def _sample(breast: Breast) -> Sample:
    views = sorted(breast.views, key=lambda view: (_ORDER.get(view[0], 2), view))
    return Sample(
        id=f"{breast.study}:{breast.side}",
        group=breast.study,
        split=breast.split,  # type: ignore[arg-type]
        images=tuple(Image(path=f"{PICTURES}/{breast.study}/{image}.dicom", role=view.lower() or "image") for view, image in views),
        references=(breast.category,),
        labels={name: float(name == breast.category) for name in CLASSES},
        meta={"laterality": breast.side, "density": breast.density},
    )
