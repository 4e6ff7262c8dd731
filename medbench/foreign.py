"""Predictions that somebody else made, as rows: JSONL, CSV, LLaVA answers, COCO results."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.errors import DataError, UsageError, suggestion
from medbench.types import Condition, Failed, Probabilities, Struct, Text, Value

QUESTION_COLUMNS = ("question", "prompt", "query")
OURS = ("id", "prediction", "question")
PREFIXES = ("prob:", "condition.")
"""What our own columns are called."""
_NAMES = (("question_id", "text"), ("image_id", "caption"), ("id", "prediction"))
"""(id, prediction) columns of LLaVA answers, COCO results, and our own form; looked for from the last to the first."""


class Row(Struct):
    """One line of a predictions file."""

    line: int
    """Where it stands: the line of a JSONL or CSV file, the entry of a JSON list; counted from 1."""
    id: str
    value: Value
    question: str = ""
    condition: Condition = {}


def read_rows(path: Path, *, columns: Mapping[str, str] | None = None, id_column: str = "") -> list[Row]:
    """Read a predictions file.

    Args:
        path: `.jsonl`, `.csv`, `.tsv`, or `.json` (a list: COCO results).
        columns: Our name -> the file's: `{"id": "image", "prob:Edema": "prob_Edema"}`.
        id_column: The file's column that holds the ids, where it is named after an alias.

    Raises:
        DataError: a line cannot be read, or there is no column for ids or predictions; names the lines.
    """
    try:
        records = list(_records(path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", hint="--predictions FILE") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start})", hint="save it as UTF-8") from error
    if not records:
        raise DataError(f"{path}: no predictions in it", hint='one JSON object per line: {"id": "…", "prediction": "…"}')
    names = _Names(path, records, dict(columns or {}), id_column)
    return [names.row(line, record) for line, record in records]


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, record) of a file, whatever its form."""
    if path.suffix.lower() in {".csv", ".tsv"}:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
            try:
                for record in reader:
                    if None in record or None in record.values():
                        raise DataError(f"{path}:{reader.line_num}: not as many cells as the header has", hint="mend that line")
                    yield reader.line_num, record
            except csv.Error as error:
                raise DataError(f"{path}:{reader.reader.line_num}: {error}", hint="mend that line") from error
        return
    text = path.read_text(encoding="utf-8-sig")
    if text.lstrip().startswith("["):
        yield from _json_list(path, text)
        return
    # split on newlines alone: U+2028 and its like are characters of a JSON string
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{path}:{number}: not a JSON object ({error.msg})", hint="a torn line? write the file again, or cut it"
                ) from error
            if not isinstance(record, dict):
                raise DataError(f"{path}:{number}: not a JSON object", hint='one object per line: {"id": "…", "prediction": "…"}')
            yield number, record


def _json_list(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not valid JSON ({error.msg})", hint="a torn file? write it again") from error
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            raise DataError(f"{path}: entry {number} is not an object", hint='[{"image_id": …, "caption": "…"}, …]')
        yield number, entry


class _Names:
    """Which column of a file holds what."""

    def __init__(self, path: Path, records: Sequence[tuple[int, dict[str, Any]]], columns: dict[str, str], id_column: str) -> None:
        self._path = path
        found = list(dict.fromkeys(name for _, record in records for name in record))
        strange = [name for name in columns if name not in OURS and not name.startswith(PREFIXES)]
        if strange:
            raise UsageError(
                f"--columns {strange[0]}={columns[strange[0]]}: no column of ours",
                hint=f"ours: {', '.join(OURS)}, prob:LABEL, condition.NAME",
            )
        lacking = [name for name in columns.values() if name not in found]
        if lacking:
            raise DataError(f"{path}: no column {lacking[0]}", hint=suggestion(lacking[0], found))
        known = next(((i, p) for i, p in reversed(_NAMES) if i in found and p in found), ("", ""))
        self.id = columns.get("id") or (id_column if id_column in found else "") or known[0] or ("id" if "id" in found else "")
        self.text = columns.get("prediction") or known[1] or next((p for _, p in reversed(_NAMES) if p in found), "")
        self.labels = {name[5:]: name for name in found if name.startswith("prob:")}
        self.labels |= {name[5:]: column for name, column in columns.items() if name.startswith("prob:")}
        self.conditions = {name[10:]: name for name in found if name.startswith("condition.")}
        self.conditions |= {name[10:]: column for name, column in columns.items() if name.startswith("condition.")}
        self.question = columns.get("question") or next((name for name in QUESTION_COLUMNS if name in found), "")
        if not self.id:
            raise DataError(f"{path}: no column with ids (it has {', '.join(found)})", hint="--columns id=NAME, or --id ALIAS")
        if not self.text and not self.labels:
            raise DataError(
                f"{path}: no column with predictions (it has {', '.join(found)})",
                hint="prediction, or prob:LABEL columns; --columns prediction=NAME,prob:Edema=NAME maps others",
            )

    def row(self, line: int, record: dict[str, Any]) -> Row:
        """Return one record as a row."""
        if record.get(self.id) in (None, ""):
            raise DataError(f"{self._path}:{line}: no {self.id}", hint="every prediction needs the id of its sample")
        question = record.get(self.question) if self.question else None
        condition = {name: _number(record[column]) for name, column in self.conditions.items() if record.get(column) not in (None, "")}
        value = self._value(line, record)
        return Row(line=line, id=str(record[self.id]).strip(), value=value, question=str(question or ""), condition=condition)

    def _value(self, line: int, record: dict[str, Any]) -> Value:
        if self.labels:
            return Probabilities(labels=tuple(self.labels), values=tuple(self._probability(line, record, c) for c in self.labels.values()))
        text = record.get(self.text)
        if text is None or text != text:  # noqa: PLR0124 - NaN: how tables write what is absent
            return Failed(kind="model", error=f"{self._path.name}:{line}: no prediction")
        if not isinstance(text, str | int | float):
            raise DataError(f"{self._path}:{line}: {self.text} is not text", hint="a string for every prediction")
        return Text(text=str(text))

    def _probability(self, line: int, record: dict[str, Any], column: str) -> float:
        try:
            value = float(record[column])
        except (KeyError, TypeError, ValueError):
            value = float("nan")
        if not 0.0 <= value <= 1.0:
            raise DataError(f"{self._path}:{line}: {column} is {record.get(column)!r}, not a probability", hint="a number from 0 to 1")
        return value


def _number(text: Any) -> str | int | float:
    """Return a condition's value as the number it spells, else as text."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return text
    for kind in (int, float):
        try:
            return kind(str(text))
        except ValueError:
            continue
    return str(text)
