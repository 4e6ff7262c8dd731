"""Users' own files as rows of named fields: CSV and JSONL manifests, LLaVA instruction JSON, COCO captions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from medbench.builtin.datasets.json_stream import stream_objects
from medbench.builtin.datasets.strict import MAX_BYTES, place, read_json, rows_of
from medbench.builtin.datasets.tables import MAX_LINE, header_of, read_table
from medbench.errors import DataError

Form = Literal["csv", "jsonl", "llava", "coco"]
Row = tuple[str, dict[str, Any]]
"""Where it stands (`line 7`, `entry 3 (line 40)`), and its fields."""

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".json")

QUESTION, ANSWER = "question", "answer"
"""What the turns of a conversation are called as fields."""

_IMAGE_MARK = "<image>"


def form_of(path: Path) -> Form:
    """Return the form of a file by its suffix; a `.json` is COCO when it is one object, else LLaVA.

    Raises:
        DataError: the suffix says nothing, or the file cannot be read.
    """
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz")):
        return "csv"
    if name.endswith(".jsonl"):
        return "jsonl"
    if not name.endswith(".json"):
        raise DataError(f"{path}: not a manifest by its name", hint=f"known: {', '.join(SUFFIXES)}; --param reader.format=NAME")
    try:
        with path.open("rb") as file:
            start = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", hint="--param reader.file=NAME") from error
    return "coco" if start.startswith(b"{") else "llava"


def read_rows(path: Path, form: Form) -> Iterator[Row]:
    """Yield the rows of a file, one at a time where its form allows.

    Raises:
        DataError: the file is missing, torn, not UTF-8 or of another form; the message gives the line.
    """
    yield from _READERS[form](path)


def _csv(path: Path) -> Iterator[Row]:
    delimiter = "\t" if path.name.lower().endswith((".tsv", ".tsv.gz")) else ","
    names = header_of(path, delimiter)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: line 1: the column {twice!r} is there twice", hint="name each column once")
    for line, values in read_table(path, names, delimiter=delimiter):
        yield f"line {line}", dict(zip(names, values, strict=True))


def _jsonl(path: Path) -> Iterator[Row]:
    number = 0
    try:
        with path.open("rb") as file:
            while raw := file.readline(MAX_LINE):
                number += 1
                if len(raw) >= MAX_LINE:
                    _refuse(path, number, f"longer than {MAX_LINE:,} bytes")
                if raw.strip():
                    yield f"line {number}", _object(path, number, raw.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        _refuse(path, number, f"not UTF-8 at byte {error.start + 1}")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", hint="--param reader.file=NAME") from error


def _object(path: Path, number: int, text: str) -> dict[str, Any]:
    def constant(name: str) -> NoReturn:
        _refuse(path, number, f"bare {name}: JSON has no such value")

    try:
        value = json.loads(text, parse_constant=constant)
    except (json.JSONDecodeError, RecursionError) as error:
        _refuse(path, number, f"not valid JSON ({error.msg if isinstance(error, json.JSONDecodeError) else 'nested too deeply'})")
    if not isinstance(value, dict):
        _refuse(path, number, "not a JSON object")
    return value


def _llava(path: Path) -> Iterator[Row]:
    """Yield one row for each pair of turns; the fields beside the conversation stay."""
    for index, (_, line, entry) in enumerate(stream_objects(path)):
        where = f"{place(index)} (line {line})"
        # the published scorer of this format reads the misspelt key too
        turns = entry.get("conversations", entry.get("conversatons"))
        if not isinstance(turns, list) or not turns:
            raise DataError(f"{path}: {where}: no conversations", hint='[{"id", "image", "conversations": [{"from", "value"}, …]}, …]')
        rest = {name: value for name, value in _flat(entry).items() if name not in ("conversations", "conversatons")}
        rest.setdefault("id", f"{path.stem}-{index}")
        for number, (asked, said) in enumerate(_pairs(path, where, turns)):
            fields = {**rest, QUESTION: asked, ANSWER: said}
            if number:
                fields["id"] = f"{rest['id']}-{number + 1}"
            yield where, fields


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with the true ones of a dictionary of flags (`domain`) named instead of it."""
    flags = {name: value for name, value in entry.items() if isinstance(value, dict)}
    named = {name: ",".join(key for key, on in value.items() if on is True) for name, value in flags.items()}
    return {**entry, **named}


def _pairs(path: Path, where: str, turns: list[Any]) -> Iterator[tuple[str, str]]:
    if len(turns) % 2:
        raise DataError(f"{path}: {where}: {len(turns)} turns, expected questions and answers in turn", hint="mend that conversation")
    for asked, said in zip(turns[::2], turns[1::2], strict=True):
        speakers = [turn.get("from") if isinstance(turn, dict) else None for turn in (asked, said)]
        if speakers not in (["human", "gpt"], ["user", "assistant"]):
            raise DataError(f"{path}: {where}: turns from {speakers[0]!r} and {speakers[1]!r}", hint="expected human, then gpt")
        values = [turn.get("value") for turn in (asked, said)]
        if not all(isinstance(value, str) for value in values):
            raise DataError(f"{path}: {where}: a turn whose value is no text", hint="mend that conversation")
        yield values[0].replace(_IMAGE_MARK, "").strip(), values[1]


def _coco(path: Path) -> Iterator[Row]:
    """Yield one row for each image, with all its captions."""
    if path.is_file() and path.stat().st_size > MAX_BYTES:  # it is read whole: its captions may stand before its images
        raise DataError(f"{path}: more than {MAX_BYTES:,} bytes", hint="write it as JSONL: one image a line")
    content = read_json(path)
    if not isinstance(content, dict) or "annotations" not in content:
        raise DataError(f"{path}: no images and annotations in it", hint="COCO captions: {images: [{id, file_name}], annotations: […]}")
    captions: dict[str, list[str]] = {}
    for number, entry in enumerate(rows_of(path, content["annotations"], "annotations")):
        caption = entry.get("caption")
        if not isinstance(caption, str) or "image_id" not in entry:
            raise DataError(f"{path}: {place(number, 'annotations')}: no caption or image_id", hint="mend that annotation")
        captions.setdefault(str(entry["image_id"]), []).append(caption)
    known = set()
    for number, entry in enumerate(rows_of(path, content.get("images"), "images")):
        name = str(entry.get("id", ""))
        known.add(name)
        yield place(number, "images"), {**_flat(entry), "reference": captions.get(name, [])}
    if strange := sorted(captions.keys() - known):
        raise DataError(f"{path}: annotations of the image {strange[0]}, which is not in images", hint="is the file whole?")


def _refuse(path: Path, line: int, fault: str) -> NoReturn:
    raise DataError(f"{path}: line {line}: {fault}", hint="mend that line, or write the file again")


_READERS: dict[Form, Callable[[Path], Iterator[Row]]] = {"csv": _csv, "jsonl": _jsonl, "llava": _llava, "coco": _coco}
