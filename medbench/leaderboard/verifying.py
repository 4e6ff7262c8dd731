"""Deriving an entry's numbers again from its predictions: the maintainer's tool for accepting what a stranger sends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from medbench.cards import MetricCard, ReaderCard
from medbench.errors import DataError, UsageError
from medbench.files import write_whole
from medbench.foreign import read_rows
from medbench.identity import digest, safe_name
from medbench.index import Indexed, digests_of, read_index
from medbench.joining import join
from medbench.leaderboard.board import Board, BoardTask
from medbench.leaderboard.deriving import Derived, board_metrics, derive, packed_digest, replicates_wanted, seed_of, sources_of
from medbench.leaderboard.entries import Cell, Entry, Result, cell_key
from medbench.leaderboard.ways import ways_of
from medbench.options import RunOptions
from medbench.plan import Plan, resolve
from medbench.record import to_json
from medbench.registry import Registry, load
from medbench.roots import ensure_twin, twin_folder
from medbench.types import Prediction, Sample, Struct

FOLDER = "verified"
TOLERANCE = 1e-6
"""How far a score derived again may lie from the entry's and still be the same number: other processors round otherwise."""

Status = Literal["re-derived", "differs", "from rows only", "not checked"]


class Checked(Struct, omit_defaults=True):
    """What became of one score."""

    key: str
    status: Status
    stated: float | None
    derived: float | None = None
    off: float | None = 0.0
    """Largest difference, of the value or of any replicate; None: they cannot be compared."""
    why: str = ""


