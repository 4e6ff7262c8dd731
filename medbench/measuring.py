"""From predictions to rows: the one place where a metric measures, and where it may ask a second model."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from medbench.errors import MedbenchError, PluginError, UsageError
from medbench.events import Event
from medbench.files import private_folder, write_whole
from medbench.identity import digest_of
from medbench.interfaces import Reals
from medbench.metric_plans import MetricPlan
from medbench.registry import load
from medbench.types import Condition, Failed, Output, Pair, Prediction, Request, Sample, Text, Value, as_text

T = TypeVar("T")
Array = np.ndarray[Any, np.dtype[Any]]

Ask = Callable[[Sequence[tuple[str, list[Request]]]], Generator[Event, None, Sequence[list[Output]]]]
"""Puts (role, requests) of several metrics to the models bound to the roles, tells how far it is, returns their outputs in order."""


class Measured:
    """One metric's rows for one condition, and the samples they belong to."""

    def __init__(self, plan: MetricPlan, metric: Any, condition: Condition, samples: list[Sample], values: list[Value]) -> None:
        self.plan = plan
        self.metric = metric
        self.condition = condition
        self.samples = samples
        self.values = values
        self.rows: Any = None
        self.signature: dict[str, Any] = {}
        self.convention: dict[str, str] = dict(plan.convention)
        """What the scores stand under: the plan's conventions, what the metric adds by its options (`named`), and who was asked."""
        self.failed = np.fromiter((isinstance(v, Failed) for v in values), bool, len(values))
        self.empty = np.fromiter((isinstance(v, Text) and not v.text.strip() for v in values), bool, len(values))
        self.truncated = np.fromiter((isinstance(v, Text) and v.finish_reason == "length" for v in values), bool, len(values))
        self.reals = Reals(evaluated=())
        """What a set metric compares with."""
        self.unmeasured: list[Sample] = []
        """Failed samples without a row, because the metric has no worst value for them."""

    @property
    def title(self) -> str:
        """A name for its signature: metric, conventions, options, and who was asked."""
        return f"{self.plan.slug} by {self.convention['by']}" if "by" in self.convention else self.plan.slug

    def flag(self, name: str) -> Array:
        """Return a boolean mask that the metric gives over its rows (`unparsable`, `unscored`)."""
        flags = self.metric.flags(self.rows) if hasattr(self.metric, "flags") else {}
        return np.asarray(flags.get(name, np.zeros(len(self.samples), bool)))

    def lacking(self) -> dict[str, Array]:
        """Return score name -> the rows that it is about and that a second model left without a value, where that is not `unscored`."""
        own = self.metric.lacking(self.rows) if hasattr(self.metric, "lacking") else {}
        return {name: np.asarray(mask, dtype=bool) for name, mask in own.items()}

    @property
    def answered(self) -> Array:
        """Indices of the rows of samples that did not fail."""
        return np.flatnonzero(~self.failed)


