"""Reading tables that other people made: strict CSV, plain or gzipped, in bounded memory; every refusal names file and line."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, NoReturn

from medbench.errors import DataError
from medbench.types import Split

MAX_BYTES = 2 << 30
"""Most bytes that are read of one table, after decompression: four times the largest that is known."""

MAX_LINE = 1 << 20
"""Longest line of a table in bytes."""

_BLOCK = 1 << 18
_ROWS = 64
"""Rows that are looked at together: most are as the header says, and then cost no more than the parser itself."""

SPLITS: dict[str, Split] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validate": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""How datasets spell the three splits, in lower case."""

_LABELS: Mapping[str, float | None] = {
    "1.0": 1.0, "1": 1.0, "0.0": 0.0, "0": 0.0, "-1.0": -1.0, "-1": -1.0, "-0.0": 0.0, "": None,
}  # fmt: skip

_Piece = tuple[int, list[list[str]], int]
"""The line on which the first row begins, some rows, and the line on which the last one ends."""

_Pick = Callable[[list[str]], tuple[str, ...]]

Line = tuple[int, tuple[str, ...]]
"""The line on which a row ends, counted from 1 with the header, and the values of the columns asked for."""


def find_table(root: Path, *names: str) -> Path | None:
    """Return the first of `names` that stands in `root`, as it is or with `.gz`; None: there is none."""
    return next((path for name in names for path in (root / name, root / f"{name}.gz") if path.is_file()), None)


def read_table(
    path: Path, columns: Sequence[str], *, optional: Sequence[str] = (), delimiter: str = ",", ragged: bool = False
) -> Iterator[Line]:
    """Yield the rows of a UTF-8 table with a header, one at a time.

    Args:
        path: `.csv`, or gzipped `.csv.gz`.
        columns: names that the header must have.
        optional: further names; a column that is not there gives empty values.
        delimiter: what stands between fields.
        ragged: rows may have fewer or more fields than the header, as long as the columns asked for are there.

    Yields:
        (line, values): values in the order of `columns`, then `optional`, as they stand in the file.

    Raises:
        DataError: the file is missing, no gzip, torn, not UTF-8, lacks a column, or a row has another number of fields than
            the header; the message gives the line.
    """
    pieces = _pieces(path, delimiter)
    empty: _Piece = (1, [[]], 1)
    first, (header, *rows), last = next(pieces, empty)
    places = _places(path, _named(path, header), columns, optional)
    pick, width = _picker(places), len(header)
    first += 1 + sum(name.count("\n") for name in header)
    for start, body, end in chain([(first, rows, last)], pieces):
        if end - start + 1 == len(body) and max(places) < width and set(map(len, body)) <= {width}:
            yield from zip(range(start, end + 1), map(pick, body), strict=True)
        else:
            yield from _odd_rows(path, start, body, width, max((p for p in places if p < width), default=-1) if ragged else None, pick)


def _pieces(path: Path, delimiter: str) -> Iterator[_Piece]:
    """Yield some rows at a time.

    Where nothing is quoted, a row is a line cut at its delimiters, which takes half as long as the parser; from the first
    quote on, it is the parser's.
    """
    texts, before = _texts(path), 0
    for text in texts:
        if '"' in text or "\r" in text:
            yield from _parsed(path, chain([text], texts), delimiter, before)
            return
        lines = text.removesuffix("\n").split("\n")
        yield before + 1, [line.split(delimiter) if line else [] for line in lines], before + len(lines)
        before += len(lines)


def _parsed(path: Path, texts: Iterable[str], delimiter: str, before: int) -> Iterator[_Piece]:
    reader = csv.reader(_lines(texts), delimiter=delimiter, strict=True)
    last = 0
    try:
        while rows := list(islice(reader, _ROWS)):
            first, last = last + 1, reader.line_num
            yield before + first, rows, before + last
    except csv.Error as error:
        _refuse(path, before + reader.line_num, str(error), "is the download complete?" if before + last else "is this the right file?")


def _odd_rows(path: Path, line: int, rows: list[list[str]], width: int, needed: int | None, pick: _Pick) -> Iterator[Line]:
    """Yield rows among which some are blank, span lines, or lack a column; `needed`: the last field that a ragged one must have."""
    for row in rows:
        line += sum(field.count("\n") for field in row)
        if row:
            if len(row) != width and (needed is None or len(row) <= needed):
                _refuse(path, line, f"{len(row)} fields, the header has {width}", "is the download complete?")
            yield line, pick([*row[:width], *[""] * (width + 1 - len(row))])
        line += 1


