"""Texts inside files and zips that other people made: strict UTF-8, every size bounded before anything is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medbench.errors import DataError

MAX_TEXT = 1 << 20
"""Most bytes of one text: a hundred times a long radiology report."""

UTF8 = "utf-8-sig"
"""UTF-8 with or without a byte order mark."""


def read_text(path: Path, limit: int = MAX_TEXT, encoding: str = UTF8) -> str:
    """Return a whole file of at most `limit` bytes as text.

    Raises:
        DataError: it is missing, larger, or not in that encoding; the message gives line and column.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", hint="is this the right data folder?") from error
    return _decoded(str(path), raw, limit, encoding)


class Archive:
    """A zip that is open for reading; members are read one at a time."""

    def __init__(self, path: Path, opened: zipfile.ZipFile) -> None:
        self._path = path
        self._zip = opened
        self.names = frozenset(opened.namelist())
        """The members, as the zip names them."""

    def read_text(self, name: str, limit: int = MAX_TEXT, encoding: str = UTF8) -> str:
        """Return a member as text.

        Raises:
            DataError: there is no such member, it is larger than `limit` when unpacked, damaged, or not in that encoding.
        """
        return _decoded(f"{self._path}/{name}", self.read(name, limit), limit, encoding)

    def read(self, name: str, limit: int = MAX_TEXT) -> bytes:
        """Return the bytes of a member.

        Raises:
            DataError: there is no such member, it is larger than `limit` when unpacked, encrypted or damaged.
        """
        try:
            with self._zip.open(name) as member:  # what a member says of its own size may be a lie
                raw = member.read(limit + 1)
        except KeyError:
            raise DataError(f"{self._path}: holds no {name}", hint="is this the right archive?") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{self._path}/{name}: cannot be unpacked ({error})", hint="fetch the archive again") from error
        if len(raw) > limit:
            raise DataError(f"{self._path}/{name}: unpacks to more than {limit:,} bytes", hint="is this the right archive?")
        return raw


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Give the zip at `path`, closed at the end of the block.

    Raises:
        DataError: it is missing or no zip.
    """
    try:
        opened = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a zip ({error})", hint="is the download complete?") from error
    with opened:
        yield Archive(path, opened)


def _decoded(name: str, raw: bytes, limit: int, encoding: str) -> str:
    if len(raw) > limit:
        raise DataError(f"{name}: more than {limit:,} bytes", hint="is this the right file?")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        fault = f"not UTF-8 at line {line}, column {column} (byte 0x{raw[error.start]:02x})"
        hint = "save it as UTF-8, or name its encoding where the reader takes it: --param reader.encoding=latin-1"
        raise DataError(f"{name}: {fault}", hint=hint) from error
