"""Judges that give each sample one grade of a scale: the engine behind `likert`, `vqa-judge` and `rubric`."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from medbench.errors import DataError, UsageError
from medbench.figures import Bars, Figure
from medbench.types import Generate, Output, Pair, Request, Sample, Struct, Text
from medbench_judge import tally
from medbench_judge.canaries import poisoned
from medbench_judge.controls import Controls, canary_of, chosen, partners
from medbench_judge.conversation import Call, Question, Settled, Status, converse
from medbench_judge.parsing import grade
from medbench_judge.quoting import MAX_CHARS
from medbench_judge.rubrics import Rubric, Style, read_rubric, shipped

COVERED = 0.9
"""Probabilities of the grades are taken where they make up so much of the judge's probability; elsewhere it is asked often."""
SAMPLED = 8
TOP = 20
"""Most log-probabilities that endpoints give for a token."""

Asking = Generator[tuple[str, list[Request]], list[Output], list["Rated"]]


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


class Rating:
    """Asks a judge for one grade per sample.

    An answer without any text gets the lowest grade and no judge is asked; a judge that failed, refused or could not be
    understood gives no grade at all.

    Args:
        convention: Not looked at: a rubric has one reading.
        weighted: Also state the mean grade by the judge's probabilities (log-probabilities of the grades as whole replies);
            where they cover less than 0.9, or there are none, by sampled replies at temperature 1.
        samples: How many replies are sampled there.
        controls: Try each control on so many samples.
        shuffled: Samples judged against another group's reference; default: as `controls`.
        canaries: Samples judged with a plea behind the candidate; default: as `controls`.
        again: Samples asked about again; default: as `controls`.
        times: How many times again.
        max_chars: Longest quoted text, in characters.
    """

    Row: ClassVar[type[Rated]] = Rated
    name: ClassVar[str] = ""
    """The rubric of this package that is used."""

    def __init__(
        self,
        convention: Mapping[str, str] | None = None,
        *,
        weighted: bool = False,
        samples: int = SAMPLED,
        controls: int = 0,
        shuffled: int | None = None,
        canaries: int | None = None,
        again: int | None = None,
        times: int = 1,
        max_chars: int = MAX_CHARS,
    ) -> None:
        del convention
        given = {"shuffled": shuffled, "canaries": canaries, "again": again}
        self._controls = Controls(times=times, **{name: controls if value is None else value for name, value in given.items()})
        least = (("controls", controls, 0), ("times", times, 1), ("samples", samples, 2), ("max_chars", max_chars, 200))
        for option, value, low in (*least, *((name, value or 0, 0) for name, value in given.items())):
            if value < low:
                raise UsageError(f"{self.name or 'rubric'}: {option}={value}: {low} or more is needed")
        self._weighted = weighted
        self._samples = samples
        self._max_chars = max_chars
        self.rubric = self._rubric()
        self._style: Style = "number" if weighted else self.rubric.parser

    def _rubric(self) -> Rubric:
        return shipped(self.name)

    @property
    def _shared(self) -> int:
        return len(self.rubric.head(self._style))

    # --- asking -------------------------------------------------------------------------------------------------------

    def measure(self, pairs: Sequence[Pair]) -> Asking:
        """Yield what the judge is asked, twice at most and once more where replies are sampled; return one `Rated` per pair.

        Raises:
            DataError: a sample has no reference.
        """
        for pair in pairs:
            if not pair.sample.references and "{reference}" in self.rubric.prompt:
                raise DataError(f"sample {pair.sample.id} has no reference to judge by", hint=f"{self.rubric.name} compares with one")
        asked = [at for at, pair in enumerate(pairs) if answer_of(pair).strip()]
        planned = [(at, Question("rate", self._request(pairs[at]))) for at in asked] + list(self._control_questions(pairs))
        settled = yield from converse([question for _, question in planned], self._parse, self._shared)
        by_row: dict[int, list[Settled[float]]] = {}
        for (at, _), one in zip(planned, settled, strict=True):
            by_row.setdefault(at, []).append(one)
        sampled = (yield from self._sample(pairs, by_row)) if self._weighted else {}
        return [self._row(pair, by_row.get(at, []), sampled.get(at, [])) for at, pair in enumerate(pairs)]

    def calls(self, n: int) -> int:
        """Return how many questions are put to the judge about n samples, re-asks and sampled replies aside."""
        controls = self._controls
        return n + min(controls.shuffled, n) + min(controls.canaries, n) + min(controls.again, n) * controls.times

    def _request(self, pair: Pair, *, reference: Sample | None = None, candidate: str | None = None, **fields: Any) -> Generate:
        texts = {
            "question": pair.sample.prompt,
            "reference": _references(reference or pair.sample),
            "candidate": answer_of(pair) if candidate is None else candidate,
        }
        if self._weighted:
            fields = {"options": tuple(f"{grade:g}" for grade in self.rubric.grades), "top_logprobs": TOP, **fields}
        return self.rubric.ask(texts, style=self._style, max_chars=self._max_chars, **fields)

    def _control_questions(self, pairs: Sequence[Pair]) -> Iterator[tuple[int, Question]]:
        controls, best = self._controls, f"{self.rubric.grades[-1]:g}"
        if "{reference}" in self.rubric.prompt:
            for at, other in partners(pairs, chosen(pairs, controls.shuffled)).items():
                yield at, Question("shuffled", self._request(pairs[at], reference=pairs[other].sample))
        for number, at in enumerate(chosen(pairs, controls.canaries)):
            name = canary_of(number)
            yield at, Question(f"canary {name}", self._request(pairs[at], candidate=poisoned(answer_of(pairs[at]), name, best)))
        for at in chosen(pairs, controls.again):
            for time in range(1, controls.times + 1):
                yield at, Question("again", self._request(pairs[at], repeat=time))

    def _sample(
        self, pairs: Sequence[Pair], by_row: Mapping[int, Sequence[Settled[float]]]
    ) -> Generator[tuple[str, list[Request]], list[Output], dict[int, list[Settled[float]]]]:
        """Ask often, at temperature 1, where the judge's probabilities say too little."""
        short = [at for at, ones in by_row.items() if ones[0].output is not None and _covered(ones[0].output) < COVERED]
        questions = [
            (at, Question("sampled", self._request(pairs[at], temperature=1.0, repeat=number, seed=number)))
            for at in short
            for number in range(1, self._samples + 1)
        ]
        settled = yield from converse([question for _, question in questions], self._parse, self._shared)
        made: dict[int, list[Settled[float]]] = {}
        for (at, _), one in zip(questions, settled, strict=True):
            made.setdefault(at, []).append(one)
        return made

    def _parse(self, reply: Text) -> float:
        return grade(reply.text, self.rubric.grades, self._style)

    def _row(self, pair: Pair, settled: Sequence[Settled[float]], sampled: Sequence[Settled[float]]) -> Rated:
        facts = {"length": len(answer_of(pair)), **self._facts(pair.sample)}
        if not settled:
            return Rated(status="empty", grade=self.rubric.grades[0], expected=self.rubric.grades[0] if self._weighted else None, **facts)
        by_purpose: dict[str, list[float | None]] = {}
        for one in settled:
            by_purpose.setdefault(one.calls[0].purpose.partition(" ")[0], []).append(one.verdict)
        first = settled[0]
        return Rated(
            status=first.status,
            grade=first.verdict,
            shuffled=by_purpose.get("shuffled", [None])[0],
            canary=by_purpose.get("canary", [None])[0],
            again=tuple(by_purpose.get("again", ())),
            calls=tuple(call for one in (*settled, *sampled) for call in one.calls),
            **(self._expectation(first, sampled) if self._weighted else {}),
            **facts,
        )

    def _facts(self, sample: Sample) -> dict[str, Any]:
        """Return what else of a sample is kept in its row."""
        del sample
        return {}

    def _expectation(self, first: Settled[float], sampled: Sequence[Settled[float]]) -> dict[str, Any]:
        if first.output is None:
            return {}
        covered = _covered(first.output)
        known = {"covered": covered} if first.output.option_logprobs else {}
        if covered >= COVERED:
            mass = {float(option): np.exp(value) for option, value in first.output.option_logprobs.items()}
            return {"expected": float(sum(option * p for option, p in mass.items()) / sum(mass.values())), **known}
        verdicts = [one.verdict for one in sampled if one.verdict is not None]
        return {"expected": float(np.mean(verdicts)) if verdicts else None, "sampled": bool(verdicts), **known}

    # --- scores -------------------------------------------------------------------------------------------------------

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

    # --- what is on record, and what views may ask ----------------------------------------------------------------------

    def signature(self) -> dict[str, Any]:
        """Return what the number rests on: rubric and hash of its words, form of the reply, temperature, controls."""
        return {
            "rubric": self.rubric.full_name,
            "prompt": f"sha256:{self.rubric.hash}",
            "reply": self._style,
            "temperature": 0.0,
            "max_chars": self._max_chars,
            "instructions": self.rubric.head(self._style),
            **({"weighted": True, "samples": self._samples} if self._weighted else {}),
            **({"controls": {name: getattr(self._controls, name) for name in Controls.__struct_fields__}} if self._controls.calls else {}),
        }

    def named(self) -> dict[str, str]:
        """Return what stands beside the convention, so that numbers of another scale never share its name."""
        return {}

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


