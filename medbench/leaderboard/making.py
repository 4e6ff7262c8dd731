"""From a run to an entry: its scores as the run has them, its replicates under the board's weights, its model's facts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.errors import DataError, UsageError
from medbench.files import FileDigests
from medbench.identity import digest, tree_digest
from medbench.index import manifest_of
from medbench.leaderboard.admission import pinned_by
from medbench.leaderboard.board import Board, BoardTask
from medbench.leaderboard.deriving import (
    Derivation,
    blind_digest,
    board_metrics,
    derive,
    packed_digest,
    replicates_wanted,
    same_value,
    seed_of,
    sources_of,
)
from medbench.leaderboard.entries import Cell, Cost, Entry, Result, Source, cell_key, pack_replicates, sealed
from medbench.leaderboard.ways import portable_signatures, ways_of
from medbench.plan import Plan
from medbench.record import ModelFacts, RunRecord, Score
from medbench.registry import Registry
from medbench.runs import RunFolder
from medbench.types import Prediction, Sample, Struct, Text


class Stated(Struct):
    """What the submitter says, since no record knows it."""

    id: str = ""
    system: str = ""
    weights: str = ""
    """`name@revision` of weights that ran elsewhere."""
    trained_on: tuple[str, ...] = ()
    hardware: str = ""
    usd: float | None = None
    seconds: float | None = None


def make_entry(folder: RunFolder, board: Board, registry: Registry, stated: Stated, old: Entry | None = None) -> Entry:
    """Return the entry that a run makes on a board.

    Args:
        folder: A finished run.
        board: Its columns choose the scores.
        registry: The cards at hand.
        stated: What the submitter says about it.
        old: The entry of the same system on other tasks of the board, which the run is added to.

    Raises:
        DataError: the run's folder was changed after it was written.
        UsageError: its task is none of the board's.
        PlanError: a metric of the board is not at hand.
    """
    record, plan = folder.read_record(), folder.read_plan()
    pinned = board.task(record.task)
    if pinned is None:
        known = ", ".join(task.name for task in board.tasks)
        raise UsageError(f"{record.task} is no task of the board {board.name}", hint=f"its tasks: {known}")
    result = _result(folder, record, plan, board, pinned, registry, stated)
    model, source = _system(record, plan, registry, stated)
    system = stated.system or _shown(model)
    others = tuple(one for one in old.results if one.task != result.task) if old else ()
    order = [task.name for task in board.tasks]
    results = sorted([*others, result], key=lambda one: order.index(one.task) if one.task in order else len(order))
    made = Entry(
        id=stated.id or (old.id if old else slug(system)),
        board=board.name,
        system=system,
        model=model,
        source=source,
        results=tuple(results),
    )
    return sealed(made)


def slug(name: str) -> str:
    """Return a system's name as an id.

    >>> slug("LLaVA (adapter=out/rad lora)"), slug("../x")
    ('llava-adapter-out-rad-lora', 'x')
    """
    return re.sub(r"[^a-z0-9_.]+", "-", name.lower()).strip("-._")[:80].replace("..", "-").rstrip("-._") or "unnamed"


def _result(
    folder: RunFolder, record: RunRecord, plan: Plan, board: Board, pinned: BoardTask, registry: Registry, stated: Stated
) -> Result:
    samples, predictions = folder.read_samples(), folder.read_predictions()
    _require_unchanged(folder, record, samples)
    cells: tuple[Cell, ...] = ()
    not_computed: dict[str, str] = {}
    options = {metric.card.name: metric.portable for metric in plan.metrics if metric.options}
    if board.references == "public" or record.data.manifest == pinned.manifest:
        derivation = _derive(folder, record, plan, board, pinned, registry, samples, predictions)
        cells, not_computed = _cells(record, derivation, pinned, folder), derivation.not_computed
        options |= derivation.options
    chosen = {cell.score.identity for cell in cells}
    return Result(
        task=record.task,
        protocol=record.protocol,
        fingerprint=record.fingerprint,
        data=record.data,
        cells=cells,
        others=tuple(score for score in record.scores if score.identity not in chosen),
        contrasts=record.contrasts,
        blind=blind_digest(samples),
        params=record.params,
        seed=record.seed,
        draws=seed_of(record.data.manifest),
        n_predictions=record.n_predictions,
        n_failed=record.n_failed,
        n_empty=record.n_empty,
        predictions=packed_digest(predictions),
        scored=record.predictions,
        options=options,
        remarks=record.remarks,
        not_computed={**record.not_computed, **not_computed},
        signatures=portable_signatures(record.signatures, registry),
        versions=record.versions,
        overrides=record.overrides,
        cost=_cost(record, stated, predictions),
        hardware=stated.hardware,
    )


def _require_unchanged(folder: RunFolder, record: RunRecord, samples: Sequence[Sample]) -> None:
    """Refuse a folder whose files are not those that the record speaks of."""
    if digest(folder.predictions.read_bytes()) != record.predictions:
        raise DataError(f"{folder.predictions}: not the predictions that were scored: edited?", hint="run the task again")
    if manifest_of(samples) != record.data.manifest:
        raise DataError(f"{folder.samples}: not the samples that were evaluated: edited?", hint="run the task again")


def _derive(
    folder: RunFolder,
    record: RunRecord,
    plan: Plan,
    board: Board,
    pinned: BoardTask,
    registry: Registry,
    samples: Sequence[Sample],
    predictions: Sequence[Prediction],
) -> Derivation:
    """Return the board's scores as they follow from the run's own rows."""
    metrics = board_metrics(board, pinned, plan.task, _metric_options(plan), registry)
    salt = digest(record.data.manifest, record.predictions)
    return derive(
        samples,
        folder.with_pictures(predictions),
        ways_of(metrics, record.scores, record.signatures, board, pinned),
        sources_of(plan, samples, folder.rows, salt),
        stated=record.scores,
        draws=seed_of(record.data.manifest),
        wanted=replicates_wanted(board, record.task),
    )


def _metric_options(plan: Plan) -> dict[str, dict[str, Any]]:
    return {metric.card.name: metric.options for metric in plan.metrics if metric.options}


def _cells(record: RunRecord, derivation: Derivation, pinned: BoardTask, folder: RunFolder) -> tuple[Cell, ...]:
    """Return the record's scores with the board's replicates; one that does not follow from the rows is refused."""
    made = []
    for key, derived in derivation.found.items():
        score = _recorded(record, key, derived.score)
        if score is None:
            hint = "medbench score RUN --convention " + " --convention ".join(f"{f}={n}" for f, n in sorted(pinned.conventions.items()))
            raise UsageError(f"{record.fingerprint}: {key} is not in the record under the board's convention", hint=hint)
        if not same_value(score.value, derived.score.value):
            raise DataError(
                f"{folder.record}: {key} is {score.value}, the run's own rows give {derived.score.value}: edited?",
                hint="run the task again",
            )
        made.append(Cell(score=score, replicates=pack_replicates(derived.replicates)))
    return tuple(made)


def _recorded(record: RunRecord, key: str, derived: Score) -> Score | None:
    return next((s for s in record.scores if not s.subgroup and cell_key(s) == key and s.convention == derived.convention), None)


def _cost(record: RunRecord, stated: Stated, predictions: Sequence[Prediction]) -> Cost:
    """Return what the predictions cost: as stated, else by the record's bill."""
    bill = record.costs.get("model")
    usd = stated.usd if stated.usd is not None else (bill.usd if bill else None)
    served = Counter(
        prediction.value.served for prediction in predictions if isinstance(prediction.value, Text) and prediction.value.served
    )
    return Cost(usd=usd, seconds=stated.seconds, usage=_usage(predictions), served=dict(sorted(served.items())))


