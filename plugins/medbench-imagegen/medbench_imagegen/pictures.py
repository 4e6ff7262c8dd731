"""Pictures as arrays: opened alike whatever made them, with what was unusual about them counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medbench.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

BLACK = 8
"""A picture whose brightest pixel is darker (of 255) is black: a safety filter's, or a failed decoding."""


def open_picture(path: str | Path) -> Array:
    """Return a picture as RGB, uint8 of shape (height, width, 3); grey is repeated, transparency is dropped, as in clean-fid.

    Raises:
        DataError: it cannot be decoded.
    """
    try:
        with Image.open(path) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be decoded ({error})", hint="draw it again, or leave it out") from None


def is_black(picture: Array) -> bool:
    """Say whether there is nothing to see in a picture."""
    return int(picture.max(initial=0)) < BLACK


def peculiarities(paths: Sequence[str]) -> str:
    """Return in words what is unusual about files of a set: several sizes, grey or transparent ones; empty: nothing."""
    sizes: Counter[tuple[int, int]] = Counter()
    modes: Counter[str] = Counter()
    for path in paths:
        with Image.open(path) as opened:
            sizes[opened.size] += 1
            modes[opened.mode] += 1
    said = []
    if len(sizes) > 1:
        (width, height), count = sizes.most_common(1)[0]
        said.append(f"{len(sizes)} sizes of drawn pictures (most often {width}x{height}, {count} of {len(paths)})")
    grey = sum(count for mode, count in modes.items() if mode in {"L", "1", "I", "I;16", "F"})
    if grey:
        said.append(f"{grey} grey pictures were repeated over three channels")
    clear = sum(count for mode, count in modes.items() if mode in {"RGBA", "LA", "PA"})
    if clear:
        said.append(f"the transparency of {clear} pictures was dropped")
    return "; ".join(said)