class Likert(Rating):
    """Rates a report against the reference on the five levels of PeFoMed's rubric, 0 to 4 (arXiv 2401.02797), in our own words.

    `average` is the weighted average of the levels (0 to 4), `average-1-5` the same on 1 to 5, `level-0` … their shares.
    """

    name: ClassVar[str] = "likert"


class RubricJudge(Rating):
    """Rates by a rubric that a user wrote: a TOML file with levels, a prompt and how the reply is read.

    Args:
        convention: Not looked at.
        file: The rubric.
        options: Those of `Rating`.
    """

    def __init__(
        self,
        convention: Mapping[str, str] | None = None,
        *,
        file: str = "",
        weighted: bool = False,
        samples: int = SAMPLED,
        controls: int = 0,
        shuffled: int | None = None,
        canaries: int | None = None,
        again: int | None = None,
        times: int = 1,
        max_chars: int = MAX_CHARS,
    ) -> None:
        if not file:
            raise UsageError("metric rubric needs a rubric", hint="--metric-option rubric.file=FILE.toml")
        self._file = Path(file)
        super().__init__(
            convention,
            weighted=weighted,
            samples=samples,
            controls=controls,
            shuffled=shuffled,
            canaries=canaries,
            again=again,
            times=times,
            max_chars=max_chars,
        )

    def _rubric(self) -> Rubric:
        return read_rubric(self._file)

    def named(self) -> dict[str, str]:
        """Return the rubric's name, version and hash: two files never share a score."""
        return {"rubric": f"{self.rubric.full_name}-{self.rubric.hash[:8]}"}


def exchange(call: Call, head: str) -> dict[str, Any]:
    """Return a call as a view shows it: its whole prompt, and each count of its usage under its own name."""
    told = {"purpose": call.purpose, "status": call.status, "verdict": call.verdict, "error": call.error, "reply": call.reply}
    return {**{name: value for name, value in told.items() if value}, **call.usage, "prompt": head + call.prompt}


def answer_of(pair: Pair) -> str:
    """Return the text that is judged."""
    value = pair.value
    assert isinstance(value, Text), "a judge's cards take text alone"
    return value.text


def _references(sample: Sample) -> str:
    """Return what a sample is judged by: its reference, or all of them, numbered."""
    if len(sample.references) < 2:
        return "".join(sample.references)
    return "\n".join(f"Reference {number}: {text}" for number, text in enumerate(sample.references, 1))


def _covered(output: Text) -> float:
    return output.covered if output.option_logprobs else 0.0


def _fell(row: Rated, best: float) -> float | None:
    """Return whether the plea raised the grade; None where it could not have, or there is nothing to compare."""
    if row.canary is None or row.grade is None or row.grade == best:
        return None
    return float(row.canary > row.grade)
