"""Predictions that somebody else made: JSONL, CSV, LLaVA answers, COCO results, joined to the samples they are for."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.errors import DataError, suggestion
from medbench.types import Condition, Failed, Prediction, Probabilities, Sample, Struct, Text, Value

QUESTION_COLUMNS = ("question", "prompt", "query")
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


class Joined(Struct):
    """Predictions for samples, and what did not fit."""

    predictions: tuple[Prediction, ...]
    missing: tuple[str, ...] = ()
    """Ids of samples without a prediction: failed samples."""
    unknown: tuple[str, ...] = ()
    """Ids of the file that no sample of the split has."""
    repeated: tuple[str, ...] = ()
    """Ids that stand in the file more than once, with the same prediction each time."""
    matched_by: str = "id"


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
    if path.suffix in {".csv", ".tsv"}:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
            try:
                for record in reader:
                    if None in record or None in record.values():
                        raise DataError(f"{path}:{reader.line_num}: not as many cells as the header has", hint="mend that line")
                    yield reader.line_num, record
            except csv.Error as error:
                raise DataError(f"{path}:{reader.line_num}: {error}", hint="mend that line") from error
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
        lacking = [name for name in columns.values() if name not in found]
        if lacking:
            raise DataError(f"{path}: no column {lacking[0]}", hint=suggestion(lacking[0], found))
        known = next(((i, p) for i, p in reversed(_NAMES) if i in found and p in found), ("", ""))
        self.id = columns.get("id") or (id_column if id_column in found else "") or known[0] or ("id" if "id" in found else "")
        self.text = columns.get("prediction") or known[1] or next((p for _, p in reversed(_NAMES) if p in found), "")
        self.labels = {name[5:]: name for name in found if name.startswith("prob:")}
        self.labels |= {name[5:]: column for name, column in columns.items() if name.startswith("prob:")}
        self.conditions = {name[10:]: name for name in found if name.startswith("condition.")}
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
        if self.id not in record:
            raise DataError(f"{self._path}:{line}: no {self.id}", hint="every prediction needs the id of its sample")
        question = record.get(self.question) if self.question else None
        condition = {name: _number(record[column]) for name, column in self.conditions.items() if record.get(column) not in {None, ""}}
        value = self._value(line, record)
        return Row(line=line, id=str(record[self.id]).strip(), value=value, question=str(question or ""), condition=condition)

    def _value(self, line: int, record: dict[str, Any]) -> Value:
        if self.labels:
            return Probabilities(labels=tuple(self.labels), values=tuple(self._probability(line, record, c) for c in self.labels.values()))
        text = record.get(self.text)
        if text is None:
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
    for kind in (int, float):
        try:
            return kind(text)
        except (TypeError, ValueError):
            continue
    return str(text)


def join(rows: Sequence[Row], samples: Sequence[Sample], path: Path, *, alias: str = "", families: Sequence[Sequence[str]] = ()) -> Joined:
    """Join a file's rows to the samples of a split.

    Args:
        rows: What the file holds.
        samples: What was to be predicted.
        path: The file, for messages.
        alias: The samples' other name that the file uses (`qid`); empty: their ids.
        families: Aliases that packagings number differently, and which must not be mistaken for each other.

    Raises:
        DataError: an id stands there twice with different predictions, a question differs from the sample's, the alias is
            ambiguous, or nothing matches.
    """
    names = next((list(family) for family in families if alias in family), [alias])
    lookups = {name: {n: s for s in samples if (n := s.id if not name else s.aliases.get(name, ""))} for name in names}
    chosen = _numbering(rows, lookups, alias, path)
    by_name = lookups[chosen]
    if not any(row.id in by_name for row in rows):
        example = next(iter(by_name), "none")
        raise DataError(
            f"{path}: none of its {len(rows)} ids is an id of the split (it has {rows[0].id!r}, the split {example!r})",
            hint=f"--id NAME for another name of the samples: {', '.join(sorted({a for s in samples for a in s.aliases})) or 'they have none'}",
        )
    _same_question(rows, by_name, path)
    kept, repeated = _unrepeated(rows, path)
    predictions = [Prediction(sample=by_name[r.id].id, value=r.value, condition=r.condition) for r in kept if r.id in by_name]
    absent = _absent(predictions, samples)
    return Joined(
        predictions=(*predictions, *absent),
        missing=tuple(dict.fromkeys(p.sample for p in absent)),
        unknown=tuple(dict.fromkeys(row.id for row in kept if row.id not in by_name)),
        repeated=repeated,
        matched_by=chosen or "id",
    )


def _numbering(rows: Sequence[Row], lookups: Mapping[str, Mapping[str, Sample]], alias: str, path: Path) -> str:
    """Return which of several numberings the file follows; refuse what cannot be told.

    Question text decides where the file has it; otherwise a numbering stands only if it knows every id and no other does.
    """
    if len(lookups) == 1:
        return alias
    fits = [name for name, known in lookups.items() if known and all(row.id in known for row in rows)]
    if any(row.question for row in rows):
        agreeing = [name for name, known in lookups.items() if known and not _differing(rows, known) and any(r.id in known for r in rows)]
        fits = agreeing or fits
    if len(fits) == 1:
        return fits[0]
    counts = ", ".join(f"{sum(row.id in known for row in rows)} of {len(rows)} are {name}s" for name, known in lookups.items() if known)
    raise DataError(
        f"{path}: --id {alias} is ambiguous: packagings of this data number differently ({counts})",
        hint="add the question text as a column named question, or use the samples' ids (medbench export)",
    )


def _differing(rows: Sequence[Row], known: Mapping[str, Sample]) -> list[Row]:
    """Return the rows whose question is not the sample's; a rendered prompt that contains the question agrees with it."""
    differing = []
    for row in rows:
        sample = known.get(row.id)
        if row.question and sample and sample.prompt and _bare(sample.prompt) not in _bare(row.question):
            differing.append(row)
    return differing


