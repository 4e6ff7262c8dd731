"""From samples and predictions to the cells of a board: point values, and replicates that all its entries share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from medbench.errors import PlanError, Problem
from medbench.finishing import real_pictures, train_references
from medbench.identity import digest
from medbench.leaderboard.board import Board, BoardTask
from medbench.leaderboard.entries import cell_key
from medbench.leaderboard.ways import Way, located
from medbench.measuring import Measuring
from medbench.metric_plans import MetricPlan, plan_metrics
from medbench.options import RunOptions
from medbench.plan import Plan
from medbench.pooling import pooled
from medbench.record import Score
from medbench.reducing import RESAMPLES, Target, resample
from medbench.registry import Registry
from medbench.scoring import target_of
from medbench.tasks import Task
from medbench.types import Failed, Picture, Prediction, Sample, Struct, as_text

SAME = 1e-9
"""How far a value derived again may lie from the record's: rounding, and nothing else."""


class Derived(Struct):
    """One score as it follows from the predictions."""

    score: Score
    replicates: Any
    """float32 array (resamples,); empty where the metric takes no weights."""


class Derivation(Struct):
    """All scores of a board's task that follow from the predictions, and why others do not."""

    found: dict[str, Derived]
    """`metric/name[condition]` -> score."""
    not_computed: dict[str, str] = {}
    options: dict[str, dict[str, Any]] = {}
    """Metric -> the options it was computed with, where there are any."""


def seed_of(manifest: str) -> int:
    """Return the seed of the replicates of everything on a manifest: whoever runs, and with whatever seed, draws the same groups."""
    return int(manifest[:15], 16)


def board_metrics(
    board: Board, pinned: BoardTask, task: Task, options: Mapping[str, dict[str, Any]], registry: Registry
) -> list[MetricPlan]:
    """Return the metrics behind a board's columns of one task, under the board's conventions.

    Args:
        board: Its columns name the metrics.
        pinned: The task as the board has it.
        task: The task itself.
        options: Metric -> options under which it was computed.
        registry: The cards at hand.

    Raises:
        PlanError: a metric is not at hand or does not know the convention.
    """
    names = [column.score.partition("/")[0] for column in board.columns if column.task == pinned.name]
    agreed = msgspec.structs.replace(task, conventions={**task.conventions, **pinned.conventions})
    problems: list[Problem] = []
    plans, _ = plan_metrics(agreed, RunOptions(task=task.name, model="", metrics=tuple(dict.fromkeys(names))), registry, problems)
    if problems:
        raise PlanError(problems)
    return [located(msgspec.structs.replace(plan, options=options.get(plan.card.name, plan.options)), board) for plan in plans]


class Sources(Struct):
    """What else metrics may need beside samples and predictions."""

    rows: Path
    """Where rows are kept, or are to be."""
    salt: str
    """What they are kept under."""
    train_references: Any = None
    """Gives the references of the train split."""
    reals: Any = None
    """Gives the real pictures that set metrics compare with."""
    over: tuple[str, ...] = ()
    """Conditions that repeat the same thing: scores are means over them."""


def sources_of(plan: Plan, samples: Sequence[Sample], rows: Path, salt: str) -> Sources:
    """Return what the metrics of a plan may need."""
    return Sources(
        rows=rows,
        salt=salt,
        train_references=train_references(plan) if plan.root else None,
        reals=real_pictures(plan, samples),
        over=plan.protocol.over,
    )


def derive(
    samples: Sequence[Sample],
    predictions: Sequence[Prediction],
    ways: Sequence[Sequence[Way]],
    sources: Sources,
    *,
    stated: Sequence[Score] = (),
    draws: int,
    wanted: Mapping[str, int],
) -> Derivation:
    """Measure what is not measured yet, and reduce it under the weights that all entries of a manifest share.

    Args:
        samples: The evaluated samples; their groups are what is drawn.
        predictions: What was predicted for them.
        ways: For each metric, in which ways it may have been computed.
        sources: Rows that are there, and what else metrics need.
        stated: The scores that the right way must give.
        draws: Seed of the weights.
        wanted: `metric/name[condition]` -> how many replicates.
    """
    names = sorted({sample.group for sample in samples})
    targets: list[Target] = []
    not_computed: dict[str, str] = {}
    options: dict[str, dict[str, Any]] = {}
    for several in ways:
        followed = [_followed(way, samples, predictions, sources, names, draws) for way in several]
        way, found, why = min(followed, key=_against(stated)) if len(followed) > 1 else followed[0]
        targets += found
        not_computed |= why
        options |= {way.plan.card.name: way.plan.portable} if way.plan.options else {}
    counts = [max((wanted.get(key, 0) for key in _keys(target, sources.over)), default=0) for target in targets]
    for count in sorted(set(counts) - {0}):
        resample([target for target, most in zip(targets, counts, strict=True) if most == count], names, draws, count)
    needed = [target for target, most in zip(targets, counts, strict=True) if most]
    made: dict[str, Derived] = {}
    for target in pooled(needed, sources.over):
        for score in target.scores(lambda n_groups: f"bootstrap over {n_groups:,} groups"):
            key = cell_key(score)
            if key in wanted:
                # draws do not depend on how many follow, so the first ones are those of a shorter list
                made[key] = Derived(score=score, replicates=target.replicates(score.name)[: wanted[key]].astype("<f4"))
    return Derivation(found=made, not_computed=not_computed, options=options)


