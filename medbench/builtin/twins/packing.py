"""Files that twins are made of: tables, gzips and zips whose bytes depend on their content alone, and grey JPEGs."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can give a member."""


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], *, delimiter: str = ",") -> None:
    """Write a table with a header as UTF-8, lines ended by a line feed, fields quoted where they must be; gzipped for `.gz`."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, gzipped for `.gz`; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 6, mtime=0) if path.suffix == ".gz" else content)


def write_zip(path: Path, members: Mapping[str, str]) -> None:
    """Write texts as a zip, in the order given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, text in members.items():
            made = zipfile.ZipInfo(name, _EPOCH)
            made.create_system = 3
            made.external_attr = 0o644 << 16
            archive.writestr(made, text.encode(), zipfile.ZIP_DEFLATED)


def write_grey_jpeg(path: Path, grey: NDArray[np.uint8], quality: int = 88) -> None:
    """Write a grey picture of shape (height, width) as a one-channel JPEG with fixed settings; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Pil.fromarray(grey).save(path, format="JPEG", quality=quality, optimize=False, progressive=False)
