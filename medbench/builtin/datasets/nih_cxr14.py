"""NIH ChestX-ray14 as downloaded, and small wide tables of the same labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.archives import read_text
from medbench.builtin.datasets.layout import absent, require_options, require_split, require_variant, unknown_variant
from medbench.builtin.datasets.tables import find_table, label_value, number, read_table, refuse
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.types import Box, Image, Sample

DATASET = "nih-cxr14"
VARIANTS = ("official", "subset")
LABELS = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
NORMAL = "No Finding"
ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
BOXES = "BBox_List_2017.csv"
WIDE = "labels.csv"
LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}

_LIST_BYTES = 32 << 20
_BOX_NAMES = {"Infiltrate": "Infiltration"}
"""Labels that the file of boxes spells otherwise."""


class NihCxr14:
    """Reads `Data_Entry_2017*.csv` with the official lists; the variant `subset` reads a `labels.csv` of one column per label."""

    PARAMS: tuple[str, ...] = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        problems = absent(root) or unknown_variant(DATASET, variant, VARIANTS) or _missing(root, variant or VARIANTS[0])
        marker = read_marker(root)
        if marker and not problems:
            return shortfalls(root, marker, _counts(root))
        return problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the images of `train` or `test`, in the order of the table; a subset is all test.

        Raises:
            UsageError: there is no such split or variant.
            DataError: a file is missing or torn, an image is there twice, or a row cannot be used.
        """
        variant = require_variant(DATASET, params, VARIANTS)
        require_split(DATASET, split, tuple(LISTS))
        require_options(DATASET, params, {})
        folders = _folders(root)
        if variant == "subset":
            yield from _subset(root, folders) if split == "test" else ()
            return
        if read_marker(root):
            require_whole(root, _counts(root))
        wanted, boxes, seen = _listed(root, split), _boxes(root), set[str]()
        path = _entries(root)
        columns = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "View Position")
        for line, values in read_table(path, columns, optional=("Patient Gender", "Patient Sex")):
            name = _file_name(path, line, values[0])
            if name in seen:
                refuse(path, line, f"the image {name} is there twice")
            seen.add(name)
            if name in wanted:
                yield _sample(path, line, values, split, folders, boxes.get(name, ()))
        lost = next((name for name in wanted if name not in seen), None)
        if lost is not None:
            raise DataError(f"{path}: no row for {lost}, which {LISTS[split]} names", hint="are table and list of one release?")

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return whose images are on both sides, and how few positives a label has."""
        found = []
        rare = [f"{label} {n}" for label in LABELS if 0 < (n := sum(sample.labels[label] == 1.0 for sample in samples)) < 30]
        if rare:
            found.append(f"labels with fewer than 30 positives among {len(samples):,} images: {', '.join(rare)}")
        if require_variant(DATASET, params, VARIANTS) == "official":
            patients = {split: {name[:8] for name in _listed(root, split)} for split in LISTS}
            if both := len(patients["train"] & patients["test"]):
                found.append(f"{both:,} patients have images in train and in test")
        shared = Counter(sample.group for sample in samples)
        if shared:
            found.append(f"{len(shared):,} patients; the one with most images has {max(shared.values())} of the {len(samples):,}")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic ChestX-ray14: `size` test patients (0: 100)."""
        from medbench.builtin.twins.nih_cxr14 import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def _missing(root: Path, variant: str) -> list[Problem]:
    if variant == "subset":
        wanted = [] if find_table(root, WIDE) else [Problem(f"{root}: no {WIDE}", f"expected the columns image, {', '.join(LABELS[:3])} …")]
    else:
        hint = f"a {WIDE} of one column per label is read with --variant subset" if find_table(root, WIDE) else "from the NIH Box folder"
        wanted = [] if find_table(root, *ENTRIES) else [Problem(f"{root}: no {ENTRIES[0]}", hint)]
        wanted += [Problem(f"{root}: no {name}", "the official lists of images") for name in LISTS.values() if not (root / name).is_file()]
    if not _folders(root):
        wanted.append(Problem(f"{root}: no pictures", "expected images/*.png or images_001/images/*.png … images_012", part="pictures"))
    return wanted


