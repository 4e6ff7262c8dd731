"""The same predictions under every convention: what the choice of rules alone does to a number."""

from __future__ import annotations

from collections.abc import Mapping

from medbench.record import RunRecord, Score
from medbench.types import Struct, as_text


class UnderConvention(Struct):
    """The scores of one metric under one set of rules."""

    convention: dict[str, str]
    own: bool
    """Whether these are the task's own rules."""
    scores: dict[str, Score]


class MetricTable(Struct):
    """One metric under every set of rules that it knows."""

    metric: str
    condition: str
    names: tuple[str, ...]
    rows: tuple[UnderConvention, ...]
    spread: dict[str, float]
    """Score -> largest minus smallest value over the rules that are shown."""


def by_convention(record: RunRecord, own: Mapping[str, str]) -> list[MetricTable]:
    """Return a table for each metric that has conventions, scores of single labels and types and of subgroups left out.

    Args:
        record: A run scored under the conventions that are of interest.
        own: The task's own: family -> name or name@version.
    """
    found: dict[tuple[str, str], dict[str, list[Score]]] = {}
    for score in record.scores:
        if score.convention and not score.subgroup and ":" not in score.name:
            at = found.setdefault((score.metric, as_text(score.condition)), {})
            at.setdefault(as_text(score.convention), []).append(score)
    return [_table(metric, condition, list(rows.values()), own) for (metric, condition), rows in found.items()]


def _table(metric: str, condition: str, grouped: list[list[Score]], own: Mapping[str, str]) -> MetricTable:
    names = tuple(dict.fromkeys(score.name for scores in grouped for score in scores))
    rows = tuple(
        UnderConvention(
            convention=scores[0].convention,
            own=all(own.get(family, "") in {name, name.partition("@")[0]} for family, name in scores[0].convention.items()),
            scores={score.name: score for score in scores},
        )
        for scores in grouped
    )
    values = {name: [row.scores[name].value for row in rows if name in row.scores] for name in names}
    known = {name: [value for value in of if value is not None] for name, of in values.items()}
    spread = {name: max(of) - min(of) for name, of in known.items() if len(of) > 1}
    return MetricTable(metric=metric, condition=condition, names=names, rows=rows, spread=spread)
