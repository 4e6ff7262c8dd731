"""Pictures as arrays: opened alike whatever made them, with what is unusual about them known."""

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
PLAIN, GREY, CLEAR = range(3)
NAMED = 3
"""How many pictures are named before the rest is only counted."""


def open_picture(path: str | Path) -> Array:
    """Return a picture as RGB, uint8 of shape (height, width, 3); grey is repeated, transparency is dropped, as in clean-fid.

    Sixteen bits are brought to eight, which Pillow would cut off instead.

    Raises:
        DataError: it cannot be decoded.
    """
    with _opened(path) as opened:
        return _rgb(opened)


def open_buffer(path: str | Path) -> Array:
    """Return the pixels as the file has them, uint8: two dimensions where it is grey, four channels where it is transparent.

    Raises:
        DataError: it cannot be decoded.
    """
    with _opened(path) as opened:
        return np.asarray(opened) if opened.mode in {"L", "LA", "RGB", "RGBA"} else _rgb(opened)


class Looks:
    """What there is to say of a picture by itself, in the place of a network: kept like features, so that none is decoded twice."""

    name = identity = "looks-v1"

    @staticmethod
    def open(path: str) -> Array:
        """Return brightest value (0 to 255), width, height, and whether it is plain, grey or transparent: float32, shape (4,)."""
        with _opened(path) as opened:
            kind = CLEAR if opened.has_transparency_data else GREY if opened.mode in {"1", "L", "F"} or opened.mode[0] == "I" else PLAIN
            return np.array([_rgb(opened).max(initial=0), *opened.size, kind], dtype=np.float32)

    @staticmethod
    def features(pictures: Sequence[Array]) -> Array:
        """Return them below each other, shape (n, 4)."""
        return np.stack(pictures)


def black_ones(looks: Array) -> Array:
    """Return a boolean mask of the pictures with nothing to see."""
    mask: Array = looks[:, 0] < BLACK
    return mask


def peculiarities(looks: Array, names: Sequence[str], digests: Sequence[str]) -> str:
    """Return in words what is unusual about drawn pictures; empty: nothing.

    Args:
        looks: Shape (n, 4).
        names: What each is called.
        digests: Of their files.
    """
    black = [names[i] for i in np.flatnonzero(black_ones(looks))]
    listed = ", ".join(black[:NAMED]) + (" …" if len(black) > NAMED else "")
    sizes = Counter((int(width), int(height)) for _, width, height, _ in looks)
    (width, height), most = sizes.most_common(1)[0] if sizes else ((0, 0), 0)
    grey, clear = (int((looks[:, 3] == kind).sum()) for kind in (GREY, CLEAR))
    repeated = len(digests) - len(set(digests))
    said = (
        (len(black), f"black (a safety filter, or a failed decoding): {listed}"),
        (len(looks) - most, f"of another size than the rest ({len(sizes)} sizes, most often {width}x{height})"),
        (grey, "grey, and repeated over three channels"),
        (clear, "transparent, which is dropped"),
        (repeated, "the very same file as another"),
    )
    return "; ".join(f"{count:,} drawn {'picture is' if count == 1 else 'pictures are'} {what}" for count, what in said if count)


def _opened(path: str | Path) -> Image.Image:
    try:
        opened = Image.open(path)
        opened.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be decoded ({error})", hint="replace that file, or leave it out") from None
    return opened


def _rgb(opened: Image.Image) -> Array:
    if opened.mode[0] == "I":
        values = np.asarray(opened).clip(0, 65535)
        wide = opened.mode != "I" or values.max(initial=0) > 255
        opened = Image.fromarray((values // 257 if wide else values).astype(np.uint8))
    return np.asarray(opened.convert("RGB"))