def _bare(text: str) -> str:
    return " ".join(text.lower().split())


def _same_question(rows: Sequence[Row], known: Mapping[str, Sample], path: Path) -> None:
    differing = _differing(rows, known)
    if differing:
        lines = ", ".join(str(row.line) for row in differing[:5]) + (" …" if len(differing) > 5 else "")
        raise DataError(
            f"{path}: {len(differing)} questions are not the samples' (lines {lines})",
            hint="the ids are of another packaging or split: --id NAME, --variant NAME, --split NAME",
        )


def _unrepeated(rows: Sequence[Row], path: Path) -> tuple[list[Row], tuple[str, ...]]:
    """Return each prediction once, and the ids that were there again; the same id with another prediction is refused."""
    first: dict[tuple[str, str], Row] = {}
    repeated: list[str] = []
    for row in rows:
        key = (row.id, json.dumps(row.condition, sort_keys=True))
        known = first.setdefault(key, row)
        if known is row:
            continue
        if known.value != row.value:
            raise DataError(
                f"{path}: {row.id} stands on lines {known.line} and {row.line} with different predictions", hint="keep one of them"
            )
        repeated.append(row.id)
    return list(first.values()), tuple(dict.fromkeys(repeated))


def _absent(predictions: Sequence[Prediction], samples: Sequence[Sample]) -> list[Prediction]:
    """Return a failed prediction for each sample that a condition of the file leaves out."""
    by_condition: dict[str, tuple[Condition, set[str]]] = {}
    for prediction in predictions:
        key = json.dumps(prediction.condition, sort_keys=True)
        by_condition.setdefault(key, (prediction.condition, set()))[1].add(prediction.sample)
    failed = Failed(kind="input", error="no prediction in the file")
    return [
        Prediction(sample=sample.id, value=failed, condition=condition)
        for condition, there in by_condition.values()
        for sample in samples
        if sample.id not in there
    ]
