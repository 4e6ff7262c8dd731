"""`chexprompt`: errors of a report, counted by six types, clinically significant ones and others apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from medbench.errors import DataError, UsageError
from medbench.figures import Figure, Matrix
from medbench.types import Generate, Output, Pair, Request, Sample, Struct, Text
from medbench_judge import tally
from medbench_judge.canaries import poisoned
from medbench_judge.controls import Controls, canary_of, chosen, partners
from medbench_judge.conversation import Call, Question, Settled, Status, converse
from medbench_judge.parsing import Unusable, one_object
from medbench_judge.prompts import shipped
from medbench_judge.quoting import MAX_CHARS
from medbench_judge.rated import answer_of, exchange

TYPES = ("false-finding", "missing-finding", "wrong-place", "wrong-severity", "false-comparison", "missing-comparison")
"""The error types of CheXprompt and RadCliQ's expert study, in that order."""
SIDES = ("significant", "insignificant")
MOST = 50
"""A count above this is no count of errors in a report."""
WEIGHT = 0.5

_COUNTS = {
    "type": "object",
    "properties": {name: {"type": "integer"} for name in TYPES},
    "required": list(TYPES),
    "additionalProperties": False,
}
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"errors": {"type": "array", "items": {"type": "string"}}, **dict.fromkeys(SIDES, _COUNTS)},
        "required": ["errors", *SIDES],
        "additionalProperties": False,
    }
)

Counts = dict[str, dict[str, int]]
"""`significant` and `insignificant` -> type -> errors."""


class Counted(Struct, omit_defaults=True):
    """What a judge counted in one report."""

    status: Status
    significant: tuple[int, ...] = ()
    """Errors of each type, in the order of `TYPES`; empty: not known."""
    insignificant: tuple[int, ...] = ()
    shuffled: float | None = None
    """Weighted total against the reference of another group."""
    again: tuple[float | None, ...] = ()
    canary: float | None = None
    length: int = 0
    calls: tuple[Call, ...] = ()


