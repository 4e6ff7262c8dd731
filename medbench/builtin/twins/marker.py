"""The file that tells a synthetic twin from real data, and what it says the folder should hold."""

from __future__ import annotations

from pathlib import Path

import msgspec

from medbench.errors import DataError, Problem
from medbench.roots import MARKER
from medbench.types import Struct

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".dcm", ".dicom"})


class Marker(Struct, omit_defaults=True):
    """What a twin was made as, and how much of everything it holds."""

    dataset: str
    version: str
    """Version of the dataset's card, which is raised when the same seed gives another twin."""
    seed: int
    generator: str
    """Version of the code that draws and words the twins."""
    size: int
    """Test groups asked for."""
    counts: dict[str, int]
    """Split -> rows in the files."""
    images: int
    """Picture files under the root."""
    access: str = "synthetic"
    """The tier that the twin is treated as: `credentialed` rehearses, without any patient, what real data would need."""


def read_marker(root: Path) -> Marker | None:
    """Return what the marker at `root` says; None: there is none, the data is real.

    Raises:
        DataError: the marker is there but torn or not ours.
    """
    path = root / MARKER
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", hint="check the permissions of the folder") from error
    try:
        return msgspec.json.decode(raw, type=Marker)
    except msgspec.DecodeError as error:
        raise DataError(f"{path}: not a marker of a twin ({error})", hint=_again(root)) from error


def shortfalls(root: Path, marker: Marker, counts: dict[str, int]) -> list[Problem]:
    """Return where a twin's folder no longer holds what its marker says: rows per split, picture files."""
    found = {**dict.fromkeys(marker.counts, 0), **counts}
    problems = [
        Problem(f"{root}: this twin has {found[split]} {split} rows, its marker says {marker.counts.get(split, 0)}", _again(root))
        for split in sorted(found)
        if found[split] != marker.counts.get(split, 0)
    ]
    images = sum(p.suffix in PICTURES for p in root.rglob("*"))
    if images != marker.images:
        problems.append(Problem(f"{root}: this twin has {images} pictures, its marker says {marker.images}", _again(root)))
    return problems


def require_whole(root: Path, counts: dict[str, int]) -> None:
    """Do nothing for real data and for a whole twin.

    Raises:
        DataError: `root` is a twin and something of it is missing.
    """
    marker = read_marker(root)
    if marker is None:
        return
    for problem in shortfalls(root, marker, counts):
        raise DataError(problem.message, hint=problem.hint)


def _again(root: Path) -> str:
    return f"the twin was cut short or edited: delete {root} and write it again"
