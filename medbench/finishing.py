"""The last steps of a run and of a scoring alike: score the predictions, write the record, tell the plugins."""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from medbench.answering import Answered, ask, identity_of
from medbench.cards import GUARDED
from medbench.costs import Bill, together
from medbench.curves import learning_curves
from medbench.errors import DataError, MedbenchError
from medbench.events import Event, Finished, Note, Progress
from medbench.figures import Figure
from medbench.identity import digest
from medbench.index import digests_of, read_index
from medbench.interfaces import Reals
from medbench.measuring import Ask
from medbench.permissions import dated
from medbench.plan import ModelPlan, Plan
from medbench.record import DataFacts, RunRecord, merge, merge_contrasts
from medbench.registry import Registry, load
from medbench.roots import access_of, is_synthetic
from medbench.runs import RunFolder
from medbench.scoring import Scored, score
from medbench.store import Store
from medbench.types import Failed, Image, Output, Prediction, Request, Sample, Text


def data_facts(plan: Plan, samples: Sequence[Sample], manifest: str, train_manifest: str = "", n_train: int = 0) -> DataFacts:
    """Return what a record says about the data."""
    root = Path(plan.root)
    return DataFacts(
        dataset=plan.reader.name,
        split=plan.split,
        variant=plan.variant,
        manifest=manifest,
        train_manifest=train_manifest,
        n_train=n_train,
        n=len(samples),
        n_groups=len({sample.group for sample in samples}),
        n_images=len({image.path for sample in samples for image in sample.images}),
        group=plan.reader.group,
        access=access_of(plan.reader, root),
        licence=plan.reader.licence,
        synthetic=is_synthetic(root),
        limit=plan.limit,
        duplicate_rate=_duplicate_rate(samples),
        reader=plan.task.reader,
    )


def _duplicate_rate(samples: Sequence[Sample]) -> float | None:
    """Return how many references are copied from train, where the reader looked (its column `reference_in_train`)."""
    marked = [sample.meta["reference_in_train"] == "yes" for sample in samples if "reference_in_train" in sample.meta]
    return sum(marked) / len(marked) if marked else None


def finish(
    plan: Plan,
    folder: RunFolder,
    samples: Sequence[Sample],
    predictions: Sequence[Prediction],
    record: RunRecord,
    registry: Registry,
    *,
    executor: Any,
    asked: int = 0,
    figures: Sequence[Figure] = (),
) -> Iterator[Event]:
    """Score predictions under the plan's metrics, complete the record, write it, and yield `Finished` last.

    A record of the same predictions that is there already is added to, never overwritten; so are its figures.
    """
    scored: Scored | None = None
    bills: list[Bill] = []
    with _holding(executor) as judges:
        for event in score(
            samples,
            folder.with_pictures(predictions),
            plan.metrics,
            folder.rows,
            seed=plan.seed,
            salt=digest(record.data.manifest, record.predictions),
            group=plan.reader.group,
            by=plan.by,
            over=plan.protocol.over,
            ask=_judge(plan.judge, plan, judges, record, bills) if plan.judge else None,
            judge=identity_of(plan.judge) if plan.judge else "",
            train_references=train_references(plan) if plan.root else None,
            reals=real_pictures(plan, samples),
        ):
            if isinstance(event, Scored):
                scored = event
            else:
                yield event
    assert scored is not None
    old = _earlier(folder, record)
    complete = msgspec.structs.replace(
        record,
        scores=merge(old.scores if old else (), scored.scores),
        contrasts=merge_contrasts(old.contrasts if old else (), scored.contrasts),
        not_computed=_not_computed(plan, scored, old),
        signatures={**(old.signatures if old else {}), **scored.signatures},
        n_predictions=len(predictions),
        n_failed=sum(isinstance(p.value, Failed) for p in predictions),
        n_empty=sum(isinstance(p.value, Text) and not p.value.text.strip() for p in predictions),
        versions=_versions(plan, registry),
        overrides=dated(record.overrides, old.overrides if old else {}),
        costs={**(old.costs if old else {}), **record.costs, **({"judge": together(bills)} if bills else {})},
    )
    cards = {metric.card.name: metric.card for metric in plan.metrics}
    curves = learning_curves(scored.scores, lambda one: cards[one.metric].facts(one.name), record.data.n_train)
    folder.write_figures([*figures, *scored.figures, *curves])
    if old != complete:
        folder.write_record(complete)
    yield from _tell(registry, complete, folder, permitted=bool(plan.permission.strip()))
    yield Finished(record=complete, folder=folder.path, asked=asked, measured=scored.measured, changed=old != complete)


def _earlier(folder: RunFolder, record: RunRecord) -> RunRecord | None:
    """Return an earlier record of the very same predictions."""
    try:
        old = folder.read_record()
    except DataError:
        return None
    return old if (old.predictions, old.data.manifest) == (record.predictions, record.data.manifest) else None


def _not_computed(plan: Plan, scored: Scored, old: RunRecord | None) -> dict[str, str]:
    """Return what has no number, now or from before, unless it has one now."""
    there = {one.metric for one in (*scored.scores, *(old.scores if old else ()))}
    named = {**(old.not_computed if old else {}), **plan.not_computed, **scored.not_computed}
    return {name: why for name, why in sorted(named.items()) if name not in there}


