"""`pairwise`: whose answers does the judge prefer, this run's or another's? Both orders are asked."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from medbench.errors import DataError, UsageError
from medbench.runs import RunFolder, find_run
from medbench.types import Generate, Output, Pair, Prediction, Request, Sample, Struct, Text
from medbench_judge import tally
from medbench_judge.conversation import Call, Question, Settled, Status, converse
from medbench_judge.parsing import Unusable, one_object
from medbench_judge.prompts import shipped
from medbench_judge.quoting import MAX_CHARS
from medbench_judge.rated import answer_of, exchange

Better = Literal["A", "B", "tie"]
VERDICTS: tuple[Better, ...] = ("A", "B", "tie")
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "better": {"enum": list(VERDICTS)}},
        "required": ["reason", "better"],
        "additionalProperties": False,
    }
)


class Preferred(Struct, omit_defaults=True):
    """Which of two answers a judge preferred."""

    status: Status
    first: float | None = None
    """1: ours, asked as A; 0: the other's; 0.5: a tie; None: not known."""
    second: float | None = None
    """The same, asked as B."""
    asked: bool = True
    """Whether a judge was asked; answers that are equal, or empty, need none."""
    longer: float = 0.0
    """Characters that ours is longer."""
    calls: tuple[Call, ...] = ()


class Pairwise:
    """Asks the judge, in both orders, which of two answers agrees better with the reference.

    A preference counts where both orders give it; where they differ, the sample is a tie and inconsistent. `win-rate` counts
    ties half. `position-bias` is how much more often the answer that stands first is preferred than the one that stands
    second, -1 to 1. Equal answers are a tie, and an empty one loses, without a judge.

    Args:
        convention: Not looked at.
        against: The other run: its folder, or its fingerprint or `task/model` below `runs`.
        runs: The folder of runs in which `against` is looked for.
        max_chars: Longest quoted text, in characters.

    Raises:
        UsageError: no other run is named, or there is none of that name.
    """

    Row: ClassVar[type[Preferred]] = Preferred

    def __init__(
        self, convention: Mapping[str, str] | None = None, *, against: str = "", runs: str = "runs", max_chars: int = MAX_CHARS
    ) -> None:
        del convention
        if not against:
            raise UsageError("metric pairwise needs a second run", hint="--metric-option pairwise.against=RUN   (medbench runs)")
        self._folder: RunFolder = find_run(against, Path(runs))
        self._record = self._folder.read_record()
        self._max_chars = max_chars
        self.prompt = shipped("pairwise")

    def measure(self, pairs: Sequence[Pair]) -> Generator[tuple[str, list[Request]], list[Output], list[Preferred]]:
        """Yield what the judge is asked, twice at most, and return one `Preferred` per pair.

        Raises:
            DataError: the other run answered other samples, or other references.
        """
        others = self._others(pairs)
        open_ = [at for at, pair in enumerate(pairs) if _settled(answer_of(pair), others.get(pair.sample.id)) is None]
        questions = [
            Question(f"rate, ours as {place}", self._request(pairs[at], others[pairs[at].sample.id] or "", ours_first=place == "A"))
            for at in open_
            for place in ("A", "B")
        ]
        settled = yield from converse(questions, _parse, len(self.prompt.head))
        asked = {at: settled[2 * number : 2 * number + 2] for number, at in enumerate(open_)}
        return [self._row(pair, others.get(pair.sample.id), asked.get(at)) for at, pair in enumerate(pairs)]

    def calls(self, n: int) -> int:
        """Return how many questions are put to the judge about n samples at most, re-asks aside."""
        return 2 * n

    def _others(self, pairs: Sequence[Pair]) -> dict[str, str | None]:
        """Return sample -> the other run's answer, None where it failed."""
        known = {sample.id: sample for sample in self._folder.read_samples()}
        for pair in pairs:
            _check_same(pair.sample, known.get(pair.sample.id), self._folder.path)
        return {p.sample: _answer(p) for p in self._folder.read_predictions() if p.condition.get("images", "true") == "true"}

    def _request(self, pair: Pair, other: str, *, ours_first: bool) -> Generate:
        first, second = (answer_of(pair), other) if ours_first else (other, answer_of(pair))
        texts = {"question": pair.sample.prompt, "reference": pair.sample.references[0], "first": first, "second": second}
        return self.prompt.ask(texts, schema=SCHEMA, max_chars=self._max_chars)

    def _row(self, pair: Pair, other: str | None, asked: Sequence[Settled[Better]] | None) -> Preferred:
        longer = float(len(answer_of(pair)) - len(other or ""))
        if asked is None:
            value = _settled(answer_of(pair), other)
            if value is None or other is None:
                return Preferred(status="failed", asked=False, calls=(_absent(),))
            return Preferred(status="empty", first=value, second=value, asked=False, longer=longer)
        one, two = asked
        status = next((side.status for side in (one, two) if side.status != "parsed"), one.status)
        calls = one.calls + two.calls
        if one.verdict is None or two.verdict is None:
            return Preferred(status=status, longer=longer, calls=calls)
        ours_as_a: dict[Better, float] = {"A": 1.0, "tie": 0.5, "B": 0.0}
        return Preferred(status="parsed", first=ours_as_a[one.verdict], second=1.0 - ours_as_a[two.verdict], longer=longer, calls=calls)

    def reduce(self, rows: Sequence[Preferred], weights: Any) -> tally.Reduced:
        """Return win rate, wins, ties and losses, how far the orders agree, position bias, and what came of asking."""
        first, second = tally.numbers(row.first for row in rows), tally.numbers(row.second for row in rows)
        known = ~(np.isnan(first) | np.isnan(second))
        asked = known & np.array([row.asked for row in rows], dtype=bool)
        agreed = np.where(known & (first == second), first, np.where(known, 0.5, np.nan))
        columns = {
            "win-rate": agreed,
            **{name: np.where(known, agreed == value, np.nan) for name, value in (("wins", 1.0), ("ties", 0.5), ("losses", 0.0))},
            "consistent": np.where(asked, first == second, np.nan),
            "position-bias": np.where(asked, first - second, np.nan),
        }
        made = {name: tally.mean(column, weights) for name, column in columns.items()}
        made |= tally.counts([row.status for row in rows], weights)
        made["length-correlation"] = tally.with_length(agreed, tally.numbers(row.longer for row in rows), weights)
        return made

    def per_sample(self, rows: Sequence[Preferred]) -> dict[str, tally.Array]:
        """Return 1, 0.5 or 0 for each row, NaN where it is not known."""
        first, second = tally.numbers(row.first for row in rows), tally.numbers(row.second for row in rows)
        return {"win-rate": np.where(np.isnan(first + second), np.nan, np.where(first == second, first, 0.5))}

    def flags(self, rows: Sequence[Preferred]) -> dict[str, tally.Array]:
        """Return `unscored`: samples of which the judge gave no preference in one of the orders."""
        return {"unscored": tally.unscored([row.status for row in rows])}

    @property
    def identity(self) -> str:
        """Hashes of the words that the judge is told and of the other run's answers: rows of others are never taken for these."""
        return f"{self.prompt.hash}-{self._record.predictions[:16]}"

    def signature(self) -> dict[str, Any]:
        """Return what the number rests on: version and hash of the words, temperature, the other run and its predictions."""
        return {
            "prompt": f"{self.prompt.full_name} sha256:{self.prompt.hash}",
            "temperature": 0.0,
            "max_chars": self._max_chars,
            "instructions": self.prompt.head,
            "against": {"model": self._record.model.name, "run": self._record.fingerprint, "predictions": self._record.predictions},
        }

    def named(self) -> dict[str, str]:
        """Return the other run: win rates against two of them are two scores."""
        return {"against": f"{self._record.model.name}-{self._record.predictions[:8]}"}

    def exchanges(self, rows: Sequence[Preferred]) -> list[list[dict[str, Any]]]:
        """Return, for each row, every call with its whole prompt, reply, verdict and usage."""
        return [[exchange(call, self.prompt.head) for call in row.calls] for row in rows]


