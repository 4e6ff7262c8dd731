"""Judges that give each sample one grade of a scale: the engine behind `likert`, `vqa-judge` and `rubric`."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from medbench.errors import DataError, UsageError
from medbench.types import Generate, Output, Pair, Request, Sample, Text
from medbench_judge.canaries import poisoned
from medbench_judge.controls import Controls, canary_of, chosen, partners
from medbench_judge.conversation import Question, Settled, converse
from medbench_judge.parsing import grade
from medbench_judge.quoting import MAX_CHARS
from medbench_judge.rated import Rated, RatedScores, answer_of
from medbench_judge.rubrics import Rubric, Style, read_rubric, shipped

COVERED = 0.9
"""Probabilities of the grades are taken where they make up so much of the judge's probability; elsewhere it is asked often."""
SAMPLED = 8
TOP = 20
"""Most log-probabilities that endpoints give for a token."""

Asking = Generator[tuple[str, list[Request]], list[Output], list[Rated]]


class Rating(RatedScores):
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

    @property
    def identity(self) -> str:
        """Hash of the words that the judge is told: rows of other words are never taken for these."""
        return self.rubric.hash

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


def _references(sample: Sample) -> str:
    """Return what a sample is judged by: its reference, or all of them, numbered."""
    if len(sample.references) < 2:
        return "".join(sample.references)
    return "\n".join(f"Reference {number}: {text}" for number, text in enumerate(sample.references, 1))


def _covered(output: Text) -> float:
    return output.covered if output.option_logprobs else 0.0
