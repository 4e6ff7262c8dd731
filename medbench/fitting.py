"""Fitting a model on the train splits of tasks, in this process: what `medbench fit` and a launcher of several processes call."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from medbench.answering import identity_of
from medbench.builtin.executors.local import build
from medbench.cards import GUARDED
from medbench.check import check_fit
from medbench.errors import DataError, PlanError, Problem, UsageError
from medbench.events import Event, Fitting, Note
from medbench.files import private_folder, write_whole
from medbench.identity import digest_of, hash_order
from medbench.index import Indexed, digests_of, read_index
from medbench.interfaces import Example, Examples
from medbench.options import RunOptions
from medbench.plan import Plan, resolve
from medbench.record import to_json
from medbench.registry import Registry, load
from medbench.roots import access_of, ensure_twin, is_synthetic, twin_folder
from medbench.runs import DATA_USE
from medbench.types import Sample, Struct

HELD_OUT = 0.1
"""Share of the train groups held out for validation where the data has no validation split, by hash."""
FACTS = "fit.json"
"""What a fitted folder says of itself."""
BEGUN = ".begun.json"
"""Ends the name of what stands beside the folder from the start of a fit until its `fit.json` is in it: the same facts."""


class FitOptions(Struct):
    """Everything a user may say about fitting: the names are those of a run."""

    model: str
    tasks: tuple[str, ...]
    out: str
    data: tuple[str, ...] = ()
    """One folder, or `twin`, for all tasks, or TASK=FOLDER for each."""
    variant: str | None = None
    protocol: str | None = None
    params: dict[str, Any] = {}
    seed: int = 0
    batch_size: int | None = None
    device: str | None = None
    workers: int | None = None
    model_options: dict[str, Any] = {}


class Fitted(Struct):
    """What was fitted, on what: `fit.json` in its folder."""

    model: str
    options: dict[str, Any]
    tasks: dict[str, dict[str, Any]]
    """Task -> manifest, protocol, parameters, numbers of examples."""
    fingerprint: str
    """Digest of the data, the prompts, the model it began from and the seed."""
    seed: int = 0
    access: str = "open"
    synthetic: bool = False
    facts: dict[str, Any] = {}
    """What the model says of its fit."""
    schema_version: int = 1


class _Source(Struct):
    """One task's material."""

    plan: Plan
    train: Indexed
    validation: Indexed
    held_out: bool
    """Whether the validation part was taken from the train split."""


def plan_fit(options: FitOptions, registry: Registry) -> tuple[list[Plan], list[Problem]]:
    """Return a plan for each task and everything that speaks against fitting; nothing is carried out."""
    plans: list[Plan] = []
    problems: list[Problem] = []
    if not options.tasks:
        problems.append(Problem("no task to learn from was named", "--task NAME   (medbench list tasks)"))
    roots = _roots(options, problems)
    for task in options.tasks:
        asked = RunOptions(
            task=task,
            model=options.model,
            data=roots.get(task, roots.get("")),
            variant=options.variant,
            protocol=options.protocol,
            params=options.params,
            seed=options.seed,
            batch_size=options.batch_size,
            device=options.device,
            workers=options.workers,
            model_options=options.model_options,
        )
        plan, found = resolve(asked, registry, scored=False)
        found = [*found, *(check_fit(plan, registry) if plan else [])]
        problems += [problem for problem in found if problem not in problems]
        if plan is not None:
            plans.append(plan)
    return plans, problems


def fit(options: FitOptions, registry: Registry, *, fresh: bool = False, on_event: Callable[[Event], None] | None = None) -> Fitted:
    """Fit a model and leave its weights in a folder; the same call again finds them there.

    Under a launcher of several processes (`accelerate launch -m medbench fit …`) every process calls this; the main one writes.

    Args:
        options: Model, tasks, data, where to.
        registry: The cards at hand.
        fresh: Fit anew, in place of what an earlier fit left in the folder.
        on_event: Called with what happens.

    Raises:
        PlanError: it cannot be fitted; every reason at once.
        UsageError: the folder holds something else.
        MedbenchError: it was stopped by something that a person can act on.
    """
    plans, problems = plan_fit(options, registry)
    if problems:
        raise PlanError(problems)
    tell = on_event or (lambda _: None)
    sources = [_read(plan) for plan in plans]
    model = plans[0].model
    assert model is not None
    facts = {plan.task.name: _task_facts(source) for plan, source in zip(plans, sources, strict=True)}
    fingerprint = digest_of([facts, identity_of(model), options.seed])[:12]
    access = [access_of(plan.reader, Path(plan.root)) for plan in plans]
    stated = Fitted(
        model=model.name,
        options=dict(model.options),
        tasks=facts,
        fingerprint=fingerprint,
        seed=options.seed,
        access=next((tier for tier in access if tier in GUARDED), access[0]),
        synthetic=any(is_synthetic(Path(plan.root)) for plan in plans),
    )
    out = Path(options.out).expanduser()
    there = _there(out, fingerprint, fresh=fresh)
    if there is not None and there.fingerprint == fingerprint and not fresh:
        tell(Note(text=f"nothing to do: {out} was fitted on exactly this ({fingerprint})"))
        return there
    if there is not None and not fresh:
        raise UsageError(f"{out}: holds {there.model} fitted on something else ({there.fingerprint})", hint="another --out, or --fresh")
    left = sum(_broken(sample) for source in sources for sample in source.train.samples)
    if left:
        tell(Note(text=f"{left:,} train samples are left out: their images cannot be read"))
    examples = Examples({source.plan.task.name: _examples(source.plan, source.train.samples) for source in sources})
    validation = Examples({source.plan.task.name: _examples(source.plan, source.validation.samples) for source in sources})
    if not examples:
        raise DataError(f"{', '.join(facts)}: no train sample has anything to learn from", hint="medbench show task NAME")
    begun = out.with_name(out.name + BEGUN)
    if fresh and is_main():
        _forget(out, ours=there is not None or begun.is_file())
    private_folder(out)
    if is_main():
        write_whole(begun, to_json(stated))
    made = build(model.card, model.options).fit(examples, validation, out, options.seed, partial(_tell, tell))
    done = msgspec.structs.replace(stated, facts=msgspec.to_builtins(dict(made or {})))
    if is_main():
        if done.access in GUARDED:
            write_whole(out / "DATA-USE.txt", DATA_USE.format(access=done.access).encode())
        write_whole(out / FACTS, to_json(done))
        begun.unlink(missing_ok=True)
    return done


