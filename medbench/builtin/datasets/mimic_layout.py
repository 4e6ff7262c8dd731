"""Where the parts of MIMIC-CXR lie: the packages as downloaded, side by side, one inside another, or in one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Self

from medbench.builtin.datasets.archives import UTF8, Archive, open_archive, read_text
from medbench.builtin.datasets.tables import find_table
from medbench.errors import DataError

SPLIT = "mimic-cxr-2.0.0-split.csv"
METADATA = "mimic-cxr-2.0.0-metadata.csv"
CHEXPERT = "mimic-cxr-2.0.0-chexpert.csv"
NEGBIO = "mimic-cxr-2.0.0-negbio.csv"
RADIOLOGIST = "mimic-cxr-2.1.0-test-set-labeled.csv"
REPORTS = "mimic-cxr-reports.zip"

_PACKAGES = (
    *("", "mimic-cxr-jpg", "mimic-cxr", "physionet.org/files/mimic-cxr-jpg", "physionet.org/files/mimic-cxr"),
    *("mimic_cxr", "llava-rad-mimic-cxr-annotation", "physionet.org/files/llava-rad-mimic-cxr-annotation"),
)
_RELEASES = ("", "2.1.0", "2.0.0", "1.0.0")
_PICTURES = ("files", "images", "mimic-cxr-jpg/files", "mimic-cxr/files")
_DEEP = 4
"""Folders between `files/` and a picture: group, patient, study, and one to spare."""


def places(root: Path) -> Iterator[Path]:
    """Yield the folders in which parts may stand."""
    for package in _PACKAGES:
        for release in _RELEASES:
            folder = root / package / release
            if folder.is_dir():
                yield folder


def find_part(root: Path, name: str) -> Path | None:
    """Return a table or file of the dataset, plain or gzipped; None: it is nowhere."""
    return next((path for folder in places(root) if (path := find_table(folder, name))), None)


def require_part(root: Path, name: str, origin: str) -> Path:
    """Return a table or file of the dataset.

    Raises:
        DataError: it is nowhere below `root`.
    """
    path = find_part(root, name)
    if path is None:
        raise DataError(f"{root}: no {name} (or {name}.gz)", hint=f"it is part of {origin}")
    return path


def study_folder(subject: str, study: str) -> str:
    """Return where a study's pictures lie below `files/`.

    >>> study_folder("10000032", "50414267")
    'p10/p10000032/s50414267'
    """
    return f"p{subject[:2]}/p{subject}/s{study}"


def picture_base(root: Path, pixels: str) -> tuple[str, str]:
    """Return the folder of the pictures, relative to `root` and with a slash, and their suffix.

    Args:
        root: the data folder.
        pixels: `jpg`, `dicom`, or `auto`: JPG where there are any, since that is what most systems were made for.
    """
    wanted = {"jpg": (".jpg",), "dicom": (".dcm",)}.get(pixels, (".jpg", ".dcm"))
    bases = [folder / name for folder in places(root) for name in _PICTURES if (folder / name).is_dir()]
    for suffix in wanted:
        for base in bases:
            if _holds(base, suffix, _DEEP):
                return f"{base.relative_to(root).as_posix()}/", suffix
    table = find_part(root, SPLIT)
    beside = table.parent.relative_to(root).as_posix() if table else "."
    return ("files/" if beside == "." else f"{beside}/files/"), wanted[0]


def _holds(folder: Path, suffix: str, deep: int) -> bool:
    """Whether a picture is among the first entries, some folders down: a full look at 377,110 files would take minutes."""
    try:
        entries = sorted(islice(os.scandir(folder), 64), key=lambda entry: entry.name)
        if any(entry.name.endswith(suffix) for entry in entries):
            return True
        return deep > 0 and any(_holds(Path(entry), suffix, deep - 1) for entry in entries[:3] if entry.is_dir(follow_symlinks=False))
    except OSError:
        return False


class Reports:
    """The free-text reports, from the zip or from files; to be used as a context."""

    def __init__(self, root: Path, encoding: str = UTF8) -> None:
        self._root = root
        self._encoding = encoding
        self._files = [
            base for folder in places(root) for base in (folder / "mimic-cxr-reports" / "files", folder / "files") if base.is_dir()
        ]
        self._archive: Archive | None = None
        self._stack = ExitStack()
        self._prefix = ""

    def __enter__(self) -> Self:
        path = find_part(self._root, REPORTS)
        if path is not None:
            self._archive = self._stack.enter_context(open_archive(path))
            first = min((name for name in self._archive.names if name.endswith(".txt")), default="")
            self._prefix = first[: max(0, first.find("p1"))]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, subject: str, study: str) -> str:
        """Return a report as it stands.

        Raises:
            DataError: it is nowhere, not in the encoding, or larger than any report is.
        """
        name = f"{study_folder(subject, study)}.txt"
        if self._archive and self._prefix + name in self._archive.names:
            return self._archive.read_text(self._prefix + name, encoding=self._encoding)
        path = next((base / name for base in self._files if (base / name).is_file()), None)
        if path is None:
            raise DataError(
                f"{self._root}: no report {name}", hint=f"reports come as {REPORTS} with MIMIC-CXR; give the folder that holds it"
            )
        return read_text(path, encoding=self._encoding)


def has_reports(root: Path) -> bool:
    """Say whether there is a zip or a folder of reports."""
    if find_part(root, REPORTS) is not None:
        return True
    return any(_holds(base, ".txt", _DEEP) for folder in places(root) for base in (folder / "mimic-cxr-reports", folder / "files"))