Followed = tuple[Way, list[Target], dict[str, str]]
"""A way, what came of it, and why nothing did."""


def _followed(
    way: Way, samples: Sequence[Sample], predictions: Sequence[Prediction], sources: Sources, names: Sequence[str], draws: int
) -> Followed:
    measuring = Measuring(
        {sample.id: sample for sample in samples},
        predictions,
        sources.rows,
        salt=sources.salt,
        judge=way.judge,
        train_references=sources.train_references,
        reals=sources.reals,
    )
    every = [one for measured in measuring.run([way.plan]) for one in measured]
    return way, [target_of(one, one.answered, np.arange(len(one.samples)), {}, names, draws) for one in every], measuring.not_computed


def _against(stated: Sequence[Score]) -> Callable[[Followed], tuple[int, int]]:
    """Return what orders ways: those that contradict fewest of the stated scores first, then those that give most of them."""
    known = {one.identity: one.value for one in stated}

    def contradicted(followed: Followed) -> tuple[int, int]:
        agree = [
            same_value(known[score.identity], score.value)
            for target in followed[1]
            for score in target.scores(lambda _: "")
            if score.identity in known
        ]
        return agree.count(False), -agree.count(True)

    return contradicted


def same_value(one: float | None, other: float | None, tolerance: float = SAME) -> bool:
    """Say whether two values are one number; two undefined ones are."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)


def _keys(target: Target, over: Sequence[str]) -> list[str]:
    """Return the keys that a target's scores will have, once repetitions are taken together."""
    condition = as_text({name: value for name, value in target.one.condition.items() if name not in over})
    return [f"{target.one.plan.card.name}/{name}" + (f"[{condition}]" if condition else "") for name in target.point]


def replicates_wanted(board: Board, task: str) -> dict[str, int]:
    """Return `metric/name[condition]` -> number of replicates, for a board's columns of a task."""
    return {
        column.key.partition(":")[2]: board.resamples if column.key == board.primary or column.key in _behind_primary(board) else RESAMPLES
        for column in board.columns
        if column.task == task
    }


def _behind_primary(board: Board) -> tuple[str, ...]:
    return board.column(board.primary).mean_of


def packed_form(predictions: Iterable[Prediction]) -> list[Prediction]:
    """Return predictions as they are packed and hashed: by sample and condition, no path of a machine, no message that may quote data."""
    return sorted((_bare(one) for one in predictions), key=lambda one: (one.sample, sorted((k, str(v)) for k, v in one.condition.items())))


def _bare(prediction: Prediction) -> Prediction:
    value = prediction.value
    if isinstance(value, Failed):
        return msgspec.structs.replace(prediction, value=Failed(kind=value.kind, error=""))
    if isinstance(value, Picture):
        return msgspec.structs.replace(prediction, value=msgspec.structs.replace(value, path=""))
    return prediction


def packed_bytes(predictions: Iterable[Prediction]) -> bytes:
    """Return the packed form as JSON lines."""
    encoder = msgspec.json.Encoder(order="deterministic")
    return b"".join(encoder.encode(one) + b"\n" for one in packed_form(predictions))


def packed_digest(predictions: Iterable[Prediction]) -> str:
    """Return the digest of predictions in their packed form."""
    return digest(packed_bytes(predictions))


def blind_digest(samples: Sequence[Sample]) -> str:
    """Return the digest of what a model sees: samples without references, labels, boxes and columns; not where files lie."""
    encode = msgspec.json.Encoder(order="deterministic").encode
    bare = [
        [sample.id, sample.group, sample.prompt, [[image.role, image.preset, image.digest] for image in sample.images]]
        for sample in sorted(samples, key=lambda sample: sample.id)
    ]
    return digest(encode(bare))
