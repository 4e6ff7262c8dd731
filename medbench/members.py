"""Pictures inside a container file (`train.npz#train_images:17`, `part.parquet#image:5`): named, bounded, opened one at a time."""

from __future__ import annotations

import math
import re
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from medbench.errors import InputError

if TYPE_CHECKING:
    from PIL import Image as Pil

MAX_BYTES = 384 << 20
"""Largest array or block of rows that is unpacked, and most that is kept: PneumoniaMNIST at 224 pixels needs 236 million."""

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP")
"""What a cell of a parquet file may hold."""

PARQUET = "reading parquet needs pyarrow: pip install 'medbench[parquet]'"

_MEMBER = re.compile(r"(?P<file>.+\.(?:npz|parquet))#(?P<part>[^#:]+):(?P<number>\d+)", re.DOTALL)


def member_path(file: str, part: str, number: int) -> str:
    """Return how a picture inside a container is named: the array or column, and its place from 0.

    >>> member_path("pneumoniamnist.npz", "test_images", 3)
    'pneumoniamnist.npz#test_images:3'
    """
    return f"{file}#{part}:{number}"


def container_of(path: str) -> str:
    """Return the file on disk that holds a picture: the path itself unless it names a member.

    >>> container_of("a/b.npz#x:0"), container_of("a/b.png")
    ('a/b.npz', 'a/b.png')
    """
    found = _MEMBER.fullmatch(path)
    return found["file"] if found else path


def open_picture(path: str) -> Pil.Image:
    """Open a picture inside a container; nothing of an encoded picture but its header is decoded yet.

    Raises:
        InputError: the container is broken or too large, or holds no such picture.
        OSError: the container is missing, or the bytes are no picture.
    """
    from PIL import Image as Pil  # noqa: PLC0415 - loaded by those who decode

    found = _MEMBER.fullmatch(path)
    if not found:
        raise InputError(f"{path}: names no picture in a container")
    file, part, number = Path(found["file"]), found["part"], int(found["number"])
    try:
        return (
            _from_npz(file, part, number)
            if file.suffix == ".npz"
            else Pil.open(BytesIO(_from_parquet(file, part, number)), formats=FORMATS)
        )
    except IndexError:
        raise InputError(f"{path}: there is no picture of that number") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        raise InputError(f"{path}: cannot be unpacked ({error})") from error


class _Recent:
    """What was unpacked lately, up to a number of bytes; threads that want the same thing wait for one to unpack it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._kept:
                made = make()
                while self._kept and made.nbytes + sum(kept.nbytes for kept in self._kept.values()) > self._limit:
                    self._kept.popitem(last=False)
                self._kept[key] = made
            self._kept.move_to_end(key)
            return self._kept[key]


_recent = _Recent(MAX_BYTES)


def _stamp(file: Path) -> tuple[str, int, int]:
    status = file.stat()
    return (str(file), status.st_size, status.st_mtime_ns)


def array_shape(file: Path, name: str, limit: int = MAX_BYTES) -> tuple[int, ...]:
    """Return the shape of an array of an `.npz` by its header alone; raises as `read_array`."""
    with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as stream:
        return _header(stream, name, limit)[0]


def read_array(file: Path, name: str, limit: int = MAX_BYTES) -> Any:
    """Return an array of an `.npz`, which may hold no Python objects.

    Args:
        file: The archive.
        name: The array, without `.npy`.
        limit: Most bytes that it may have, by its header, before anything is unpacked.

    Raises:
        KeyError: there is no such array.
        ValueError: it is larger, or holds objects, or is no array.
        OSError, zipfile.BadZipFile, zlib.error, EOFError: the file cannot be read.
    """
    import numpy as np  # noqa: PLC0415 - loaded by those who decode

    with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as stream:
        shape, fortran, kind, size = _header(stream, name, limit)
        raw, at = bytearray(size), 0
        while at < size:
            chunk = stream.read(min(1 << 20, size - at))
            if not chunk:
                raise EOFError(f"{name} ends after {at:,} of {size:,} bytes")
            raw[at : at + len(chunk)] = chunk
            at += len(chunk)
    return np.frombuffer(raw, dtype=kind).reshape(shape, order="F" if fortran else "C")


def _header(stream: IO[bytes], name: str, limit: int) -> tuple[tuple[int, ...], bool, Any, int]:
    """Return shape, order, type and bytes of an array."""
    from numpy.lib import format as npy  # noqa: PLC0415 - loaded by those who decode

    version = npy.read_magic(stream)
    shape, fortran, kind = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(stream)
    if kind.hasobject:
        raise ValueError(f"{name} holds Python objects")
    size = math.prod(shape) * kind.itemsize
    if size > limit:
        raise ValueError(f"{name} has {size:,} bytes, more than {limit:,}")
    return shape, fortran, kind, size


def _from_npz(file: Path, part: str, number: int) -> Pil.Image:
    import numpy as np  # noqa: PLC0415 - loaded by those who decode
    from PIL import Image as Pil  # noqa: PLC0415 - loaded by those who decode

    array = _recent.get((_stamp(file), part), lambda: read_array(file, part))
    pixels = array[number]
    if pixels.dtype != np.uint8 or pixels.ndim not in {2, 3}:
        raise ValueError(f"{part} holds {pixels.dtype} of shape {pixels.shape}, expected 8-bit pictures")
    return Pil.fromarray(np.ascontiguousarray(pixels))


def _from_parquet(file: Path, part: str, number: int) -> bytes:
    """Return the bytes of one picture; only the row group that holds it is read."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError(f"{file}: {PARQUET}") from error
    try:
        with parquet.ParquetFile(file) as opened:
            group, row = _group_of(opened, number)
            return _cell(_recent.get((_stamp(file), part, group), lambda: _rows(opened, group, part)), row)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _group_of(opened: Any, number: int) -> tuple[int, int]:
    """Return the row group of a row of the file, and the row's place in it."""
    row = number
    for group in range(opened.num_row_groups):
        held = opened.metadata.row_group(group).num_rows
        if row < held:
            return group, row
        row -= held
    raise IndexError(number)


def _rows(opened: Any, group: int, part: str) -> Any:
    size = opened.metadata.row_group(group).total_byte_size
    if size > MAX_BYTES:
        raise ValueError(f"row group {group} has {size:,} bytes, more than {MAX_BYTES:,}")
    return opened.read_row_group(group, columns=[part]).column(part)


def _cell(column: Any, row: int) -> bytes:
    value = column[row].as_py()
    raw = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(raw, bytes):
        raise ValueError("the cell holds no picture")  # noqa: TRY004 - the file's fault, not the caller's
    return raw
