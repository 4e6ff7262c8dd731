"""Children's chest X-rays with and without pneumonia (Kermany et al.): the folders, and MedMNIST's arrays."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from medbench.builtin.datasets.layout import absent, require_split, require_variant, unknown_variant
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem, UsageError
from medbench.members import array_shape, member_path, read_array
from medbench.types import Image, Sample, Split

VARIANTS = ("kermany", "medmnist")
SPLITS: tuple[Split, ...] = ("train", "val", "test")
CLASSES = {"NORMAL": 0.0, "PNEUMONIA": 1.0}
LABEL = "pneumonia"
SIZES = (28, 64, 128, 224)
"""Sides in pixels of MedMNIST's editions."""

PUBLISHED_TEST = {"NORMAL": 234, "PNEUMONIA": 390}

_PICTURES = frozenset({".jpeg", ".jpg", ".png"})
_PATIENT = re.compile(r"(person\d+|IM-\d+|(?:BACTERIA|VIRUS|NORMAL)-\d+)")
_SUBTYPE = re.compile(r"bacteria|virus", re.IGNORECASE)
_MAX_LABELS = 16 << 20


class Pneumonia:
    """Reads `{train,val,test}/{NORMAL,PNEUMONIA}/*.jpeg`, or `pneumoniamnist*.npz` (the variant medmnist).

    Its parameter `size` chooses among MedMNIST's editions; the smallest that is there unless said.
    """

    PARAMS = ("size",)

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if wrong := [*unknown_variant("pneumonia", variant, VARIANTS), *absent(root)]:
            return wrong
        if variant == "medmnist" and not _arrays(root):
            return [Problem(f"{root}: no pneumoniamnist.npz", f"or pneumoniamnist_<{'|'.join(map(str, SIZES[1:]))}>.npz, from MedMNIST")]
        if variant != "medmnist" and _base(root) is None:
            hint = "pneumoniamnist.npz is there: --variant medmnist" if _arrays(root) else "or chest_xray/ with these folders in it"
            return [Problem(f"{root}: no train/ and test/ with NORMAL/ and PNEUMONIA/", hint)]
        marker = read_marker(root)
        return shortfalls(root, marker, _counts(root)) if marker else []

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the pictures of one split; the label `pneumonia` is 1 or 0.

        Raises:
            UsageError: there is no such split, variant or size.
            DataError: a folder or file is missing, an array is damaged, or a label is neither 0 nor 1.
        """
        require_split("pneumonia", split, SPLITS)
        variant = require_variant("pneumonia", params, VARIANTS)
        if read_marker(root):
            require_whole(root, _counts(root))
        if variant == "medmnist":
            yield from _from_arrays(_array_file(root, params), split)
        else:
            yield from _from_folders(root, split)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return which patients the splits share, and whether the test set is the published one."""
        if params.get("variant") == "medmnist":
            return ["MedMNIST names no patients: intervals are over images and too narrow, since a child may have several"]
        patients = {split: {s.group for s in _from_folders(root, split)} for split in SPLITS if _split_folder(root, split)}
        found = []
        if shared := len(patients.get("val", set()) & patients.get("train", set())):
            found.append(f"{shared} of the {len(patients['val'])} val patients also have images in train: choose nothing on val")
        if not samples or samples[0].split != "test" or read_marker(root):
            return found
        counts = Counter(sample.meta["class"] for sample in samples)
        if counts != PUBLISHED_TEST:
            held, known = ("/".join(str(c[name]) for name in CLASSES) for c in (counts, Counter(PUBLISHED_TEST)))
            found.append(f"the test split holds {held} images without and with pneumonia; the published one holds {known}")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic set in both layouts: `size` test patients (0: 100)."""
        from medbench.builtin.twins.pneumonia import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


# --- folders ----------------------------------------------------------------------------------------------------------


def _base(root: Path) -> Path | None:
    """Return the folder with the splits: some copies are packed twice."""
    places = (root, root / "chest_xray", root / "chest_xray" / "chest_xray")
    return next((p for p in places if all((p / split / name).is_dir() for split in ("train", "test") for name in CLASSES)), None)


def _split_folder(root: Path, split: str) -> Path | None:
    base = _base(root)
    return base / split if base and (base / split).is_dir() else None


def _from_folders(root: Path, split: Any) -> Iterator[Sample]:
    folder = _split_folder(root, split)
    if folder is None:
        raise DataError(f"{root}: no folder {split}/ with {' and '.join(CLASSES)}", hint="the Mendeley edition has train and test only")
    for name, label in CLASSES.items():
        prefix = PurePosixPath((folder / name).relative_to(root).as_posix())
        for picture in _pictures(folder / name):
            yield _sample(prefix / picture, split, name, label)


def _pictures(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if not e.name.startswith(".") and PurePosixPath(e.name).suffix.lower() in _PICTURES)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})", hint="is the dataset unpacked whole?") from error


def _sample(path: PurePosixPath, split: Split, name: str, label: float) -> Sample:
    """Make a sample; patients are numbered anew in test and in each class, and train and val share them."""
    pool = f"{'test' if split == 'test' else 'trainval'}-{name.lower()}"
    patient = _PATIENT.search(path.stem)
    subtype = _SUBTYPE.search(path.stem)
    return Sample(
        id=f"{pool}-{path.stem}",
        group=f"{pool}-{patient[0] if patient else path.stem}",
        split=split,
        images=(Image(path=path.as_posix()),),
        labels={LABEL: label},
        meta={"class": name} | ({"subtype": subtype[0].lower()} if subtype else {}),
    )


# --- arrays -----------------------------------------------------------------------------------------------------------


def _arrays(root: Path) -> dict[int, Path]:
    names = {size: "pneumoniamnist.npz" if size == SIZES[0] else f"pneumoniamnist_{size}.npz" for size in SIZES}
    return {size: root / name for size, name in names.items() if (root / name).is_file()}


def _array_file(root: Path, params: Mapping[str, Any]) -> Path:
    held = _arrays(root)
    if not held:
        raise DataError(f"{root}: no pneumoniamnist.npz", hint="it is one of MedMNIST's files")
    wanted = str(params.get("size") or min(held))
    if wanted not in map(str, held):
        raise UsageError(f"pneumonia: no edition of size {wanted} in {root}", hint=f"there are {', '.join(map(str, held))}")
    return held[int(wanted)]


def _from_arrays(path: Path, split: Any) -> Iterator[Sample]:
    for number, label in enumerate(_labels(path, split)):
        if label not in (0, 1):
            raise DataError(f"{path}: {split}_labels[{number}] is {label}", hint="allowed: 0 (normal) and 1 (pneumonia)")
        name = f"medmnist-{split}-{number:05d}"
        yield Sample(
            id=name,
            group=name,
            split=split,
            images=(Image(path=member_path(path.name, f"{split}_images", number)),),
            labels={LABEL: float(label)},
            meta={"class": "PNEUMONIA" if label else "NORMAL"},
        )


def _labels(path: Path, split: str) -> list[int]:
    """Return the labels of a split, one for each picture; the pictures themselves are not unpacked."""
    try:
        labels = read_array(path, f"{split}_labels", _MAX_LABELS)
        pictures = array_shape(path, f"{split}_images")
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(
            f"{path}: {split}: cannot be unpacked ({error})", hint="is the download complete? is it MedMNIST's file?"
        ) from error
    if labels.dtype.kind not in "iu" or labels.shape not in ((pictures[0],), (pictures[0], 1)):
        fault = f"labels are {labels.dtype} of shape {labels.shape} for {pictures[0]} pictures"
        raise DataError(f"{path}: {split}: {fault}", hint="is it MedMNIST's file?")
    return [int(label) for label in labels.ravel()]


def _counts(root: Path) -> dict[str, int]:
    """Return how many pictures each layout has in each split."""
    found: dict[str, int] = {s: sum(1 for _ in _from_folders(root, s)) for s in SPLITS if _split_folder(root, s)}
    for path in _arrays(root).values():
        found |= {f"{path.name}/{split}": len(_labels(path, split)) for split in SPLITS}
    return found
