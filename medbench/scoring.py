"""From predictions to scores: measure once, reduce under shared weights, compare conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from medbench.errors import suggestion
from medbench.events import Event, Note, Progress
from medbench.figures import Figure
from medbench.identity import safe_name
from medbench.interfaces import Reals
from medbench.measuring import Ask, Measured, Measuring, take
from medbench.metric_plans import MetricPlan
from medbench.pooling import pooled, pooled_crossings, pooled_pairs, pooled_parts
from medbench.record import Contrast, Score
from medbench.reducing import RESAMPLES, Array, Target, condition_contrasts, interactions, paired_targets, resample, subgroup_contrasts
from medbench.set_reducing import SetTarget
from medbench.types import Pair, Prediction, Sample, Struct, as_text

SHOWN_CONDITIONS = 6
"""A metric under more conditions than this has no figures of its own."""


class Scored(Struct):
    """What scoring gives to the record."""

    scores: tuple[Score, ...]
    contrasts: tuple[Contrast, ...]
    not_computed: dict[str, str]
    signatures: dict[str, dict[str, Any]]
    measured: int
    """How many metrics were measured anew; the others' rows were there."""
    figures: tuple[Figure, ...] = ()


def score(
    samples: Sequence[Sample],
    predictions: Sequence[Prediction],
    metrics: Sequence[MetricPlan],
    folder: Path,
    *,
    seed: int,
    salt: str,
    group: str = "patient",
    by: Sequence[str] = (),
    over: Sequence[str] = (),
    ask: Ask | None = None,
    judge: str = "",
    train_references: Callable[[], list[str]] | None = None,
    reals: Callable[[], Reals] | None = None,
) -> Iterator[Event | Scored]:
    """Measure, reduce, and yield `Scored` last.

    Args:
        samples: The evaluated samples; their groups are what resamples are drawn from.
        predictions: What was predicted, under any number of conditions.
        metrics: What is computed.
        folder: Where rows are kept.
        seed: Seed of the resamples.
        salt: Digest of samples and predictions, so that rows of others are never taken for these.
        group: What a group is called (patient, image …).
        by: Columns whose values are scored apart.
        over: Conditions that repeat the same thing: scores are means over them.
        ask: Puts the requests of metrics to other models.
        judge: Identity of the model that answers them.
        train_references: References of the train split, for conventions that need them.
        reals: Gives the real pictures that set metrics compare with.
    """
    measuring = Measuring(
        {sample.id: sample for sample in samples},
        predictions,
        folder,
        salt=salt,
        ask=ask,
        judge=judge,
        train_references=train_references,
        reals=reals,
    )
    yield from _absent_columns(samples, by)
    yield Progress(stage="score", done=0, total=len(metrics))
    measured: list[Measured] = []
    number = 0
    for made in measuring.steps(metrics):
        if not isinstance(made, list):
            yield made
            continue
        measured += made
        number += 1
        yield Progress(stage="score", done=number, total=len(metrics))
    scores, contrasts = _reduce(measured, samples, seed=seed, group=group, by=by, over=over)
    yield Scored(
        scores=scores,
        contrasts=contrasts,
        not_computed=measuring.not_computed,
        signatures={one.title: one.signature for one in measured if one.signature},
        measured=measuring.anew,
        figures=tuple(figure for one in _shown(measured) for figure in _figures(one)),
    )


def _reduce(
    measured: Sequence[Measured], samples: Sequence[Sample], *, seed: int, group: str, by: Sequence[str], over: Sequence[str]
) -> tuple[tuple[Score, ...], tuple[Contrast, ...]]:
    """Return scores and contrasts of what was measured: whole and by subgroups, all under one draw of weights."""
    names = sorted({sample.group for sample in samples})
    whole = [target_of(one, one.answered, np.arange(len(one.samples)), {}, names, seed) for one in measured]
    parts = [(column, subgroups) for one in measured for column in by if (subgroups := _subgroups(one, column, names, seed))]
    paired = _paired([one for one in measured if one.plan.card.weighted], names)
    crossed = [(column, sides) for pair in paired for column in by if (sides := _crossed(pair, column, names))]
    pairs = [*paired, *(pair for _, sides in crossed for pair in sides)]
    resample([*whole, *(t for _, targets in parts for t in targets), *(side for pair in pairs for side in pair)], names, seed)

    def method(n_groups: int) -> str:
        several = f"{group[:-1]}ies" if group.endswith("y") else f"{group}s"
        return f"percentile bootstrap over {n_groups:,} {several}, {RESAMPLES:,} resamples, seed {seed}"

    whole, parts = pooled(whole, over), pooled_parts(parts, over)
    paired, crossed = pooled_pairs(paired, over), pooled_crossings(crossed, over)
    contrasts = [contrast for pair in paired for contrast in condition_contrasts(*pair, method)]
    contrasts += [contrast for column, targets in parts if targets[0].weighted for contrast in subgroup_contrasts(column, targets, method)]
    contrasts += [contrast for column, sides in crossed for contrast in interactions(column, sides, method)]
    scores = (score for target in (*whole, *(t for _, targets in parts for t in targets)) for score in target.scores(method))
    return tuple(scores), tuple(contrasts)


