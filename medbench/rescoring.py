"""Scoring without a model: a run that is there, or a predictions file that anybody made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.check import check, check_scoring
from medbench.errors import MedbenchError, PlanError, Problem, UsageError
from medbench.events import Event, Note, Planned
from medbench.figures import Figure
from medbench.files import FileDigests
from medbench.finishing import data_facts, finish
from medbench.foreign import read_rows
from medbench.foreign_pictures import join_pictures, pictures_digest
from medbench.identity import digest_of, safe_name
from medbench.index import digests_of, read_index, remarks_on
from medbench.joining import Joined, join
from medbench.locks import FolderLock
from medbench.metric_plans import plan_metrics
from medbench.options import RunOptions
from medbench.plan import Plan, plan_judge, resolve
from medbench.record import DataFacts, ModelFacts, RunRecord
from medbench.registry import Registry, load
from medbench.roots import ensure_twin, find_root, twin_folder
from medbench.runs import RunFolder, find_run, run_path
from medbench.tasks import Task
from medbench.types import Failed, Prediction, Request, Sample, Struct

OF_A_FILE = ("task", "pictures", "model", "split", "variant", "protocol", "params", "id", "columns", "limit")
"""Options that say what a predictions file is about."""


class ScoreOptions(Struct):
    """Everything a user may say about scoring: the names are those of a run."""

    run: str = ""
    """A run that is there; else `task` and `predictions`."""
    task: str = ""
    predictions: str = ""
    pictures: str = ""
    """A folder of drawn pictures; `predictions` may then be the CSV that says which is whose."""
    model: str = ""
    """A name for what made the predictions; empty: the file's."""
    data: str | None = None
    split: str | None = None
    variant: str | None = None
    protocol: str | None = None
    params: dict[str, Any] = {}
    id: str = ""
    """The samples' other name that the file uses."""
    columns: dict[str, str] = {}
    metrics: tuple[str, ...] = ()
    metric_options: dict[str, Any] = {}
    conventions: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    judge: str = ""
    judge_options: dict[str, Any] = {}
    executor: str = "local"
    seed: int | None = None
    """Seed of the resamples; None: the run's own, or 0."""
    limit: int | None = None
    runs_dir: str = "runs"
    permission: str = ""
    max_cost: float | None = None


def score_events(options: ScoreOptions, registry: Registry, *, task: Task | None = None) -> Iterator[Event]:
    """Score, and yield what happens.

    Raises:
        MedbenchError: nothing to score was named, or it cannot be scored as stated.
    """
    plan, problems = plan_score(options, registry, task=task)
    if plan is None or problems:
        raise PlanError(problems)
    return _score_run(options, plan, registry) if options.run else _score_file(options, plan, registry)


def plan_score(options: ScoreOptions, registry: Registry, *, task: Task | None = None) -> tuple[Plan | None, list[Problem]]:
    """Return what would be scored and everything that speaks against it; nothing is carried out.

    Raises:
        MedbenchError: nothing to score was named, or there is no such run.
    """
    if options.run:
        if options.predictions:
            hint = "medbench score RUN, or medbench score --task T --predictions FILE"
            raise UsageError("a run and a predictions file were both given", hint=hint)
        return _plan_run(options, registry)
    if not (options.predictions or options.pictures) or not (options.task or task):
        raise UsageError("nothing to score was named", hint="medbench score RUN, or medbench score --task NAME --predictions FILE")
    plan, problems = resolve(_run_options(options, options.task, options.seed or 0), registry, task=task)
    if plan is not None:
        problems = [*problems, *(problem for problem in check(plan, registry) if problem not in problems)]
    return plan, problems


def _run_options(options: ScoreOptions, task: str, seed: int) -> RunOptions:
    """Return what a run with these options would have been asked."""
    shared = {name: getattr(options, name) for name in RunOptions.__struct_fields__ if name in ScoreOptions.__struct_fields__}
    return RunOptions(**{**shared, "task": task, "model": "", "seed": seed})


