"""A plan carried out, in nine steps that go one way: each step's result is on disk before the next begins."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.answering import Answered, ask, identity_of, prospect
from medbench.conditions import under_condition
from medbench.errors import UsageError
from medbench.events import Event, Note, Planned, Progress, ShardDone
from medbench.figures import Figure
from medbench.files import private_folder, write_whole
from medbench.finishing import data_facts, finish
from medbench.identity import digest_of
from medbench.index import Indexed, digests_of, read_index, remarks_on
from medbench.locks import FolderLock
from medbench.plan import ModelPlan, Plan
from medbench.record import ModelFacts, RunRecord
from medbench.registry import Registry, load
from medbench.roots import access_of, ensure_twin, is_synthetic, twin_folder
from medbench.runs import RunFolder, run_path
from medbench.store import Outputs, Store
from medbench.types import Prediction, Sample, Struct


class Prospect(Struct):
    """What a run would be, before it is carried out."""

    folder: Path
    total: int
    """Different requests to the model."""
    missing: int
    """Those without an output yet."""
    done: bool
    """Whether nothing is missing, and the record is there."""


class Pipeline:
    """One run: built from a plan, carried out once by iterating over its events.

    Args:
        plan: A plan that was checked.
        registry: The cards at hand; its plugins hear of the finished run.
        executor: Where models run.
    """

    def __init__(self, plan: Plan, registry: Registry, executor: Any) -> None:
        if plan.model is None:
            raise UsageError("a run needs a model", hint="--model NAME   (medbench list models)")
        self._plan = plan
        self._model: ModelPlan = plan.model
        self._registry = registry
        self._executor = executor
        self._reader = load(plan.reader)()
        self._root = Path(plan.root)
        self._params = msgspec.convert(plan.params, load(plan.protocol).Params)
        self._protocol = load(plan.protocol)()
        self._runs = Path(plan.runs_dir)

    def __iter__(self) -> Iterator[Event]:
        """Carry the plan out; the last event is `Finished`, or `ShardDone`."""
        indexed, remarks = self._index()
        train = self._read_train() if self._plan.needs_train else None
        identity = identity_of(self._model, self._fit_digest(train) if self._plan.fits_model else "")
        fingerprint = self._fingerprint(indexed, identity, train)
        folder = RunFolder(run_path(self._runs, self._plan.task.name, self._model.name, fingerprint))
        access = access_of(self._plan.reader, self._root)
        folder.create(access)
        yield Planned(
            plan=self._plan,
            n=len(indexed.samples),
            n_images=indexed.n_images,
            n_groups=len(indexed.groups),
            access=access,
            synthetic=is_synthetic(self._root),
            fingerprint=fingerprint,
            folder=folder.path,
        )
        for text in remarks:
            yield Note(text=text)
        with FolderLock(folder.path) as lock:
            holder = lock.try_take()
            if holder:
                yield Note(text=f"{holder} is carrying out the same run: waiting for it")
                lock.wait()
            with folder.discreet(access):
                yield from self._carry_out(folder, indexed, train, identity, fingerprint, remarks)

    def prospect(self) -> Prospect:
        """Return where the run would lie and what is missing of it: no model is loaded, nothing is asked."""
        indexed, _ = self._index()
        train = self._read_train() if self._plan.needs_train else None
        identity = identity_of(self._model, self._fit_digest(train) if self._plan.fits_model else "")
        path = run_path(self._runs, self._plan.task.name, self._model.name, self._fingerprint(indexed, identity, train))
        learnt_from = train.samples if train and "train" in self._plan.protocol.splits else ()
        views = [[*learnt_from, *under_condition(indexed.samples, name, self._plan.seed)] for name in self._plan.images]
        requests = (request for samples in views for request in self._protocol.requests(samples, self._params))
        retry = self._plan.retry_failed
        total, missing = prospect(self._model, identity, requests, self._runs / "outputs" / identity, retry_failed=retry)
        return Prospect(folder=path, total=total, missing=missing, done=not missing and RunFolder(path).record.is_file())

    # --- steps 3 to 9 -------------------------------------------------------------------------------------------------

    def _carry_out(
        self, folder: RunFolder, indexed: Indexed, train: Indexed | None, identity: str, fingerprint: str, remarks: Sequence[str]
    ) -> Iterator[Event]:
        folder.sweep()
        folder.write_plan(self._plan)
        folder.write_samples(indexed.samples)
        options, fitted = yield from self._fit(folder, train if self._plan.fits_model else None)
        notes: list[str] = []
        with Store(self._runs / "outputs" / identity, fresh=self._plan.fresh, note=notes.append) as store:
            for text in notes:
                yield Note(text=text)
            learnt_from = train.samples if train and "train" in self._plan.protocol.splits else ()
            conditions = {name: [*learnt_from, *under_condition(indexed.samples, name, self._plan.seed)] for name in self._plan.images}
            answered = yield from self._ask(conditions, identity, options, store)
            if not answered.complete and self._plan.shard:
                yield ShardDone(part=self._plan.shard[0], parts=self._plan.shard[1], done=answered.done, total=answered.total)
                return
            predictions = [p for name, samples in conditions.items() for p in self._predict(samples, answered.outputs, name)]
            predictions = folder.keep_pictures(predictions)
            figures = self._figures(conditions[self._plan.images[0]], folder.with_pictures(predictions), answered.outputs)
            told = self._told(conditions[self._plan.images[0]], answered.outputs)
            loaded = dict(answered.outputs.facts)
        for text in told:
            yield Note(text=text)
        record = RunRecord(
            task=self._plan.task.name,
            fingerprint=fingerprint,
            model=self._model_facts(identity, loaded, fitted),
            data=data_facts(
                self._plan, indexed.samples, indexed.manifest, train.manifest if learnt_from and train else "", len(learnt_from)
            ),
            protocol=self._plan.protocol.name,
            params=self._plan.params,
            seed=self._plan.seed,
            remarks=(*remarks, *told),
            predictions=folder.write_predictions(predictions),
            overrides=self._plan.overrides,
            costs={"model": answered.bill} if answered.bill else {},
        )
        yield from finish(
            self._plan,
            folder,
            indexed.samples,
            predictions,
            record,
            self._registry,
            executor=self._executor,
            asked=answered.asked,
            figures=figures,
        )

    def _ask(
        self, conditions: dict[str, list[Sample]], identity: str, options: dict[str, Any], store: Store
    ) -> Generator[Event, None, Answered]:
        """Pass on the events of asking; return what came of it."""
        requests = (request for samples in conditions.values() for request in self._protocol.requests(samples, self._params))
        plan = self._plan
        for event in ask(
            self._model,
            identity,
            options,
            requests,
            self._executor,
            store,
            retry_failed=plan.retry_failed,
            shard=plan.shard,
            max_cost=plan.max_cost,
        ):
            if isinstance(event, Answered):
                return event
            yield event
        raise AssertionError("asking ends with what came of it")

    def _model_facts(self, identity: str, loaded: dict[str, Any], fitted: dict[str, Any]) -> ModelFacts:
        card = self._model.card
        return ModelFacts(
            name=self._model.name,
            identity=identity,
            kind=card.kind,
            options={name: value for name, value in self._model.options.items() if name not in card.neutral},
            loaded=loaded,
            fitted=fitted,
            untrained=bool(loaded.get("untrained")),
            networked=card.networked,
        )

    def _index(self) -> tuple[Indexed, list[str]]:
        if self._root == twin_folder(self._plan.reader):
            ensure_twin(self._plan.reader, self._root)
        digests = digests_of(self._root)
        indexed = read_index(self._reader, self._root, self._plan.split, self._plan.reader_params, digests, self._plan.limit)
        if not indexed.samples:
            raise UsageError(f"{self._root}: the {self._plan.split} split is empty", hint="choose another with --split")
        return indexed, remarks_on(indexed, self._reader, self._root, self._plan.reader_params)

    def _read_train(self, split: str = "train") -> Indexed:
        return read_index(self._reader, self._root, split, self._plan.reader_params, digests_of(self._root))

    def _fit_digest(self, train: Indexed | None) -> str:
        """Return the digest of everything a fitted model learns from."""
        if train is None:
            return ""
        return digest_of([train.manifest, self._plan.protocol.name, self._plan.params, self._plan.seed])

    def _fingerprint(self, indexed: Indexed, identity: str, train: Indexed | None) -> str:
        plan = self._plan
        parts: list[Any] = [indexed.manifest, plan.protocol.name, plan.params, identity, plan.seed, plan.limit]
        if train and "train" in plan.protocol.splits:
            parts.append(train.manifest)
        if plan.images != ("true",):
            parts.append(sorted(plan.images))
        return digest_of(parts)[:12]

    def _fit(self, folder: RunFolder, train: Indexed | None) -> Generator[Event, None, tuple[dict[str, Any], dict[str, Any]]]:
        """Fit a model that is fitted by the run, unless it was; return its options and the facts of the fit."""
        options = dict(self._model.options)
        if train is None:
            return options, {}
        done = folder.path / "fit.json"
        if not done.is_file() or self._plan.fresh:
            yield Progress(stage="fit", done=0, total=1)
            private_folder(folder.fitted)
            examples = list(self._protocol.examples(train.samples, self._params))
            validation: list[Any] = []
            facts = self._executor.fit(self._model.card, options, examples, validation, folder.fitted, self._plan.seed)
            stated = {"manifest": train.manifest, "n": len(train.samples), **msgspec.to_builtins(dict(facts))}
            write_whole(done, msgspec.json.encode(stated, order="deterministic"))
            yield Progress(stage="fit", done=1, total=1)
        learnt = msgspec.json.decode(done.read_bytes())
        if learnt.get("n_left_out"):
            yield Note(text=f"{learnt['n_left_out']} of {learnt['n']} train samples could not be learnt from (a broken image, no answer)")
        return {**options, "weights": str(folder.fitted)}, learnt

    def _predict(self, samples: Sequence[Sample], outputs: Outputs, images: str) -> Iterator[Prediction]:
        extra = {} if images == "true" else {"images": images}
        for prediction in self._protocol.predictions(samples, outputs, self._params):
            yield msgspec.structs.replace(prediction, condition={**prediction.condition, **extra}) if extra else prediction

    def _told(self, samples: Sequence[Sample], outputs: Outputs) -> list[str]:
        """Return what the protocol has to say of how it came to its predictions, under the first image condition."""
        return list(self._protocol.remarks(samples, outputs, self._params)) if hasattr(self._protocol, "remarks") else []

    def _figures(self, samples: Sequence[Sample], predictions: Sequence[Prediction], outputs: Outputs) -> list[Figure]:
        """Return what the protocol has to show of the first image condition, while the outputs are at hand."""
        if not hasattr(self._protocol, "figures"):
            return []
        shown = self._plan.images[0]
        mine = [p for p in predictions if p.condition.get("images", "true") == shown]
        return list(self._protocol.figures(samples, mine, outputs, self._params))