def _shown(measured: Sequence[Measured]) -> list[Measured]:
    """Return what figures are drawn of: a metric under few conditions, not the points of a learning curve."""
    count = Counter(one.plan.slug for one in measured)
    return [one for one in measured if count[one.plan.slug] <= SHOWN_CONDITIONS]


def _figures(one: Measured) -> Iterator[Figure]:
    """Return what a metric has to show of the samples that were answered, named after metric, convention and condition."""
    if not hasattr(one.metric, "figures") or not len(one.answered):
        return
    rows = take(one.rows, one.answered) if one.plan.card.weighted else one.rows
    pairs = [Pair(one.samples[i], one.values[i]) for i in one.answered]
    condition = as_text(one.condition)
    for figure in one.metric.figures(rows, pairs):
        title = f"{figure.title} ({condition})" if condition else figure.title
        yield msgspec.structs.replace(figure, name=safe_name("-".join(filter(None, (one.plan.slug, figure.name, condition)))), title=title)


def _absent_columns(samples: Sequence[Sample], by: Sequence[str]) -> Iterator[Note]:
    """Say which columns nothing can be scored by."""
    for column in by:
        if not any(column in sample.meta for sample in samples):
            known = sorted({name for sample in samples for name in sample.meta})
            yield Note(text=f"no sample has a column {column}, so nothing is scored by it ({suggestion(column, known)})")


def target_of(one: Measured, answered: Array, rows: Array, subgroup: dict[str, str], names: Sequence[str], seed: int) -> Target:
    """Return what is reduced together: rows under weights, or two sets by sub-samples."""
    if one.plan.card.weighted:
        return Target(one, answered, rows, subgroup, names)
    return SetTarget(one, answered, rows, subgroup, names, seed)


def _subgroups(one: Measured, column: str, names: Sequence[str], seed: int) -> list[Target]:
    """Return what is reduced for each value of a column; samples without a value are in none of them."""
    chosen = _by_value(one, column, np.arange(len(one.samples)))
    return [target_of(one, rows[~one.failed[rows]], rows, {column: value}, names, seed) for value, rows in chosen.items()]


def _by_value(one: Measured, column: str, rows: Array) -> dict[str, Array]:
    """Return value of a column -> those of the rows that have it, by sorted value."""
    values = np.array([one.samples[i].meta.get(column, "") for i in rows], dtype=object)
    return {value: rows[values == value] for value in sorted({v for v in values if v})}


def _crossed(pair: tuple[Target, Target], column: str, names: Sequence[str]) -> list[tuple[Target, Target]]:
    """Return a pair of conditions for each value of a column; the samples of both are the same, so the values are too."""
    split = [_by_value(side.one, column, side.rows) for side in pair]
    return [
        (
            Target(pair[0].one, split[0][v], split[0][v], {column: v}, names),
            Target(pair[1].one, split[1][v], split[1][v], {column: v}, names),
        )
        for v in split[0]
    ]


def _paired(measured: Sequence[Measured], names: Sequence[str]) -> list[tuple[Target, Target]]:
    """Pair each image condition with the true images, over the samples that both have answered."""
    true = {_but_images(one): one for one in measured if one.condition.get("images", "true") == "true"}
    pairs: list[tuple[Target, Target]] = []
    for other in measured:
        one = true.get(_but_images(other))
        if one is None or other is one:
            continue
        pairs.append(paired_targets(other, one, names))
    return pairs


def _but_images(one: Measured) -> tuple[str, str]:
    return one.plan.slug, as_text({name: value for name, value in one.condition.items() if name != "images"})