class Measuring:
    """Measures the predictions of one run, metric by metric, keeping rows on disk.

    Args:
        samples: The evaluated samples by id.
        predictions: What was predicted, under any number of conditions.
        folder: Where rows are kept.
        salt: Digest of samples and predictions, so that rows of others are never taken for these.
        ask: Puts the requests of metrics to other models; None: there is none.
        judge: Identity of the model that answers them: what another judge said is not taken for its word.
        train_references: References of the train split, for conventions that need them; None: they cannot be had.
        reals: Gives the real pictures that set metrics compare with; None: there are none.
    """

    def __init__(
        self,
        samples: dict[str, Sample],
        predictions: Sequence[Prediction],
        folder: Path,
        *,
        salt: str,
        ask: Ask | None = None,
        judge: str = "",
        train_references: Callable[[], list[str]] | None = None,
        reals: Callable[[], Reals] | None = None,
    ) -> None:
        self._samples = samples
        self._reals = reals
        self._conditions: dict[str, list[Prediction]] = {}
        for prediction in predictions:
            self._conditions.setdefault(as_text(prediction.condition), []).append(prediction)
        self._folder = folder
        self._salt = salt
        self._ask = ask
        self._judge = judge
        self._train_references = train_references
        self.not_computed: dict[str, str] = {}
        """Metric -> why there is no number of it."""
        self.anew = 0
        """How many metrics were measured anew; the others' rows were there."""

    def run(self, metrics: Sequence[MetricPlan]) -> Iterator[list[Measured]]:
        """Yield what was measured for each metric in turn: one `Measured` per condition, none where it cannot be computed."""
        return (made for made in self.steps(metrics) if isinstance(made, list))

    def steps(self, metrics: Sequence[MetricPlan]) -> Iterator[list[Measured] | Event]:
        """Yield what `run` does, and between that how far the asking of a second model is.

        Metrics that ask a second model are measured last and together, so that each model is loaded once.
        """
        asking = [plan for plan in metrics if plan.card.asks]
        for plan in metrics:
            if plan not in asking:
                yield self._guarded(plan, self._measure)
        if asking:
            jobs = [job for plan in asking for job in self._guarded(plan, self._jobs)]
            yield from self._converse(jobs)
            for plan in asking:
                yield [job.one for job in jobs if job.one.plan is plan and job.one.rows is not None]

    def _guarded(self, plan: MetricPlan, make: Callable[[MetricPlan], list[T]]) -> list[T]:
        """Return what `make` gives; a metric that cannot be computed here is named, never a crash and never a zero."""
        try:
            return make(plan)
        except MedbenchError as error:
            self._name(plan, error)
            return []

    def _measure(self, plan: MetricPlan) -> list[Measured]:
        jobs = self._jobs(plan)
        for job in jobs:
            if job.one.rows is None:
                job.finish(job.measure())
        self.anew += any(job.fresh for job in jobs)
        return [job.one for job in jobs]

    def _converse(self, jobs: Sequence[_Job]) -> Iterator[Event]:
        """Run the generators of all metrics in step: gather what they ask, ask it, hand the answers back."""
        if self._ask is None:
            for job in jobs:
                self.not_computed[job.one.plan.card.name] = "it asks a second model, and none is named (--judge MODEL)"
            return
        running = [(job, job.measure()) for job in jobs if job.one.rows is None]
        wanted = [(job, asking, request) for job, asking in running if (request := self._advance(job, asking, None)) is not None]
        while wanted:
            replies = yield from self._ask([request for _, _, request in wanted])
            wanted = [
                (job, asking, request)
                for (job, asking, _), reply in zip(wanted, replies, strict=True)
                if (request := self._advance(job, asking, reply)) is not None
            ]
        self.anew += len({job.one.plan.slug for job in jobs if job.fresh})

    def _advance(self, job: _Job, asking: Any, reply: list[Output] | None) -> tuple[str, list[Request]] | None:
        """Go on with a metric that asks; one that gives up is named as not computed."""
        try:
            return job.advance(asking, reply)
        except MedbenchError as error:
            self._name(job.one.plan, error)
            return None

    def _name(self, plan: MetricPlan, error: MedbenchError) -> None:
        self.not_computed[plan.card.name] = f"{error.message}{f' ({error.hint})' if error.hint else ''}"

    def _jobs(self, plan: MetricPlan) -> list[_Job]:
        made = load(plan.card)
        extra: dict[str, Any] = {}
        if set(plan.convention.values()) & set(plan.card.train_conventions):
            if self._train_references is None:
                raise UsageError(
                    f"{plan.card.name} needs the train split for {', '.join(plan.convention.values())}", hint="give it with --data"
                )
            extra["train_references"] = self._train_references()
        jobs = []
        for name, predictions in self._conditions.items():
            metric = made(convention=plan.convention, **plan.options, **extra)
            jobs.append(self._job(plan, metric, name, predictions, digest_of(extra)))
        if not all(job.pairs for job in jobs):
            self.not_computed[plan.card.name] = "every sample failed"
        return [job for job in jobs if job.pairs]

    def _job(self, plan: MetricPlan, metric: Any, condition: str, predictions: Sequence[Prediction], learnt: str) -> _Job:
        kept = [p for p in predictions if _has_worst(plan) or not isinstance(p.value, Failed)]
        samples, values = [self._samples[p.sample] for p in kept], [p.value for p in kept]
        one = Measured(plan, metric, predictions[0].condition, samples, values)
        there = {id(p) for p in kept}
        if not plan.card.weighted:
            one.reals = self._reals() if self._reals else one.reals
            if not one.reals.evaluated:
                raise UsageError(f"{plan.card.name} compares with real pictures, and the task has none", hint="[reference_set] in the task")
        one.unmeasured = [self._samples[p.sample] for p in predictions if id(p) not in there]
        judge = self._judge if plan.card.asks else ""
        if judge and hasattr(metric, "bind"):
            metric.bind(judge)
        named = {**(metric.named() if hasattr(metric, "named") else {}), **({"by": judge} if judge else {})}
        one.convention |= named
        compared = [image.digest for sample in (*one.reals.evaluated, *one.reals.train) for image in sample.images]
        learnt = digest_of([learnt, compared]) if compared else learnt
        facts = [self._salt, learnt, judge, plan.card.name, plan.card.load, plan.card.version, plan.convention, plan.portable, condition]
        facts += [named] if named else []
        facts += [metric.identity] if getattr(metric, "identity", "") else []
        path = self._folder / f"{plan.slug}-{digest_of(facts)[:12]}"
        pairs = [Pair(s, Text(text="") if isinstance(v, Failed) else v) for s, v in zip(samples, values, strict=True)]
        signed = {**({"judge": judge} if judge else {}), "metric": plan.card.name, "convention": plan.convention, "options": plan.options}
        job = _Job(one, pairs, path, signed if judge or plan.options else {})
        job.read()
        if plan.card.asks and self._ask and one.rows is not None and any(m.any() for m in (one.flag("unscored"), *one.lacking().values())):
            one.rows = None  # what was answered is in the store: only what failed is asked again
        return job