def header_of(path: Path, delimiter: str = ",") -> list[str]:
    """Return the names in the first line of a table.

    Raises:
        DataError: as `read_table`.
    """
    return _named(path, next(_pieces(path, delimiter), (1, [[]], 1))[1][0])


def label_value(path: Path, line: int, name: str, text: str) -> float | None:
    """Return a CheXpert-style label: 1.0 positive, 0.0 negative, -1.0 uncertain, None for a blank.

    Raises:
        DataError: it is none of them.
    """
    try:
        return _LABELS[text.strip()]
    except KeyError:
        _refuse(path, line, f"{name} is {text!r}", "allowed: 1, 0, -1 and a blank")


def number(path: Path, line: int, name: str, text: str) -> float:
    """Return a finite number.

    Raises:
        DataError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value - value != 0:  # NaN and both infinities
        _refuse(path, line, f"{name} is {text!r}, expected a number", "mend the row or fetch the file again")
    return value


def split_value(path: Path, line: int, text: str) -> Split:
    """Return `train`, `val` or `test` for any spelling of them.

    Raises:
        DataError: it is none.
    """
    split = SPLITS.get(text.strip().lower())
    if split is None:
        _refuse(path, line, f"unknown split {text!r}", "one of train, validate, test")
    return split


def filled(path: Path, line: int, name: str, text: str) -> str:
    """Return the text without outer spaces.

    Raises:
        DataError: nothing is left.
    """
    kept = text.strip()
    if not kept:
        _refuse(path, line, f"{name} is empty", "mend the row or fetch the file again")
    return kept


def refuse(path: Path, line: int, fault: str, hint: str = "mend the row or fetch the file again") -> NoReturn:
    """Raise the error for a line of a file.

    Raises:
        DataError: always.
    """
    _refuse(path, line, fault, hint)


def _refuse(path: Path, line: int, fault: str, hint: str) -> NoReturn:
    raise DataError(f"{path}: line {line}: {fault}", hint=hint)


def _named(path: Path, header: list[str]) -> list[str]:
    if not header:
        raise DataError(f"{path}: the file is empty", hint="is the download complete?")
    return header


def _places(path: Path, header: list[str], columns: Sequence[str], optional: Sequence[str]) -> list[int]:
    """Return where each column stands; past the end: it is not there."""
    twice = next((name for name in (*columns, *optional) if header.count(name) > 1), None)
    if twice is not None:
        _refuse(path, 1, f"the column {twice!r} is there twice", "is this the right file?")
    missing = [name for name in columns if name not in header]
    if missing:
        _refuse(path, 1, f"no column {missing[0]!r}; there are {', '.join(header[:40])}", "is this the right file?")
    return [header.index(name) if name in header else len(header) for name in (*columns, *optional)]


def _picker(places: list[int]) -> _Pick:
    """Return what takes the places from a row; `itemgetter` gives a tuple for two or more only."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple(row[place] for place in places)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from io.StringIO(text, newline="\n")


def _texts(path: Path) -> Iterator[str]:
    """Yield the text of a file in pieces of whole lines, with a bound on each line and on their sum."""
    before = 0
    for block in _blocks(path):
        try:
            text = block.decode("utf-8" if before else "utf-8-sig")
        except UnicodeDecodeError as error:
            good = block[: error.start]
            column = len(good) - good.rfind(b"\n")
            _refuse(
                path, before + good.count(b"\n") + 1, f"not UTF-8 at byte {column} (0x{block[error.start]:02x})", "save the file as UTF-8"
            )
        yield text
        before += block.count(b"\n")


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file in pieces of whole lines."""
    total, count, rest = 0, 0, b""
    try:
        with _opened(path) as stream:
            while piece := stream.read(_BLOCK):
                total += len(piece)
                rest += piece
                end = rest.rfind(b"\n") + 1
                if total > MAX_BYTES or (not end and len(rest) > MAX_LINE):
                    what = f"more than {MAX_BYTES:,} bytes so far" if total > MAX_BYTES else f"longer than {MAX_LINE:,} bytes"
                    _refuse(path, count + 1, what, "is this the right file?")
                if end:
                    yield rest[:end]
                    count += rest.count(b"\n", 0, end)
                    rest = rest[end:]
            if rest:
                yield rest
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        _refuse(path, count + 1, f"broken gzip ({error})", "fetch the file again")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", hint="is this the right data folder?") from error


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    if path.suffix == ".gz":
        return gzip.open(path)
    return path.open("rb")