def _forget(out: Path, *, ours: bool) -> None:
    """Remove what an earlier fit left, and what an interrupted one keeps beside it."""
    partial_state = out.with_name(f"{out.name}.partial")
    if ours:
        shutil.rmtree(out, ignore_errors=True)
    if (partial_state / "progress.json").is_file():
        shutil.rmtree(partial_state, ignore_errors=True)


def is_main() -> bool:
    """Say whether this is the process that writes and speaks, among those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def _tell(tell: Callable[[Event], None], values: Mapping[str, Any]) -> None:
    tell(Fitting(values=msgspec.to_builtins(dict(values))))


def _roots(options: FitOptions, problems: list[Problem]) -> dict[str, str]:
    """Return task -> what was said of its data; under an empty name what holds for all."""
    roots: dict[str, str] = {}
    for said in options.data:
        task, sign, folder = said.partition("=")
        named = sign and task in options.tasks
        roots[task if named else ""] = folder if named else said
    bare = roots.get("", "twin")
    if len(options.tasks) > 1 and bare != "twin":
        problems.append(Problem(f"--data {bare}: which of {', '.join(options.tasks)} is it for?", "--data TASK=FOLDER, once for each task"))
    return roots


def _read(plan: Plan) -> _Source:
    """Read the train split and what validates: the validation split, else a part of the train groups, held out by hash."""
    root = Path(plan.root)
    if root == twin_folder(plan.reader):
        ensure_twin(plan.reader, root)
    reader = load(plan.reader)()

    def read(split: str) -> Indexed:
        return read_index(reader, root, split, plan.reader_params, digests_of(root))

    train = read("train")
    if not train.samples:
        raise DataError(f"{root}: the train split is empty", hint=f"medbench show dataset {plan.reader.name}")
    validation = read("val") if "val" in plan.reader.splits else None
    if validation and validation.samples:
        return _Source(plan=plan, train=train, validation=validation, held_out=False)
    assert plan.model is not None
    groups = hash_order(train.groups) if plan.model.card.fits == "optional" else []
    kept_out = set(groups[: max(1, round(HELD_OUT * len(groups)))]) if len(groups) > 1 else set()
    rest, held = (tuple(s for s in train.samples if (s.group in kept_out) is out) for out in (False, True))
    return _Source(
        plan=plan,
        train=msgspec.structs.replace(train, samples=rest),
        validation=msgspec.structs.replace(train, samples=held),
        held_out=True,
    )


def _task_facts(source: _Source) -> dict[str, Any]:
    """Return what a fit learns from a task: part of its fingerprint."""
    return {
        "dataset": source.plan.reader.name,
        "manifest": source.train.manifest,
        "protocol": source.plan.protocol.name,
        "params": source.plan.params,
        "n": len(source.train.samples),
        "n_validation": len(source.validation.samples),
        "validation": "held out of train by hash of the group" if source.held_out else "the validation split",
    }


def _examples(plan: Plan, samples: Sequence[Sample]) -> list[Example]:
    """Return what the protocol makes of the samples whose images can be read."""
    params = msgspec.convert(plan.params, load(plan.protocol).Params)
    made: Iterable[Example] = load(plan.protocol)().examples([sample for sample in samples if not _broken(sample)], params)
    return list(made)


def _broken(sample: Sample) -> bool:
    return any(image.fault for image in sample.images)


def _there(out: Path, fingerprint: str, *, fresh: bool) -> Fitted | None:
    """Return what an earlier fit left in the folder; None where there is nothing yet, or a part of this very fit.

    Raises:
        UsageError: the folder holds what no fit of medbench wrote.
    """
    try:
        return msgspec.json.decode((out / FACTS).read_bytes(), type=Fitted)
    except FileNotFoundError:
        strange = next(out.iterdir(), None) if out.is_dir() else None
    except (msgspec.MsgspecError, NotADirectoryError):
        strange = out
    if strange is not None and not fresh and not _interrupted(out, fingerprint):
        raise UsageError(f"{out}: there is something in it already ({strange.name})", hint="name an empty or new folder with --out")
    return None


def _interrupted(out: Path, fingerprint: str) -> bool:
    """Say whether this very fit was stopped before its `fit.json` was written."""
    try:
        begun = msgspec.json.decode(out.with_name(out.name + BEGUN).read_bytes(), type=Fitted)
    except (OSError, msgspec.MsgspecError):
        return False
    return begun.fingerprint == fingerprint