def _settled(ours: str, other: str | None) -> float | None:
    """Return what needs no judge: equal answers, and one or two without any text; None: a judge is needed, or there is no answer."""
    if other is None:
        return 0.0
    if ours.split() == other.split():
        return 0.5
    if ours.strip() and other.strip():
        return None
    return 1.0 if ours.strip() else 0.0


def _absent() -> Call:
    return Call(purpose="rate", prompt="", status="failed", error="the other run has no answer to this sample")


def _check_same(mine: Sample, other: Sample | None, folder: Path) -> None:
    alike = other is not None and (mine.prompt, mine.references) == (other.prompt, other.references)
    if not alike or [image.digest for image in mine.images] != [image.digest for image in (other.images if other else ())]:
        what = "does not have" if other is None else "asked otherwise, or with another reference or picture"
        raise DataError(f"{folder} {what} sample {mine.id}", hint="name a run of the same task on the same data")
    if not mine.references:
        raise DataError(f"sample {mine.id} has no reference to judge by", hint="pairwise compares with one")


def _answer(prediction: Prediction) -> str | None:
    return prediction.value.text if isinstance(prediction.value, Text) else None


def _parse(reply: Text) -> Better:
    """Return the preference that a reply states.

    Raises:
        Unusable: it states none.
    """
    stated = one_object(reply.text, ("better",))["better"]
    found = next((one for one in VERDICTS if isinstance(stated, str) and stated.strip().lower() == one.lower()), None)
    if found is None:
        raise Unusable(f"{str(stated)[:20]!r} is not one of {', '.join(VERDICTS)}")
    return found