def _entries(root: Path) -> Path:
    path = find_table(root, *ENTRIES)
    if path is None:
        raise DataError(f"{root}: no {ENTRIES[0]}", hint="is this the right data folder?")
    return path


def _folders(root: Path) -> dict[str, str]:
    """Return picture -> the folder it is in, relative to the root and with a slash."""
    known = ("images/", *(f"images_{number:03d}/images/" for number in range(1, 13)), "")
    found: dict[str, str] = {}
    for folder in known:
        if (root / folder).is_dir():
            found |= dict.fromkeys((entry.name for entry in os.scandir(root / folder) if entry.name.endswith(".png")), folder)
    return found


def _listed(root: Path, split: str) -> dict[str, None]:
    path = root / LISTS[split]
    names = read_text(path, _LIST_BYTES).split()
    listed = dict.fromkeys(names)
    if len(listed) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise DataError(f"{path}: {twice} is there twice", hint="fetch the list again")
    return listed


def _counts(root: Path) -> dict[str, int]:
    return {split: len(_listed(root, split)) for split in LISTS}


def _file_name(path: Path, line: int, text: str) -> str:
    if not text.endswith(".png") or not text.replace("_", "").replace("-", "").replace(".", "").isalnum():
        refuse(path, line, f"{text!r} is no name of a picture")
    return text


def _sample(path: Path, line: int, values: tuple[str, ...], split: str, folders: Mapping[str, str], boxes: tuple[Box, ...]) -> Sample:
    name, named, follow_up, patient, age, view, gender, sex = values
    shown = set(named.split("|"))
    unknown = shown - {*LABELS, NORMAL}
    if unknown or (NORMAL in shown and len(shown) > 1):
        refuse(path, line, f"Finding Labels is {named!r}", f"known: {', '.join(LABELS)}, or {NORMAL} alone")
    return Sample(
        id=name,
        group=patient.strip().zfill(8),
        split=split,  # type: ignore[arg-type]
        images=(Image(path=f"{folders.get(name, 'images/')}{name}"),),
        labels={label: float(label in shown) for label in LABELS},
        boxes=boxes,
        meta={"view": view, "sex": gender or sex, "age": age.strip().rstrip("YMD").lstrip("0") or "0", "follow_up": follow_up},
    )


def _boxes(root: Path) -> dict[str, tuple[Box, ...]]:
    """Return picture -> boxes; the file's header splits one name at its commas, so the last three numbers stand under `y`, `w`, `h]`."""
    path = find_table(root, BOXES)
    found: dict[str, tuple[Box, ...]] = {}
    if path is None:
        return found
    columns = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]")
    for line, (name, label, *sides) in read_boxes(path, columns):
        x, y, width, height = (number(path, line, column, text) for column, text in zip(columns[2:], sides, strict=True))
        made = Box(label=_BOX_NAMES.get(label, label), x=x, y=y, width=width, height=height)
        if made.label not in LABELS:
            refuse(path, line, f"Finding Label is {label!r}", f"known: {', '.join(LABELS)}")
        found[name] = (*found.get(name, ()), made)
    return found


def read_boxes(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the rows of the file of boxes, whose header ends in three nameless columns and whose rows may not."""
    return read_table(path, columns, ragged=True)


def _subset(root: Path, folders: Mapping[str, str]) -> Iterator[Sample]:
    path = find_table(root, WIDE)
    if path is None:
        raise DataError(f"{root}: no {WIDE}", hint="the variant subset reads a table of one column per label")
    seen = set()
    for line, (text, *fields) in read_table(path, ("image", *LABELS)):
        name = _file_name(path, line, text)
        if name in seen:
            refuse(path, line, f"the image {name} is there twice")
        seen.add(name)
        yield Sample(
            id=name,
            group=name[:8],
            split="test",
            images=(Image(path=f"{folders.get(name, 'images/')}{name}"),),
            labels={label: label_value(path, line, label, text) for label, text in zip(LABELS, fields, strict=True)},
        )
