"""Putting a twin on disk: whole or not at all, never over somebody's files, the same bytes for the same seed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from medbench.builtin.datasets import CARDS
from medbench.builtin.twins.marker import PICTURES, Marker, read_marker
from medbench.errors import StorageError, UsageError
from medbench.roots import MARKER
from medbench.types import Struct

GENERATOR = "1"
"""Raised when pictures or wording change, so that old twins can be told from new ones."""

DEFAULT_SIZE = 100
"""Test groups of a twin when no size is asked for; train has three times as many."""


class Stamp(Struct):
    """Which twin is being written."""

    dataset: str
    version: str
    seed: int
    size: int


def stamp(dataset: str, seed: int, size: int) -> Stamp:
    """Return what is to be written: the card's version, the default size in place of 0.

    Raises:
        UsageError: the size is negative.
    """
    if size < 0:
        raise UsageError(f"a twin of {size} test groups cannot be made", hint=f"a positive number, or 0 for {DEFAULT_SIZE}")
    version = next(card.version for card in CARDS if card.name == dataset)
    return Stamp(dataset=dataset, version=version, seed=seed, size=size or DEFAULT_SIZE)


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random numbers of one thing: they depend on the seed and its names, never on what was drawn before."""
    text = "\0".join(map(str, (seed, *names)))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little"))


@contextmanager
def new_twin(root: Path, own: str) -> Iterator[Path]:
    """Give a folder beside `root` to write into, and put it in the place of `root` when the block ends well.

    Args:
        root: where the twin shall be; missing, empty, or an older twin, which is replaced.
        own: regular expression of the relative paths that such a twin consists of.

    Raises:
        StorageError: `root` holds something else, or the disk refuses.
    """
    _refuse_foreign(root, own)
    partial = root.parent / f".{root.name}.{os.getpid()}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        _swap(partial, root)
    except OSError as error:
        raise StorageError(f"{root}: the twin cannot be written ({error})", hint="is there space, and may you write there?") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_marker(folder: Path, made: Stamp, counts: dict[str, int]) -> None:
    """Write the marker: what the twin was made as, and what it holds."""
    images = sum(p.suffix in PICTURES for p in folder.rglob("*"))
    marker = Marker(
        dataset=made.dataset, version=made.version, seed=made.seed, generator=GENERATOR, size=made.size, counts=counts, images=images
    )
    (folder / MARKER).write_bytes(msgspec.json.encode(marker, order="deterministic") + b"\n")


def write_json(path: Path, value: Any, indent: int | None = None) -> None:
    """Write JSON as UTF-8, keys in the order given."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False), encoding="utf-8", newline="\n")


def write_jpeg(path: Path, pixels: NDArray[np.uint8], mode: str = "RGB") -> None:
    """Write a picture of shape (height, width) or (height, width, 3) as a JPEG of a Pillow mode, with fixed settings."""
    settings: dict[str, Any] = {} if mode == "L" else {"subsampling": "4:2:0"}
    Pil.fromarray(pixels).convert(mode).save(path, format="JPEG", quality=88, optimize=False, progressive=False, **settings)


def write_png(path: Path, grey: NDArray[np.uint8]) -> None:
    """Write a grey picture of shape (height, width) as an 8-bit PNG with fixed settings."""
    Pil.fromarray(grey).save(path, format="PNG", compress_level=2, optimize=False)


def _refuse_foreign(root: Path, own: str) -> None:
    if not root.exists():
        return
    hint = "give a new or empty folder"
    if not root.is_dir():
        raise StorageError(f"{root} is a file", hint=hint)
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if not p.is_dir())
    foreign = [name for name in files if name != MARKER and not re.fullmatch(own, name)]
    if foreign or (files and read_marker(root) is None):
        raise StorageError(f"{root} holds files that are no twin's ({(foreign or files)[0]})", hint=hint)


def _swap(partial: Path, root: Path) -> None:
    old = root.parent / f".{root.name}.{os.getpid()}.old"
    with suppress(FileNotFoundError):
        root.rename(old)
    try:
        partial.rename(root)
    except OSError:
        if read_marker(root) is None:  # else another process has just written a twin there, as good as ours
            raise
    shutil.rmtree(old, ignore_errors=True)