class _Job:
    """One metric, convention and condition: what is measured, and the file its rows are kept in."""

    def __init__(self, one: Measured, pairs: list[Pair], path: Path, signed: dict[str, Any]) -> None:
        self.one = one
        self.pairs = pairs
        self._signed = signed
        self.fresh = False
        self._row: Any = getattr(one.metric, "Row", None)
        ending = ".json" if self._row is not None else ".npy" if one.plan.card.weighted else ".npz"
        self._path = path.with_name(path.name + ending)
        self._signature = path.with_name(path.name + ".signature.json")

    def read(self) -> None:
        """Take the rows that were kept for exactly this, if there are any."""
        if not (self._path.is_file() and self._signature.is_file()):
            return
        if self._row is not None:
            self.one.rows = msgspec.json.decode(self._path.read_bytes(), type=list[self._row])  # type: ignore[name-defined]
        elif not self.one.plan.card.weighted:
            with np.load(self._path, allow_pickle=False) as kept:
                self.one.rows = dict(kept)
        else:
            self.one.rows = np.load(self._path, allow_pickle=False)
        self.one.signature = msgspec.json.decode(self._signature.read_bytes())

    def measure(self) -> Any:
        """Return the rows, or the generator that asks for what it needs first."""
        if self.one.plan.card.weighted:
            return self.one.metric.measure(self.pairs)
        return self.one.metric.measure(self.pairs, self.one.reals)

    def advance(self, asking: Generator[Any, Any, Any], reply: list[Output] | None) -> tuple[str, list[Request]] | None:
        """Go on with a metric that asks; return what it asks next, None when it is done."""
        try:
            wanted: tuple[str, list[Request]] = asking.send(reply)
        except StopIteration as done:
            self.finish(done.value)
            return None
        return wanted

    def finish(self, rows: Any) -> None:
        """Take the rows and keep them.

        Raises:
            PluginError: they are not one for each pair.
        """
        name, count = self.one.plan.card.name, len(rows if self.one.plan.card.weighted else rows["drawn"])
        if count != len(self.pairs):
            raise PluginError(f"metric {name}: measure gave {count} rows for {len(self.pairs)} pairs")
        self.fresh = True
        self.one.rows = rows
        metric = self.one.metric
        stated = msgspec.to_builtins(dict(metric.signature())) if hasattr(metric, "signature") else {}
        self.one.signature = {**stated, **self._signed}
        private_folder(self._path.parent)
        if self._row is not None:
            content = msgspec.json.encode(rows)
        else:
            buffer = io.BytesIO()
            if self.one.plan.card.weighted:
                np.save(buffer, rows, allow_pickle=False)
            else:
                np.savez(buffer, allow_pickle=False, **rows)
            content = buffer.getvalue()
        write_whole(self._path, content)
        write_whole(self._signature, msgspec.json.encode(self.one.signature, order="deterministic"))


def _has_worst(plan: MetricPlan) -> bool:
    """Say whether failed samples can be measured as the worst answer: an empty text; a second model is never asked about one."""
    return "text" in plan.card.takes and not plan.card.asks


def take(rows: Any, index: Array) -> Any:
    """Return some of the rows of a metric, arrays and lists alike."""
    if isinstance(rows, np.ndarray):
        return rows if len(index) == len(rows) and np.array_equal(index, np.arange(len(rows))) else rows[index]
    return [rows[i] for i in index]
