"""Entries of a board: one file per system, with everything that ranking and re-derivation need, and a hash over it."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from medbench.errors import DataError
from medbench.files import write_whole
from medbench.identity import digest_of
from medbench.leaderboard.board import NAME
from medbench.record import Contrast, DataFacts, ModelFacts, Score, to_json
from medbench.types import Struct, as_text

SCHEMA = 1
FOLDER = "entries"

Array = np.ndarray[Any, np.dtype[Any]]


class Cell(Struct, omit_defaults=True):
    """A score that stands on the board."""

    score: Score
    replicates: str = ""
    """Its bootstrap replicates under the manifest's shared weights: little-endian float32 as base64; empty: it takes no weights."""

    def array(self) -> Array:
        """Return the replicates as a float32 array, NaN where undefined."""
        return np.frombuffer(base64.b64decode(self.replicates), dtype="<f4")


class Cost(Struct, omit_defaults=True):
    """What the predictions cost, as far as it is known."""

    usd: float | None = None
    seconds: float | None = None
    """Wall time of predicting, loading left out."""
    usage: dict[str, int] = {}
    """Tokens, where the model counts them."""
    served: dict[str, int] = {}
    """Model that the endpoint says it answered with -> predictions of it."""


class Result(Struct, omit_defaults=True):
    """What one system reached on one task."""

    task: str
    protocol: str
    fingerprint: str
    data: DataFacts
    cells: tuple[Cell, ...] = ()
    others: tuple[Score, ...] = ()
    """Subgroups and further conditions: for the entry's own page, never ranked."""
    contrasts: tuple[Contrast, ...] = ()
    blind: str = ""
    """Digest of the samples without references, as predicted; for references that are held back."""
    params: dict[str, Any] = {}
    seed: int = 0
    draws: int = 0
    """Seed of the replicates: it follows from the manifest, so that all entries share their weights."""
    n_predictions: int = 0
    n_failed: int = 0
    n_empty: int = 0
    predictions: str = ""
    """Digest of the predictions, in the form in which they are packed."""
    scored: str = ""
    """Digest of the predictions as the run keeps them: its rows are kept under it."""
    options: dict[str, dict[str, Any]] = {}
    """Metric -> options under which it was computed."""
    remarks: tuple[str, ...] = ()
    not_computed: dict[str, str] = {}
    signatures: dict[str, dict[str, Any]] = {}
    versions: dict[str, str] = {}
    overrides: dict[str, Any] = {}
    """Data-use permissions that the submitter stated."""
    cost: Cost = Cost()
    hardware: str = ""


class Source(Struct, omit_defaults=True):
    """What is known of the model itself: from its card."""

    title: str = ""
    licence: str = ""
    source: str = ""
    plugin: str = ""
    version: str = ""
    trained_on: tuple[str, ...] = ()
    """Datasets that the weights saw, as far as known."""
    weights: str = ""
    """What pins the weights: a digest, a revision, what it was fitted on, or `code alone`; empty: nothing does."""


class Entry(Struct, omit_defaults=True):
    """One system on one board."""

    id: str
    board: str
    system: str
    """How tables name it."""
    model: ModelFacts
    source: Source
    results: tuple[Result, ...]
    hash: str = ""
    """Digest of all the rest: it shows accidents and hand-made changes. Fraud shows when the scores are derived again."""
    schema_version: int = SCHEMA

    def result(self, task: str) -> Result | None:
        """Return what it reached on a task."""
        return next((result for result in self.results if result.task == task), None)

    def cell(self, key: str) -> Cell | None:
        """Return the cell of a column, by the column's key."""
        task, _, rest = key.partition(":")
        result = self.result(task)
        return next((cell for cell in result.cells if cell_key(cell.score) == rest), None) if result else None


def cell_key(score: Score) -> str:
    """Return the part of a column's key that a score answers to."""
    condition = as_text(score.condition)
    return f"{score.metric}/{score.name}" + (f"[{condition}]" if condition else "")


def pack_replicates(values: Array) -> str:
    """Return replicates as base64 of little-endian float32: no compression, so that every library writes the same bytes."""
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()


def sealed(entry: Entry) -> Entry:
    """Return the entry with the hash of its content."""
    return msgspec.structs.replace(entry, hash=_content_hash(msgspec.json.decode(to_json(entry))))


def _content_hash(content: dict[str, Any]) -> str:
    """Return the digest of what a file says, as it says it: a field that a later version adds changes nothing."""
    return digest_of({name: value for name, value in content.items() if name != "hash"})


def write_entry(folder: Path, entry: Entry) -> Path:
    """Write an entry below a board's folder and return where it is."""
    path = folder / FOLDER / f"{entry.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, to_json(entry))
    return path


def read_entries(folder: Path) -> list[Entry]:
    """Return all entries of a board's folder, by file name.

    Raises:
        DataError: a file is no whole entry, was changed, or two have one id; names it.
    """
    entries: list[Entry] = []
    seen: dict[str, Path] = {}
    for path in sorted((folder / FOLDER).glob("*")):
        if path.name.startswith("."):
            continue
        entry = read_entry(path)
        if entry.id in seen:
            raise DataError(f"{path}: the id {entry.id} is that of {seen[entry.id]} too", hint="one file per system, named as its id")
        seen[entry.id] = path
        if path.name != f"{entry.id}.json":
            raise DataError(f"{path}: its id is {entry.id!r}", hint=f"an entry is named as its id: {entry.id}.json")
        entries.append(entry)
    return entries


def read_entry(path: Path) -> Entry:
    """Read one entry.

    Raises:
        DataError: it is missing, torn, of another schema, has unknown fields, an unsafe id, or was changed by hand.
    """
    try:
        raw = path.read_bytes()
        content = msgspec.json.decode(raw, type=dict[str, Any])
        version = content.get("schema_version", SCHEMA)
        if version != SCHEMA:
            raise DataError(f"{path}: schema {version}, this medbench knows {SCHEMA}", hint="another version of medbench reads it")
        entry = msgspec.convert(content, Entry)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", hint="an entry is a file entries/<id>.json") from error
    except msgspec.MsgspecError as error:
        raise DataError(f"{path}: {error}", hint="an entry is what `medbench leaderboard add` wrote, unchanged") from error
    if not NAME.fullmatch(entry.id) or ".." in entry.id:
        raise DataError(f"{path}: {entry.id!r} is no id", hint="lower-case letters, digits and . _ - alone")
    if entry.hash != _content_hash(content):
        raise DataError(f"{path}: its content is not what its hash says: it was edited", hint="medbench leaderboard add RUN --replace")
    for result in entry.results:
        for cell in result.cells:
            _require_numbers(path, cell)
    return entry


def _require_numbers(path: Path, cell: Cell) -> None:
    """Refuse replicates that are no numbers: text that is no base64, a torn last value, an infinity."""
    name = cell_key(cell.score)
    stated = [cell.score.value, cell.score.low, cell.score.high, cell.score.worst_case]
    if any(value is not None and not math.isfinite(value) for value in stated):
        raise DataError(f"{path}: {name} is no number", hint="an undefined value is null, with a note")
    try:
        values = cell.array()
    except ValueError as error:
        raise DataError(f"{path}: the replicates of {name} cannot be read ({error})", hint="add the run again") from error
    if np.isinf(values).any():
        raise DataError(f"{path}: the replicates of {name} hold an infinity", hint="add the run again")
