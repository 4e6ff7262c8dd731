"""Reading files that other people made: every refusal names the file and the place in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NoReturn

from medbench.errors import DataError

MAX_BYTES = 32 << 20
"""Largest JSON file that is read at once: six times the largest that is known; parsed, the worst of that size takes 0.8 GB."""

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')


def read_json(path: Path) -> Any:
    """Return the content of a UTF-8 JSON file (a byte order mark is allowed).

    Raises:
        DataError: the file is missing, too large, not UTF-8, torn, holds a bare NaN or Infinity, or says one key twice; the message
            gives line and column where there are such.
    """
    text = _text(path)
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise DataError(f"{path}: not valid JSON at {place} ({error.msg})", hint="is the download complete?") from error
    except _ConstantError as error:
        raise DataError(f"{path}: bare {error} at {_place_of_constant(text)}", hint="JSON has no such value; use null") from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply to be read", hint="is this the right file?") from error
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error})", hint="mend the file or fetch it again") from error


def rows_of(path: Path, value: Any, where: str = "") -> list[dict[str, Any]]:
    """Return `value` as a list of objects, as read from `path`.

    Raises:
        DataError: it is no list, or an entry is no object; the message gives its index.
    """
    if not isinstance(value, list):
        raise DataError(f"{path}: {where or 'the file'} holds {_kind(value)}, expected a list", hint="is this the right file?")
    for index, row in enumerate(value):
        if not isinstance(row, dict):
            raise DataError(f"{path}: {place(index, where)} is {_kind(row)}, expected an object", hint="is this the right file?")
    return value


def text_field(path: Path, row: Mapping[str, Any], name: str, where: str) -> str:
    """Return a field as stripped text; numbers become text, a missing field, null or the word NULL becomes empty.

    Raises:
        DataError: the field holds true, false, a list or an object.
    """
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{path}: {where}: {name} is {_kind(value)}, expected text", hint="mend the row or fetch the file again")
    text = str(value).strip()
    return "" if text == "NULL" else text


def required_field(path: Path, row: Mapping[str, Any], name: str, where: str) -> str:
    """Return a field as `text_field` does.

    Raises:
        DataError: it is missing or empty, or of a wrong type.
    """
    text = text_field(path, row, name, where)
    if not text:
        raise DataError(f"{path}: {where}: {name} is missing or empty", hint="mend the row or fetch the file again")
    return text


_PLAIN = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)*")
"""Paths that need no second look: nearly all of them, a hundred thousand times over."""


def inner_path(path: Path, name: str, where: str) -> str:
    """Return `name` as a normal relative path with forward slashes.

    Raises:
        DataError: it is absolute, climbs out of its folder with `..`, or holds a NUL.
    """
    if _PLAIN.fullmatch(name):
        return name
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or "\0" in name or PurePosixPath(parts[0]).is_absolute() or PureWindowsPath(name).drive:
        raise DataError(f"{path}: {where}: the path {name!r} leads out of the data folder", hint="paths are relative to the images' folder")
    return "/".join(parts)


def place(index: int, where: str = "") -> str:
    """Return how messages name the entry of a list: its index, counted from 0.

    >>> place(3, "test")
    'test[3]'
    """
    return f"{where}[{index}]" if where else f"entry {index}"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", hint="is this the right data folder?") from error
    if len(raw) > MAX_BYTES:
        raise DataError(f"{path}: more than {MAX_BYTES:,} bytes", hint="is this the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_column(raw[: error.start])
        raise DataError(
            f"{path}: not UTF-8 at line {line}, column {column} (byte 0x{raw[error.start]:02x})", hint="save the file as UTF-8"
        ) from error


def _line_column(before: bytes | str) -> tuple[int, int]:
    newline = b"\n" if isinstance(before, bytes) else "\n"
    return before.count(newline) + 1, len(before) - before.rfind(newline)  # type: ignore[arg-type]


class _ConstantError(ValueError):
    """NaN or Infinity where JSON has no word for them."""


def _no_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _place_of_constant(text: str) -> str:
    start = next(m.start() for m in _TOKENS.finditer(text) if not m.group().startswith('"'))
    line, column = _line_column(text[:start])
    return f"line {line}, column {column}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} is there twice in one object")
    return made


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "true or false", dict: "an object", list: "a list", str: "text"}.get(type(value), "a number")