class Verification(Struct, omit_defaults=True):
    """What could be derived again of one result of an entry."""

    entry: str
    task: str
    hash: str
    """The entry's: a later change of it is not covered."""
    tolerance: float
    scores: tuple[Checked, ...]
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing differs, and something was derived again."""
        statuses = {score.status for score in self.scores}
        return "differs" not in statuses and "re-derived" in statuses and not self.remarks


def read_verified(folder: Path) -> dict[str, dict[str, Verification]]:
    """Return hash of an entry -> task -> what the maintainer found there, where everything followed; for a board's folder.

    Raises:
        DataError: a file there is no verification.
    """
    found: dict[str, dict[str, Verification]] = {}
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            made = msgspec.json.decode(path.read_bytes(), type=Verification)
        except msgspec.MsgspecError as error:
            raise DataError(f"{path}: {error}", hint="medbench leaderboard verify … --record writes it") from error
        if made.ok:
            found.setdefault(made.hash, {})[made.task] = made
    return found


def is_verified(entry: Entry, found: Mapping[str, Mapping[str, Verification]]) -> bool:
    """Say whether every result of an entry, as it is now, was derived again."""
    there = found.get(entry.hash, {})
    return bool(entry.results) and all(result.task in there for result in entry.results)


def write_verified(folder: Path, made: Verification) -> Path:
    """Keep a verification beside the entries and return where it is."""
    path = folder / FOLDER / f"{made.entry}.{safe_name(made.task)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, to_json(made))
    path.chmod(0o644)
    return path


class Material(Struct):
    """What is needed to derive one result again: the samples with their references, and the predictions."""

    plan: Plan
    samples: tuple[Sample, ...]
    manifest: str
    predictions: tuple[Prediction, ...]


def gather(result: Result, predictions: Path, data: str | None, registry: Registry, *, alias: str = "") -> Material:
    """Read the data and the predictions of one result.

    Args:
        result: Task, split, variant and parameters are its own.
        predictions: Packed predictions, or any file that `medbench score` takes.
        data: Folder of the dataset; None: where it lies by the settings.
        registry: The cards at hand.
        alias: The samples' other name that the file uses.

    Raises:
        UsageError: the task or the data is not at hand.
        DataError: the predictions cannot be read or joined.
    """
    facts = result.data
    options = RunOptions(
        task=result.task, model="", data=data, split=facts.split, variant=facts.variant or None, protocol=result.protocol, seed=result.seed
    )
    plan, problems = resolve(options, registry)
    if plan is None or problems:
        first = problems[0]
        raise UsageError(first.message, hint=first.hint)
    plan = msgspec.structs.replace(plan, task=msgspec.structs.replace(plan.task, reader=facts.reader))
    root = Path(plan.root)
    if root == twin_folder(plan.reader):
        ensure_twin(plan.reader, root)
    indexed = read_index(load(plan.reader)(), root, plan.split, plan.reader_params, digests_of(root), facts.limit)
    made = _read_predictions(predictions, indexed, plan.reader, alias)
    return Material(plan=plan, samples=indexed.samples, manifest=indexed.manifest, predictions=tuple(made))


def _read_predictions(path: Path, indexed: Indexed, reader: ReaderCard, alias: str) -> Sequence[Prediction]:
    if not path.is_file():
        raise UsageError(f"{path}: no such file", hint="--predictions FILE")
    try:
        return [msgspec.json.decode(line, type=Prediction) for line in path.read_bytes().splitlines() if line.strip()]
    except msgspec.MsgspecError:
        return join(read_rows(path, id_column=alias), indexed.samples, path, alias=alias, families=reader.alias_families).predictions


def verify(entry: Entry, result: Result, material: Material, board: Board, registry: Registry, *, rows: Path | None = None) -> Verification:
    """Derive one result's scores again and say of each what could be shown.

    Args:
        entry: The submission.
        result: Which of its results.
        material: Samples and predictions.
        board: The board it is for.
        registry: The cards at hand.
        rows: Metric rows that were submitted, for scores that only a second model could measure anew.
    """
    pinned = board.task(result.task)
    if pinned is None:
        raise UsageError(f"{result.task} is no task of the board {board.name}", hint="--board NAME")
    remarks = list(_remarks(result, material, pinned))
    derived, from_rows, why = _derived(result, material, board, pinned, registry, rows)
    scores = [_checked(cell, derived, from_rows, why) for cell in result.cells]
    return Verification(
        entry=entry.id, task=result.task, hash=entry.hash, tolerance=TOLERANCE, scores=tuple(scores), remarks=tuple(remarks)
    )


def _remarks(result: Result, material: Material, pinned: BoardTask) -> Iterator[str]:
    """Say what of the material is not what the entry or the board speaks of."""
    if material.manifest != pinned.manifest:
        yield f"other data than the board's: manifest {material.manifest[:12]}, the board's {pinned.manifest[:12]}"
    if material.manifest != result.data.manifest:
        yield f"other data than the entry's: manifest {material.manifest[:12]}, the entry's {result.data.manifest[:12]}"
    if packed_digest(material.predictions) != result.predictions:
        yield "the predictions are not those that the entry speaks of (another digest)"


def _derived(
    result: Result, material: Material, board: Board, pinned: BoardTask, registry: Registry, rows: Path | None
) -> tuple[dict[str, Derived], set[str], dict[str, str]]:
    """Return scores derived again, those that came from submitted rows, and metric -> why it could not be computed."""
    metrics = board_metrics(board, pinned, material.plan.task, result.options, registry)
    asking = {plan.card.name for plan in metrics if plan.card.asks}
    known = {sample.id for sample in material.samples}
    predictions = [one for one in material.predictions if one.sample in known]
    salt, wanted = digest(result.data.manifest, result.scored), replicates_wanted(board, result.task)
    stated = [cell.score for cell in result.cells]
    found: dict[str, Derived] = {}
    why: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as fresh:
        for chosen, place in ((set(registry.names(MetricCard)) - asking, Path(fresh)), (asking, rows)):
            plans = [plan for plan in metrics if plan.card.name in chosen]
            if not plans or place is None:
                continue
            made = derive(
                material.samples,
                predictions,
                ways_of(plans, stated, result.signatures, board, pinned),
                sources_of(material.plan, material.samples, place, salt),
                stated=stated,
                draws=seed_of(material.manifest),
                wanted=wanted,
            )
            found |= made.found
            why |= made.not_computed
    return found, {key for key in found if key.partition("/")[0] in asking}, why


def _checked(cell: Cell, derived: dict[str, Derived], from_rows: set[str], why: dict[str, str]) -> Checked:
    key, stated = cell_key(cell.score), cell.score.value
    made = derived.get(key)
    if made is None:
        metric = cell.score.metric
        reason = why.get(metric, "a second model measured it, and no rows were submitted")
        return Checked(key=key, status="not checked", stated=stated, why=reason)
    off = _off(cell, made)
    status: Status = "differs" if off is None or off > TOLERANCE else ("from rows only" if key in from_rows else "re-derived")
    return Checked(key=key, status=status, stated=stated, derived=made.score.value, off=off)


def _off(cell: Cell, made: Derived) -> float | None:
    """Return the largest difference of stated from derived, relative where numbers are large; None: they cannot be compared."""
    one, other = cell.score.value, made.score.value
    if (one is None) != (other is None):
        return None
    scale = max(1.0, abs(other or 0.0))
    off = abs((one or 0.0) - (other or 0.0)) / scale
    stated, derived = cell.array(), np.asarray(made.replicates)
    if stated.shape != derived.shape or not np.array_equal(np.isnan(stated), np.isnan(derived)):
        return None
    return max(off, float(np.nanmax(np.abs(stated - derived), initial=0.0)) / scale if len(stated) else 0.0)


def statuses(made: Verification) -> dict[str, int]:
    """Return how many scores have each status."""
    found: dict[str, Any] = {}
    for score in made.scores:
        found[score.status] = found.get(score.status, 0) + 1
    return found
