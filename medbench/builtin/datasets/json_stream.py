"""Large JSON lists that other people made, read one object at a time, so that memory does not grow with the file."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from medbench.errors import DataError

MAX_OBJECT = 8 << 20
"""Most characters of one object of the list."""

_CHUNK = 1 << 20
_BLANK = re.compile(r"[ \t\r\n]*")

Found = tuple[str, int, dict[str, Any]]
"""The top-level key under which the object stands (empty: the file is one list), its line, and the object."""


def stream_objects(path: Path, *, nan: bool = False) -> Iterator[Found]:
    """Yield the objects of a UTF-8 JSON file that is a list of objects, or an object of such lists.

    Args:
        path: the file.
        nan: take a bare `NaN` for null, for the files that are known to hold it.

    Raises:
        DataError: the file is missing, not UTF-8, torn, of another shape, or holds a bare NaN or Infinity; with the line.
    """
    yield from _Stream(path, nan=nan).objects()


class _Stream:
    """A window of text that moves over the file, and what is parsed from it."""

    def __init__(self, path: Path, *, nan: bool) -> None:
        self._path = path
        self._decoder = json.JSONDecoder(parse_constant=_null if nan else self._constant, object_pairs_hook=self._unique)
        self._text = ""
        self._at = 0
        self._line = 1
        self._counted = 0
        self._ended = False
        self._file = iter(())  # type: Iterator[str]

    def objects(self) -> Iterator[Found]:
        self._file = self._chunks()
        opening = self._take("[{")
        if opening == "[":
            yield from self._list("")
        elif not self._next_is("}"):
            while True:
                key = self._value(str, "a key")
                self._take(":")
                self._take("[")
                yield from self._list(key)
                if self._take(",}") == "}":
                    break
        if self._look():
            self._refuse("text after the end")

    def _list(self, key: str) -> Iterator[Found]:
        if self._next_is("]"):
            return
        while True:
            self._look()
            line = self._here()
            yield key, line, self._value(dict, "an object")
            if self._take(",]") == "]":
                return

    def _value(self, kind: type, what: str) -> Any:
        """Parse one value at the window's place, widening the window while the value may go on behind it."""
        self._look()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._more():
                    continue
                self._at = min(error.pos, len(self._text))
                self._refuse(error.msg)
            except (ValueError, RecursionError) as error:
                self._refuse(str(error) if isinstance(error, ValueError) else "nested too deeply")
            if not isinstance(value, kind):
                self._refuse(f"expected {what}")
            self._at = end
            return value

    def _take(self, wanted: str) -> str:
        """Step over the next character, which must be one of `wanted`."""
        found = self._look()
        if not found or found not in wanted:
            self._refuse(f"expected {' or '.join(wanted)}, found {found or 'the end of the file'}")
        self._at += 1
        return found

    def _next_is(self, wanted: str) -> bool:
        if self._look() != wanted:
            return False
        self._at += 1
        return True

    def _look(self) -> str:
        """Return the next character that is no blank; empty: the file ends."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Drop what was parsed and add the next piece of the file; False: there is none, or the value is too large."""
        if self._ended:
            return False
        self._here()
        self._text, self._at, self._counted = self._text[self._at :], 0, 0
        if len(self._text) > MAX_OBJECT:
            self._refuse(f"one value of more than {MAX_OBJECT:,} characters")
        piece = next(self._file, None)
        self._ended = piece is None
        self._text += piece or ""
        return not self._ended

    def _here(self) -> int:
        """Return the line of the window's place."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _chunks(self) -> Iterator[str]:
        decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        try:
            with self._path.open("rb") as file:
                while raw := file.read(_CHUNK):
                    yield decode(raw)
            yield decode(b"", final=True)
        except UnicodeDecodeError as error:
            self._at = len(self._text)
            self._refuse(f"not UTF-8 after this line (byte 0x{error.object[error.start]:02x})")
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read ({error.strerror})", hint="is this the right data folder?") from error

    def _refuse(self, fault: str) -> NoReturn:
        raise DataError(f"{self._path}: line {self._here()}: {fault}", hint="is the download complete, and is this the right file?")

    def _constant(self, name: str) -> NoReturn:
        raise ValueError(f"bare {name}: JSON has no such value")

    def _unique(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            raise ValueError("an object has one key twice")
        return made


def _null(name: str) -> None:  # noqa: ARG001 - the decoder passes the word
    return None