def _plan_run(options: ScoreOptions, registry: Registry) -> tuple[Plan, list[Problem]]:
    """Return the plan of a run that is there, with the metrics and conventions asked for now."""
    folder = find_run(options.run, Path(options.runs_dir))
    plan, access = folder.read_plan(), folder.read_record().data.access
    problems = _of_a_file(options)
    asked = _run_options(options, plan.task.name, plan.seed if options.seed is None else options.seed)
    metrics, not_computed = plan_metrics(plan.task, asked, registry, problems)
    judge = plan_judge(asked, registry, problems)
    root = find_root(plan.reader, options.data) if options.data else Path(plan.root)
    if isinstance(root, Problem):
        problems.append(root)
    plan = msgspec.structs.replace(
        plan,
        metrics=tuple(metrics),
        not_computed=not_computed,
        by=options.by or plan.by,
        seed=asked.seed,
        judge=judge,
        permission=options.permission,
        max_cost=options.max_cost,
        root=str(root) if isinstance(root, Path) else plan.root,
    )
    return plan, problems + check_scoring(plan, access, registry)


def _of_a_file(options: ScoreOptions) -> list[Problem]:
    """Return what was said that a run decides by itself: it would do nothing, and seem to have done something."""
    bare, flags = ScoreOptions(), {"params": "param"}
    said = [f"--{flags.get(name, name)}" for name in OF_A_FILE if getattr(options, name) != getattr(bare, name)]
    what = f"{', '.join(said)}: only for --predictions; {options.run} has its own"
    return [Problem(what, "leave it out, or run the task again with it")] if said else []


def _score_run(options: ScoreOptions, plan: Plan, registry: Registry) -> Iterator[Event]:
    folder = find_run(options.run, Path(options.runs_dir))
    old = folder.read_record()
    samples, predictions = folder.read_samples(), folder.read_predictions()
    yield _planned(plan, folder, old.data, old.fingerprint)
    for text in old.remarks:
        yield Note(text=text)
    bare = msgspec.structs.replace(old, scores=(), contrasts=(), not_computed={}, signatures={}, versions={}, overrides=plan.overrides)
    with FolderLock(folder.path) as lock:
        if holder := lock.try_take():
            yield Note(text=f"{holder} is working on the same run: waiting for it")
            lock.wait()
        with folder.discreet(old.data.access):
            yield from finish(plan, folder, samples, predictions, bare, registry, executor=_executor(plan))


def _score_file(options: ScoreOptions, plan: Plan, registry: Registry) -> Iterator[Event]:
    root = Path(plan.root)
    if root == twin_folder(plan.reader):
        ensure_twin(plan.reader, root)
    reader = load(plan.reader)()
    indexed = read_index(reader, root, plan.split, plan.reader_params, digests_of(root), plan.limit)
    path, source, joined = _joined(options, plan, indexed.samples)
    name = options.model or path.stem
    fingerprint = digest_of([indexed.manifest, source, options.id, options.columns, plan.limit])[:12]
    folder = RunFolder(run_path(Path(plan.runs_dir), plan.task.name, name, fingerprint))
    facts = data_facts(plan, indexed.samples, indexed.manifest)
    folder.create(facts.access)
    yield _planned(plan, folder, facts, fingerprint)
    counted = _counted_pictures(joined, path) if options.pictures else _counted(joined, path)
    remarks = [*remarks_on(indexed, reader, root, plan.reader_params), *counted]
    for text in remarks:
        yield Note(text=text)
    with FolderLock(folder.path) as lock:
        if holder := lock.try_take():
            yield Note(text=f"{holder} is working on the same run: waiting for it")
            lock.wait()
        folder.write_plan(plan)
        folder.write_samples(indexed.samples)
        predictions = folder.keep_pictures(joined.predictions, foreign=True)
        figures = _figures(plan, indexed.samples, folder.with_pictures(predictions)) if options.pictures else []
        record = RunRecord(
            task=plan.task.name,
            fingerprint=fingerprint,
            model=ModelFacts(
                name=name, identity=f"{safe_name(name)}-{source[:16]}", kind="predictions", loaded=_stated(options, path, source, joined)
            ),
            data=facts,
            protocol=plan.protocol.name,
            seed=plan.seed,
            n_missing=len(joined.missing),
            remarks=tuple(remarks),
            predictions=folder.write_predictions(predictions),
            overrides=plan.overrides,
        )
        with folder.discreet(facts.access):
            yield from finish(plan, folder, indexed.samples, predictions, record, registry, executor=_executor(plan), figures=figures)


