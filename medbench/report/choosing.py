"""Which samples a report shows: the best, the worst and some by chance, the same ones each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medbench.cards import ScoreFacts
from medbench.identity import digest
from medbench.measuring import Array, Measured
from medbench.report.measured import own_values


class Column(NamedTuple):
    """One score with a value for each sample."""

    one: Measured
    name: str
    facts: ScoreFacts
    values: Array
    """float64 (rows,), NaN where the sample does not enter."""

    @property
    def title(self) -> str:
        """What the column is called."""
        return f"{self.one.plan.card.name}/{self.name}"


def columns_of(measured: Sequence[Measured]) -> list[Column]:
    """Return the scores that have a value for each sample, under the first condition of each metric, primary ones first."""
    first: dict[str, Measured] = {}
    for one in measured:
        first.setdefault(one.plan.slug, one)
    made = [
        Column(one, name, one.plan.card.facts(name), values)
        for one in first.values()
        for name, values in own_values(one).items()
        if np.isfinite(values).any()
    ]
    return sorted(made, key=lambda column: not column.facts.primary)


class Chosen(NamedTuple):
    """Some rows of a column under a heading."""

    heading: str
    rows: list[int]


def choose(column: Column, count: int) -> list[Chosen]:
    """Return the worst, the best and other rows of a column, no row twice; ties and chance are settled by the hash of the id.

    Args:
        column: What decides; where it has no direction, there is neither best nor worst.
        count: Rows of each kind.
    """
    rows = sorted(np.flatnonzero(np.isfinite(column.values)).tolist(), key=lambda row: digest(column.one.samples[row].id))
    values = column.values
    made: list[Chosen] = []
    if column.facts.higher_is_better is not None and len(set(values[rows].tolist())) > 1:
        sign = 1.0 if column.facts.higher_is_better else -1.0
        few = min(count, len(rows) // 2)
        made.append(Chosen(f"worst by {column.title}", sorted(rows, key=lambda row: sign * values[row])[:few]))
        made.append(Chosen(f"best by {column.title}", sorted(rows, key=lambda row: -sign * values[row])[:few]))
    taken = {row for chosen in made for row in chosen.rows}
    others = [row for row in rows if row not in taken][:count]
    return [*made, Chosen("taken by chance", others)] if others else made
