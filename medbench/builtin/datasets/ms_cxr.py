"""MS-CXR: phrases of chest X-ray reports and the boxes that radiologists drew for them, on MIMIC-CXR-JPG's pictures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.builtin.datasets.layout import absent, require_options, require_split
from medbench.builtin.datasets.mimic_layout import SPLIT, find_part, picture_base
from medbench.builtin.datasets.strict import inner_path
from medbench.builtin.datasets.tables import find_table, number, read_table, refuse, split_value
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.identity import digest
from medbench.types import Box, Image, Sample

DATASET = "ms-cxr"
TABLES = tuple(f"MS_CXR_Local_Alignment_v{release}.csv" for release in ("1.1.0", "1.0.0", "0.1"))
FOLDERS = ("", *(f"ms-cxr/{release}" for release in ("1.1.0", "1.0.0", "0.1")), "ms-cxr", "physionet.org/files/ms-cxr/1.1.0")
COLUMNS = ("category_name", "label_text", "path", "x", "y", "w", "h", "image_width", "image_height", "dicom_id")

_SUBJECT = re.compile(r"(?:^|/)p(\d{8})/")
_SPLITS = ("train", "val", "test")


class Phrase(msgspec.Struct, frozen=True):
    """A phrase on a picture, and its boxes."""

    split: str
    category: str
    text: str
    dicom: str
    inner: str
    size: tuple[str, str]
    boxes: list[Box]


class MsCxr:
    """Reads the table of phrases beside MIMIC-CXR-JPG's `files/`; rows of one picture and phrase are one sample."""

    PARAMS: tuple[str, ...] = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:  # noqa: ARG002 - there are none
        """Return what is missing from the folder, or how much of a twin is gone."""
        problems = absent(root)
        if not problems and _table(root) is None:
            problems = [Problem(f"{root}: no {TABLES[0]}", "expected it here or in ms-cxr/1.1.0/, beside MIMIC-CXR-JPG's files/")]
        marker = read_marker(root)
        if marker and not problems:
            return shortfalls(root, marker, _counts(_phrases(root)))
        return problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the phrases of one split, in the order of the table; releases without splits are all test.

        Raises:
            UsageError: there is no such split.
            DataError: the table is missing or torn, or a row cannot be used.
        """
        require_split(DATASET, split, _SPLITS)
        require_options(DATASET, params, {})
        phrases = _phrases(root)
        require_whole(root, _counts(phrases))
        base = picture_base(root, "jpg")[0]
        yield from (_sample(phrase, base) for phrase in phrases if phrase.split == split)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:  # noqa: ARG002 - it has none
        """Return how many phrases stand on pictures of MIMIC-CXR's train split, and how many have several boxes."""
        several = sum(len(sample.boxes) > 1 for sample in samples)
        found = [*_in_train(root, samples)]
        if several:
            found.append(f"{several:,} of the {len(samples):,} phrases have more than one box: all of them together are the answer")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic MS-CXR with its pictures: `size` test patients (0: 100)."""
        from medbench.builtin.twins.ms_cxr import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def _in_train(root: Path, samples: Sequence[Sample]) -> Iterator[str]:
    """Yield how many samples MIMIC-CXR trains on, counted where its table of splits is at hand."""
    path = find_part(root, SPLIT)
    if path is None:
        yield f"{len(samples):,} phrases on pictures of MIMIC-CXR: a model trained on its train split may have seen them with their reports"
        return
    train = {dicom for line, (dicom, split) in read_table(path, ("dicom_id", "split")) if split_value(path, line, split) == "train"}
    seen = sum(sample.id.partition(":")[0] in train for sample in samples)
    if seen:
        yield f"{seen:,} of the {len(samples):,} phrases stand on pictures of MIMIC-CXR's train split"


def _table(root: Path) -> Path | None:
    return next((path for folder in FOLDERS if (path := find_table(root / folder, *TABLES))), None)


def _phrases(root: Path) -> list[Phrase]:
    path = _table(root)
    if path is None:
        raise DataError(f"{root}: no {TABLES[0]}", hint="expected it here or in ms-cxr/1.1.0/")
    found: dict[tuple[str, str], Phrase] = {}
    for line, (category, text, named, x, y, w, h, width, height, dicom, split) in read_table(path, COLUMNS, optional=("split",)):
        if not dicom or not text.strip():
            refuse(path, line, "dicom_id or label_text is empty")
        sides = [number(path, line, name, value) for name, value in (("x", x), ("y", y), ("w", w), ("h", h))]
        box = Box(label=category, x=sides[0], y=sides[1], width=sides[2], height=sides[3])
        inner = inner_path(path, named, f"line {line}").removeprefix("files/")
        made = Phrase(split_value(path, line, split) if split else "test", category, text, dicom, inner, (width, height), [box])
        held = found.setdefault((dicom, text), made)
        if held is made:
            continue
        if (held.split, held.inner) != (made.split, made.inner):
            refuse(path, line, f"the phrase has another path or split than its first row on {dicom}")
        if box not in held.boxes:
            held.boxes.append(box)
    return list(found.values())


def _counts(phrases: Sequence[Phrase]) -> dict[str, int]:
    return dict(Counter(phrase.split for phrase in phrases))


def _sample(phrase: Phrase, base: str) -> Sample:
    subject = _SUBJECT.search(phrase.inner)
    return Sample(
        id=f"{phrase.dicom}:{digest(phrase.text)[:8]}",
        group=subject[1] if subject else phrase.dicom,
        split=phrase.split,  # type: ignore[arg-type]
        images=(Image(path=f"{base}{phrase.inner}"),),
        prompt=phrase.text,
        boxes=tuple(phrase.boxes),
        meta={"finding": phrase.category, "image_width": phrase.size[0], "image_height": phrase.size[1]},
    )
