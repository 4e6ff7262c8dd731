"""What a judge said of each sample, and the scores that are made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from medbench.figures import Bars, Figure
from medbench.types import Pair, Struct, Text
from medbench_judge import tally
from medbench_judge.controls import Controls
from medbench_judge.conversation import Call, Status
from medbench_judge.rubrics import Rubric, Style


class Rated(Struct, omit_defaults=True):
    """What a judge said of one sample."""

    status: Status
    grade: float | None = None
    expected: float | None = None
    """Mean grade by the judge's own probabilities, or over sampled replies."""
    covered: float | None = None
    """Share of the judge's probability that the grades make up, 0 to 1; None: it gave none."""
    sampled: bool = False
    """`expected` is a mean over sampled replies."""
    shuffled: float | None = None
    again: tuple[float | None, ...] = ()
    canary: float | None = None
    """Grade with a plea behind the candidate."""
    length: int = 0
    """Characters of what was judged."""
    closed: bool | None = None
    types: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()


class RatedScores:
    """From rows to scores and views; `Rating` adds how the rows come about."""

    Row: ClassVar[type[Rated]] = Rated
    rubric: Rubric
    _style: Style
    _weighted: bool
    _controls: Controls

    def reduce(self, rows: Sequence[Rated], weights: Any) -> tally.Reduced:
        """Return the mean grade, the share of each grade, what came of asking, and the controls that were tried."""
        values = tally.numbers(row.grade for row in rows)
        statuses = [row.status for row in rows]
        grades = self.rubric.grades
        made = {"average": tally.mean(values, weights), **self._more(rows, values, weights)}
        if self.rubric.rescale:
            low, high = self.rubric.rescale
            rescaled = low + (values - grades[0]) * (high - low) / (grades[-1] - grades[0])
            made[f"average-{low:g}-{high:g}"] = tally.mean(rescaled, weights)
        if self._weighted:
            made["expected"] = tally.mean(tally.numbers(row.expected for row in rows), weights)
            made["covered"] = tally.mean(tally.numbers(row.covered for row in rows), weights)
        for one in grades:
            made[f"level-{one:g}"] = tally.mean(np.where(np.isnan(values), np.nan, values == one), weights)
        made |= tally.counts(statuses, weights)
        made |= tally.bounds(values, statuses, weights, grades[0], grades[-1])
        made["length-correlation"] = tally.with_length(values, tally.numbers(row.length for row in rows), weights)
        return made | self._control_scores(rows, weights)

    def _more(self, rows: Sequence[Rated], values: tally.Array, weights: Any) -> tally.Reduced:
        """Return scores over parts of the samples that the metric defines."""
        del rows, values, weights
        return {}

    def _control_scores(self, rows: Sequence[Rated], weights: Any) -> tally.Reduced:
        made: tally.Reduced = {}
        if self._controls.shuffled:
            made["shuffled"] = tally.mean(tally.numbers(row.shuffled for row in rows), weights)
        if self._controls.canaries:
            made["canary"] = tally.mean(tally.numbers(_fell(row, self.rubric.grades[-1]) for row in rows), weights)
        if self._controls.again:
            made["repeat-agreement"] = tally.mean(tally.numbers(tally.agreeing(row.grade, row.again) for row in rows), weights)
        return made

    def per_sample(self, rows: Sequence[Rated]) -> dict[str, tally.Array]:
        """Return the grade of each row, and the expected one where it was asked for; NaN: there is none."""
        made = {"average": tally.numbers(row.grade for row in rows)}
        if self._weighted:
            made["expected"] = tally.numbers(row.expected for row in rows)
        return made

    def flags(self, rows: Sequence[Rated]) -> dict[str, tally.Array]:
        """Return `unscored`: rows of which the judge gave no grade."""
        return {"unscored": tally.unscored([row.status for row in rows])}

    def lacking(self, rows: Sequence[Rated]) -> dict[str, tally.Array]:
        """Return the rows that controls were tried on, and of which the judge said too little to tell."""
        made = {"shuffled": _left(rows, "shuffled", lambda row: row.shuffled is None)}
        made["canary"] = _left(rows, "canary", lambda row: row.canary is None or row.grade is None)
        made["repeat-agreement"] = _left(rows, "again", lambda row: tally.agreeing(row.grade, row.again) is None)
        if self._weighted:
            made["expected"] = np.array([row.expected is None for row in rows], dtype=bool)
        return made

    def scale(self) -> tuple[float, ...]:
        """Return the grades, lowest first: what `agree` holds against human ratings."""
        return self.rubric.grades

    def repeats(self, rows: Sequence[Rated]) -> tally.Array:
        """Return the grades of all calls about the same thing, (calls, rows), NaN where it was not asked again."""
        width = 1 + max((len(row.again) for row in rows), default=0)
        made = np.full((width, len(rows)), np.nan)
        for at, row in enumerate(rows):
            made[: 1 + len(row.again), at] = tally.numbers((row.grade, *row.again))
        return made

    def exchanges(self, rows: Sequence[Rated]) -> list[list[dict[str, Any]]]:
        """Return, for each row, every call with its whole prompt, reply, verdict and usage."""
        return [[exchange(call, self.rubric.head(self._style)) for call in row.calls] for row in rows]

    def figures(self, rows: Sequence[Rated], pairs: Sequence[Pair]) -> Iterator[Figure]:
        """Yield how many samples got each grade."""
        del pairs
        grades = self.rubric.grades
        yield Bars(
            name=f"{self.rubric.name}-levels",
            title=f"{self.rubric.name}: samples at each level",
            labels=tuple(f"{one:g}" for one in grades),
            values=tuple(float(sum(row.grade == one for row in rows)) for one in grades),
            x_label="samples",
            counts=True,
        )


def exchange(call: Call, head: str) -> dict[str, Any]:
    """Return a call as a view shows it: its whole prompt, and each count of its usage under its own name."""
    told = {"purpose": call.purpose, "status": call.status, "verdict": call.verdict, "error": call.error, "reply": call.reply}
    return {**{name: value for name, value in told.items() if value}, **call.usage, "prompt": head + call.prompt}


def answer_of(pair: Pair) -> str:
    """Return the text that is judged."""
    value = pair.value
    assert isinstance(value, Text), "a judge's cards take text alone"
    return value.text


def _left(rows: Sequence[Rated], purpose: str, is_open: Callable[[Rated], bool]) -> tally.Array:
    return np.array([tally.tried(row.calls, purpose) and is_open(row) for row in rows], dtype=bool)


def _fell(row: Rated, best: float) -> float | None:
    """Return whether the plea raised the grade; None where it could not have, or there is nothing to compare."""
    if row.canary is None or row.grade is None or row.grade == best:
        return None
    return float(row.canary > row.grade)
