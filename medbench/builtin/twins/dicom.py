"""Writing small DICOM files by hand: grey pixels, raw or as baseline JPEG, and the few tags that a decoder needs."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

RAW = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
ROOT = "2.25.1"
"""Root of the numbers that name files and classes of this generator; 2.25 is open to everybody."""

_LONG = frozenset({"OB", "OW", "SQ", "UN"})
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

Tags = Mapping[tuple[int, int], tuple[str, str | int]]
"""Tag -> value representation (`CS`, `US` …) and value."""


def write_dicom(
    path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16], number: int, tags: Tags, *, bits: int = 8, jpeg: bool = False
) -> None:
    """Write one grey picture of shape (height, width) in explicit VR little endian; its folder is made.

    Args:
        path: the file.
        pixels: 8-bit, or 16-bit of which `bits` are used.
        number: makes the file's own identifier.
        tags: further tags; they may replace those written here.
        bits: bits stored.
        jpeg: whether the pixels go in as baseline JPEG, which takes 8 bits only.
    """
    height, width = pixels.shape
    allocated = 8 * pixels.dtype.itemsize
    grey: dict[tuple[int, int], tuple[str, str | int]] = {
        (0x0008, 0x0016): ("UI", _SECONDARY_CAPTURE),
        (0x0008, 0x0018): ("UI", f"{ROOT}.{number}"),
        (0x0028, 0x0002): ("US", 1),
        (0x0028, 0x0004): ("CS", "MONOCHROME2"),
        (0x0028, 0x0010): ("US", height),
        (0x0028, 0x0011): ("US", width),
        (0x0028, 0x0100): ("US", allocated),
        (0x0028, 0x0101): ("US", bits),
        (0x0028, 0x0102): ("US", bits - 1),
        (0x0028, 0x0103): ("US", 0),
    }
    grey.update(tags)
    body = b"".join(_element(tag, *grey[tag]) for tag in sorted(grey))
    if jpeg:
        body += b"".join(_fragments(pixels))
    else:
        body += _header((0x7FE0, 0x0010), "OB" if allocated == 8 else "OW", pixels.nbytes + pixels.nbytes % 2)
        body += pixels.astype(pixels.dtype.newbyteorder("<")).tobytes() + b"\0" * (pixels.nbytes % 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * 128 + b"DICM" + _meta(number, JPEG if jpeg else RAW) + body)


def _meta(number: int, syntax: str) -> bytes:
    tags: dict[tuple[int, int], tuple[str, str | int]] = {
        (0x0002, 0x0002): ("UI", _SECONDARY_CAPTURE),
        (0x0002, 0x0003): ("UI", f"{ROOT}.{number}"),
        (0x0002, 0x0010): ("UI", syntax),
        (0x0002, 0x0012): ("UI", f"{ROOT}.0"),
    }
    version = _header((0x0002, 0x0001), "OB", 2) + b"\0\1"
    group = version + b"".join(_element(tag, *tags[tag]) for tag in sorted(tags))
    return _header((0x0002, 0x0000), "UL", 4) + struct.pack("<I", len(group)) + group


def _fragments(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Iterator[bytes]:
    """Yield the encapsulated pixels: an empty table of offsets, one fragment, the end of the sequence."""
    encoded = io.BytesIO()
    Pil.fromarray(pixels.astype(np.uint8)).save(encoded, format="JPEG", quality=88, optimize=False, progressive=False)
    content = encoded.getvalue() + b"\0" * (len(encoded.getvalue()) % 2)
    yield _header((0x7FE0, 0x0010), "OB", 0xFFFFFFFF)
    yield struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    yield struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content
    yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _element(tag: tuple[int, int], kind: str, value: str | int) -> bytes:
    if isinstance(value, int):
        return _header(tag, kind, 2) + struct.pack("<H", value)
    raw = value.encode("ascii")
    raw += (b"\0" if kind == "UI" else b" ") * (len(raw) % 2)
    return _header(tag, kind, len(raw)) + raw


def _header(tag: tuple[int, int], kind: str, length: int) -> bytes:
    start = struct.pack("<HH2s", *tag, kind.encode())
    return start + (struct.pack("<HI", 0, length) if kind in _LONG else struct.pack("<H", length))