def _usage(predictions: Sequence[Prediction]) -> dict[str, int]:
    """Return the tokens of all texts together, by kind."""
    total: dict[str, int] = {}
    for prediction in predictions:
        if isinstance(prediction.value, Text):
            for name, count in prediction.value.usage.items():
                total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def _system(record: RunRecord, plan: Plan, registry: Registry, stated: Stated) -> tuple[ModelFacts, Source]:
    """Return the model's facts without any path of a machine, and what its card says."""
    card = plan.model.card if plan.model else None
    paths = card.paths if card else ()
    options = {name: _digested(value) if name in paths else value for name, value in record.model.options.items()}
    model = msgspec.structs.replace(record.model, options=_portable(options), loaded=_portable(record.model.loaded))
    weights = pinned_by(model, paths, isolated=card.isolated if card else True, stated=stated.weights)
    if card is None:
        return model, Source(weights=weights, trained_on=stated.trained_on)
    return model, Source(
        title=card.title,
        licence=card.licence,
        source=card.source,
        plugin=plan.model.plugin if plan.model else registry.plugin_of(card),
        version=card.version,
        trained_on=tuple(dict.fromkeys([*card.trained_on, *stated.trained_on])),
        weights=weights,
    )


def _digested(value: Any) -> Any:
    """Return a local path as the digest of what lies there; the name of something elsewhere stays."""
    path = Path(str(value)).expanduser()
    return f"sha256:{tree_digest(path, FileDigests().digest)}" if value and path.exists() else value


def _portable(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts in which a path is its last part: where things lie on a machine is nobody's business."""
    made: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, dict):
            made[name] = _portable(value)
        elif isinstance(value, str) and (value.startswith(("/", "~/")) or "\\" in value):
            made[name] = re.split(r"[/\\]", value.rstrip("/\\"))[-1]
        else:
            made[name] = value
    return made


def _shown(model: ModelFacts) -> str:
    options = ", ".join(f"{name}={value}" for name, value in sorted(model.options.items()))
    return f"{model.called} ({options})" if options else model.called