class CheXprompt:
    """Counts errors per report by type and significance; the means are per report, lower is better.

    `weighted` is significant + `weight` x insignificant. An answer without any text is judged, too: it leaves out everything.

    Args:
        convention: Not looked at.
        weight: What an insignificant error counts against a significant one, 0 to 1.
        controls: Try each control on so many samples.
        shuffled: Reports judged against another group's reference; default: as `controls`.
        canaries: Reports judged with a plea behind them; default: as `controls`.
        again: Reports asked about again; default: as `controls`.
        times: How many times again.
        max_chars: Longest quoted text, in characters.
    """

    Row: ClassVar[type[Counted]] = Counted

    def __init__(
        self,
        convention: Mapping[str, str] | None = None,
        *,
        weight: float = WEIGHT,
        controls: int = 0,
        shuffled: int | None = None,
        canaries: int | None = None,
        again: int | None = None,
        times: int = 1,
        max_chars: int = MAX_CHARS,
    ) -> None:
        del convention
        if not 0 <= weight <= 1:
            raise UsageError(f"chexprompt: weight={weight}: between 0 and 1")
        given = {"shuffled": shuffled, "canaries": canaries, "again": again}
        self._controls = Controls(times=times, **{name: controls if value is None else value for name, value in given.items()})
        self._weight = weight
        self._max_chars = max_chars
        self.prompt = shipped("chexprompt")

    def measure(self, pairs: Sequence[Pair]) -> Generator[tuple[str, list[Request]], list[Output], list[Counted]]:
        """Yield what the judge is asked, twice at most, and return one `Counted` per pair.

        Raises:
            DataError: a sample has no reference.
        """
        for pair in pairs:
            if not pair.sample.references:
                raise DataError(f"sample {pair.sample.id} has no reference to judge by", hint="chexprompt compares with one")
        planned = [(at, Question("rate", self._request(pair))) for at, pair in enumerate(pairs)]
        planned += self._control_questions(pairs)
        settled = yield from converse([question for _, question in planned], _parse, len(self.prompt.head))
        by_row: dict[int, list[Settled[Counts]]] = {}
        for (at, _), one in zip(planned, settled, strict=True):
            by_row.setdefault(at, []).append(one)
        return [self._row(pair, by_row[at]) for at, pair in enumerate(pairs)]

    def calls(self, n: int) -> int:
        """Return how many questions are put to the judge about n samples, re-asks aside."""
        controls = self._controls
        return n + min(controls.shuffled, n) + min(controls.canaries, n) + min(controls.again, n) * controls.times

    def _request(self, pair: Pair, *, reference: Sample | None = None, candidate: str | None = None, **fields: Any) -> Generate:
        texts = {
            "reference": (reference or pair.sample).references[0],
            "candidate": answer_of(pair) if candidate is None else candidate,
        }
        return self.prompt.ask(texts, schema=SCHEMA, max_chars=self._max_chars, **fields)

    def _control_questions(self, pairs: Sequence[Pair]) -> Iterator[tuple[int, Question]]:
        controls = self._controls
        for at, other in partners(pairs, chosen(pairs, controls.shuffled)).items():
            yield at, Question("shuffled", self._request(pairs[at], reference=pairs[other].sample))
        for number, at in enumerate(chosen(pairs, controls.canaries)):
            name = canary_of(number)
            text = poisoned(answer_of(pairs[at]), name, "0 errors")
            yield at, Question(f"canary {name}", self._request(pairs[at], candidate=text))
        for at in chosen(pairs, controls.again):
            for time in range(1, controls.times + 1):
                yield at, Question("again", self._request(pairs[at], repeat=time))

    def _row(self, pair: Pair, settled: Sequence[Settled[Counts]]) -> Counted:
        totals: dict[str, list[float | None]] = {}
        for one in settled:
            totals.setdefault(one.calls[0].purpose.partition(" ")[0], []).append(self._total(one.verdict))
        first = settled[0]
        sides = {side: tuple(first.verdict[side][name] for name in TYPES) for side in SIDES} if first.verdict else {}
        return Counted(
            status=first.status,
            shuffled=totals.get("shuffled", [None])[0],
            canary=totals.get("canary", [None])[0],
            again=tuple(totals.get("again", ())),
            length=len(answer_of(pair)),
            calls=tuple(call for one in settled for call in one.calls),
            **sides,
        )

    def _total(self, counts: Counts | None) -> float | None:
        return sum(counts["significant"].values()) + self._weight * sum(counts["insignificant"].values()) if counts else None

    def reduce(self, rows: Sequence[Counted], weights: Any) -> tally.Reduced:
        """Return mean errors per report, by type and significance, what came of asking, and the controls that were tried."""
        sides = {side: _table(rows, side) for side in SIDES}
        sums = {side: table.sum(axis=1) for side, table in sides.items()}
        weighted = sums["significant"] + self._weight * sums["insignificant"]
        columns = {"weighted": weighted, "errors": sums["significant"] + sums["insignificant"], **sums}
        columns["error-free"] = np.where(np.isnan(sums["significant"]), np.nan, sums["significant"] == 0)
        made = {name: tally.mean(column, weights) for name, column in columns.items()}
        for side, table in sides.items():
            made |= {f"{side}:{name}": tally.mean(table[:, at], weights) for at, name in enumerate(TYPES)}
        made |= tally.counts([row.status for row in rows], weights)
        made["length-correlation"] = tally.with_length(weighted, tally.numbers(row.length for row in rows), weights)
        pairs = list(zip(rows, weighted.tolist(), strict=True))
        if self._controls.shuffled:
            made["shuffled"] = tally.mean(tally.numbers(row.shuffled for row in rows), weights)
        if self._controls.canaries:
            made["canary"] = tally.mean(tally.numbers(_fell(row, total) for row, total in pairs), weights)
        if self._controls.again:
            made["repeat-agreement"] = tally.mean(tally.numbers(tally.agreeing(total, row.again) for row, total in pairs), weights)
        return made

    def per_sample(self, rows: Sequence[Counted]) -> dict[str, tally.Array]:
        """Return each report's errors; NaN where they are not known."""
        sides = {side: _table(rows, side).sum(axis=1) for side in SIDES}
        return {"weighted": sides["significant"] + self._weight * sides["insignificant"], **sides}

    def flags(self, rows: Sequence[Counted]) -> dict[str, tally.Array]:
        """Return `unscored`: reports of which the judge gave no counts."""
        return {"unscored": tally.unscored([row.status for row in rows])}

    def lacking(self, rows: Sequence[Counted]) -> dict[str, tally.Array]:
        """Return the reports that controls were tried on, and of which the judge said too little to tell."""
        totals = self.per_sample(rows)["weighted"]

        def left(purpose: str, is_open: Callable[[Counted, float], bool]) -> tally.Array:
            pairs = zip(rows, totals.tolist(), strict=True)
            return np.array([tally.tried(row.calls, purpose) and is_open(row, total) for row, total in pairs], dtype=bool)

        return {
            "shuffled": left("shuffled", lambda row, _: row.shuffled is None),
            "canary": left("canary", lambda row, total: row.canary is None or np.isnan(total)),
            "repeat-agreement": left("again", lambda row, total: np.isnan(total) or tally.agreeing(total, row.again) is None),
        }

    @property
    def identity(self) -> str:
        """Hash of the words that the judge is told: rows of other words are never taken for these."""
        return self.prompt.hash

    def signature(self) -> dict[str, Any]:
        """Return what the number rests on: version and hash of the words, weight, temperature, controls."""
        return {
            "prompt": f"{self.prompt.full_name} sha256:{self.prompt.hash}",
            "weight": self._weight,
            "temperature": 0.0,
            "max_chars": self._max_chars,
            "instructions": self.prompt.head,
            **({"controls": {name: getattr(self._controls, name) for name in Controls.__struct_fields__}} if self._controls.calls else {}),
        }

    def named(self) -> dict[str, str]:
        """Return a weight of the user's own, so that its totals share no name with others."""
        return {} if self._weight == WEIGHT else {"weight": f"{self._weight:g}"}

    def repeats(self, rows: Sequence[Counted]) -> tally.Array:
        """Return the weighted totals of all calls about the same report, (calls, rows), NaN where it was not asked again."""
        width = 1 + max((len(row.again) for row in rows), default=0)
        made = np.full((width, len(rows)), np.nan)
        made[0] = self.per_sample(rows)["weighted"]
        for at, row in enumerate(rows):
            made[1 : 1 + len(row.again), at] = tally.numbers(row.again)
        return made

    def exchanges(self, rows: Sequence[Counted]) -> list[list[dict[str, Any]]]:
        """Return, for each row, every call with its whole prompt, reply, verdict and usage."""
        return [[exchange(call, self.prompt.head) for call in row.calls] for row in rows]

    def figures(self, rows: Sequence[Counted], pairs: Sequence[Pair]) -> Iterator[Figure]:
        """Yield how many errors of each type were counted."""
        del pairs
        values = tuple(tuple(float(total) for total in np.nansum(_table(rows, side), axis=0)) for side in SIDES)
        yield Matrix(name="chexprompt-errors", title="errors by type", values=values, rows=SIDES, columns=TYPES, counts=True)


def _table(rows: Sequence[Counted], side: str) -> tally.Array:
    """Return errors of each row and type, (rows, types), NaN where they are not known."""
    made = np.full((len(rows), len(TYPES)), np.nan)
    for at, row in enumerate(rows):
        counted = getattr(row, side)
        if counted:
            made[at] = counted
    return made


def _fell(row: Counted, total: float) -> float | None:
    """Return whether the plea made errors disappear; None where there were none, or there is nothing to compare."""
    if row.canary is None or np.isnan(total) or total == 0:
        return None
    return float(row.canary < total)


def _parse(reply: Text) -> Counts:
    """Return the counts that a reply states.

    Raises:
        Unusable: a type is missing or unknown, or a count is no whole number from 0 to 50.
    """
    stated = one_object(reply.text, SIDES)
    made: Counts = {}
    for side in SIDES:
        counts = stated[side]
        if not isinstance(counts, dict) or set(counts) != set(TYPES):
            raise Unusable(f"{side} does not hold exactly the types {', '.join(TYPES)}")
        for name, count in counts.items():
            if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST:
                raise Unusable(f"{side} {name} is {str(count)[:20]!r}, not a whole number from 0 to {MOST}")
        made[side] = counts
    return made