def _tell(registry: Registry, record: RunRecord, folder: RunFolder, *, permitted: bool) -> Iterator[Event]:
    """Tell every plugin; one that fails is a note, never a failed run.

    Of data under an agreement a plugin hears only where it says that it keeps things on this machine (`KEEPS_LOCAL = True`),
    or where the user states a permission: a tracker gets the way to every text of the run.
    """
    for implementation in registry.plugins.hook.medbench_finished.get_hookimpls():
        if record.data.access in GUARDED and not (permitted or getattr(implementation.plugin, "KEEPS_LOCAL", False)):
            yield Note(text=f"plugin {implementation.plugin_name} was not told of the run: {record.data.access} data stays on this machine")
            continue
        try:
            implementation.function(**{name: {"record": record, "folder": folder.path}[name] for name in implementation.argnames})
        except Exception as error:  # noqa: BLE001 - a stranger's code: the run is written already
            said = type(error).__name__ if record.data.access in GUARDED else f"{type(error).__name__}: {error}"
            yield Note(text=f"plugin {implementation.plugin_name} failed when told of the run: {said}")


def _versions(plan: Plan, registry: Registry) -> dict[str, str]:
    """Return the versions of what made the numbers: medbench, the plugins involved, python and numpy."""
    cards = [plan.reader, plan.protocol, *(metric.card for metric in plan.metrics)]
    cards += [model.card for model in (plan.model, plan.judge) if model]
    packages = {"medbench", "numpy", *(registry.plugin_of(card) for card in cards)} - {""}
    found = {"python": platform.python_version()}
    for package in sorted(packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def train_references(plan: Plan) -> Callable[[], list[str]]:
    """Return what reads the references of the train split, for conventions that need them."""

    def read() -> list[str]:
        root = Path(plan.root)
        train = read_index(load(plan.reader)(), root, "train", plan.reader_params, digests_of(root))
        return [reference for sample in train.samples for reference in sample.references]

    return read


def real_pictures(plan: Plan, samples: Sequence[Sample]) -> Callable[[], Reals]:
    """Return what gives the real pictures of the task's reference set, and those of train where the data is at hand."""
    wanted, role = plan.task.reference_set.split, plan.task.reference_set.role

    def pictures(found: Sequence[Sample]) -> tuple[Sample, ...]:
        each: dict[str, tuple[Sample, Image]] = {}
        for sample in found:
            for image in sample.images:
                if image.role == role and not image.fault:
                    each.setdefault(image.digest, (sample, image))
        return tuple(msgspec.structs.replace(sample, id=digest, images=(image,)) for digest, (sample, image) in sorted(each.items()))

    def read() -> Reals:
        here = Path(plan.root).is_dir()

        def split(name: str) -> Sequence[Sample]:
            if not (here and name in plan.reader.splits):
                return ()
            return read_index(load(plan.reader)(), Path(plan.root), name, plan.reader_params, digests_of(Path(plan.root))).samples

        evaluated = samples if wanted in {"", plan.split} else split(wanted)
        return Reals(evaluated=pictures(evaluated), train=pictures(split("train")) if plan.split != "train" else ())

    return read


def _judge(judge: ModelPlan, plan: Plan, executor: Any, record: RunRecord, bills: list[Bill]) -> Ask:
    """Return what puts the requests of metrics to the judge: gathered, asked once, kept like any other outputs.

    Args:
        judge: The judge.
        plan: What its outputs may cost, with those of the model, among the rest.
        executor: Where it runs.
        record: What the model's outputs took.
        bills: Gets what the judge's outputs took, one for each time it was asked.
    """
    identity = identity_of(judge)
    model = record.costs.get("model")
    told = Progress(stage="judge", done=0, total=0)

    def put(wanted: Sequence[tuple[str, list[Request]]]) -> Generator[Event, None, list[list[Output]]]:
        nonlocal told
        before = told
        everything = [request for _, requests in wanted for request in requests]
        spent = sum(bill.usd or 0.0 for bill in (*bills, *([model] if model else [])))
        left = None if plan.max_cost is None else max(0.0, plan.max_cost - spent)
        with Store(Path(plan.runs_dir) / "outputs" / identity) as store:
            for event in ask(judge, identity, judge.options, everything, executor, store, retry_failed=plan.retry_failed, max_cost=left):
                if isinstance(event, Answered):
                    bills.extend([event.bill] if event.bill else [])
                    return [[event.outputs[request] for request in requests] for _, requests in wanted]
                if isinstance(event, Progress) and event.stage == "predict":
                    told = _added(before, event)
                    yield told
                elif not isinstance(event, Progress):
                    yield event
                elif not before.total:  # loaded once, for the first question and for all that follow from the replies
                    yield msgspec.structs.replace(event, stage="load judge")
        raise MedbenchError(f"{judge.name} gave no answer", hint="the same command asks again")

    return put


def _added(before: Progress, now: Progress) -> Progress:
    """Return how far the judge is with all rounds of questions: those before, and this one."""
    return Progress(
        stage="judge",
        done=before.done + now.done,
        total=before.total + now.total,
        failed=before.failed + now.failed,
        usd=None if now.usd is None else (before.usd or 0.0) + now.usd,
        most_usd=now.most_usd if before.most_usd is None else before.most_usd,
    )


def _holding(executor: Any) -> AbstractContextManager[Any]:
    """Return the executor as one that keeps a judge loaded from one round of questions to the next, where it can."""
    return executor.holding() if hasattr(executor, "holding") else nullcontext(executor)