def _stated(options: ScoreOptions, path: Path, source: str, joined: Joined) -> dict[str, Any]:
    """Return what a record says of predictions that somebody else made: of pictures also how they were matched to their prompts."""
    if not options.pictures:
        return {"file": path.name, "sha256": source}
    table = {"table": Path(options.predictions).name} if options.predictions else {}
    return {"file": path.name, "sha256": source, "matched_by": joined.matched_by, **table}


class _NoOutputs:
    """What stands in the place of a model's outputs where somebody else made the predictions."""

    facts: Mapping[str, Any] = {}

    def __getitem__(self, request: Request) -> Failed:
        return Failed(kind="model", error="no model was asked")


def _figures(plan: Plan, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Figure]:
    """Return what the protocol has to show of pictures that somebody else drew: the contact sheet."""
    protocol = load(plan.protocol)()
    if not hasattr(protocol, "figures"):
        return []
    return list(protocol.figures(samples, predictions, _NoOutputs(), msgspec.convert(plan.params, protocol.Params)))


def _joined(options: ScoreOptions, plan: Plan, samples: Sequence[Sample]) -> tuple[Path, str, Joined]:
    """Return where the predictions come from, the digest of that, and what was joined to the samples."""
    if options.pictures:
        folder, table = Path(options.pictures), Path(options.predictions) if options.predictions else None
        if plan.protocol.gives != "picture":
            raise UsageError(f"--pictures: {plan.task.name} is not about drawn pictures", hint="--predictions FILE")
        joined = join_pictures(folder, samples, table)
        return folder, pictures_digest(folder, table), joined
    path = Path(options.predictions)
    rows = read_rows(path, columns=options.columns, id_column=options.id)
    return path, FileDigests().digest(path), join(rows, samples, path, alias=options.id, families=plan.reader.alias_families)


def _counted_pictures(joined: Joined, folder: Path) -> list[str]:
    """Return in words what of a folder of pictures did not fit."""
    found: list[str] = []
    if joined.matched_by == "nothing":
        found.append(f"{folder}: no file is named after a sample, so pictures and prompts are not matched: prompt agreement means nothing")
    if count := len(joined.missing):
        found.append(f"{count:,} {'prompt has' if count == 1 else 'prompts have'} no picture and count as failed")
    if count := len(joined.unknown):
        left = "picture is left out: it belongs" if count == 1 else "pictures are left out: they belong"
        found.append(f"{count:,} {left} to no prompt ({_listed(joined.unknown)})")
    broken = [p.value.error for p in joined.predictions if isinstance(p.value, Failed) and p.value.kind == "input"]
    if count := len(broken):
        found.append(f"{count:,} {'file is' if count == 1 else 'files are'} no whole picture and count as failed ({_listed(broken)})")
    return found


def _planned(plan: Plan, folder: RunFolder, facts: DataFacts, fingerprint: str) -> Planned:
    return Planned(
        plan=plan,
        n=facts.n,
        n_images=facts.n_images,
        n_groups=facts.n_groups,
        access=facts.access,
        synthetic=facts.synthetic,
        fingerprint=fingerprint,
        folder=folder.path,
    )


def _executor(plan: Plan) -> Any:
    """Return where a judge would run; without one nothing is executed."""
    if plan.judge is None:
        return None
    if plan.executor is None:
        raise MedbenchError("the judge has no executor", hint="--executor local")
    return load(plan.executor)()


def _counted(joined: Joined, path: Path) -> list[str]:
    """Say what of a file did not fit, with numbers and the first few names."""
    said = []
    for names, what in (
        (joined.missing, "without a prediction in {file}, counted as failed"),
        (joined.unknown, "in {file} but unknown to this split, left out"),
        (joined.repeated, "more than once in {file}, with the same prediction"),
    ):
        if names:
            said.append(f"{len(names)} {what.format(file=path.name)}: {_listed(names)}")
    return said


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" … (+{len(names) - 5})" if len(names) > 5 else "")
