"""The doors for Python: run a model on a task, score predictions, load what was run. The command line uses the same."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from medbench.builtin.executors.local import LocalExecutor
from medbench.cards import ModelCard
from medbench.check import check
from medbench.errors import PlanError, Problem, UsageError, suggestion
from medbench.events import Event, Finished, ShardDone
from medbench.fitting import FitOptions, Fitted
from medbench.fitting import fit as fit_model
from medbench.options import RunOptions
from medbench.pipeline import Pipeline
from medbench.plan import ModelPlan, Plan, resolve
from medbench.record import RunRecord
from medbench.registry import Registry, load, load_registry
from medbench.rescoring import ScoreOptions, score_events
from medbench.runs import find_run
from medbench.tasks import Task
from medbench.types import Capability, Struct

S = TypeVar("S", bound=Struct)


def plan_run(
    options: RunOptions, registry: Registry, *, task: Task | None = None, model: ModelPlan | None = None
) -> tuple[Plan | None, list[Problem]]:
    """Return the plan and everything that speaks against it; nothing is carried out."""
    plan, problems = resolve(options, registry, task=task, model=model)
    if plan is not None:
        problems = [*problems, *(problem for problem in check(plan, registry) if problem not in problems)]
    return plan, problems


def run_events(options: RunOptions, registry: Registry, *, task: Task | None = None, model: Any = None) -> Iterator[Event]:
    """Plan, check, carry out; yield what happens.

    Raises:
        PlanError: the plan cannot run; every reason at once.
    """
    made = _object_plan(model, options) if model is not None else None
    plan, problems = plan_run(options, registry, task=task, model=made)
    if plan is None or problems:
        raise PlanError(problems)
    assert plan.executor is not None
    executor = LocalExecutor(model) if model is not None else load(plan.executor)()
    yield from Pipeline(plan, registry, executor)


def run(
    task: str | Task,
    model: Any,
    *,
    registry: Registry | None = None,
    on_event: Callable[[Event], None] | None = None,
    **options: Any,
) -> RunRecord:
    """Run a model on a task and return the record.

    Args:
        task: A task's name, a TOML file's path, or a `Task`.
        model: A model's name, or an object with a method for each of its capabilities. An object's outputs are shared
            between runs only where it has an `identity` string.
        registry: The cards at hand; loaded when not given.
        on_event: Called with every event.
        **options: Fields of `RunOptions`: data, limit, seed, metrics, conventions, runs_dir …

    Raises:
        PlanError: the plan cannot run; every reason at once.
        MedbenchError: it was stopped by something that a person can act on.
    """
    named = {"task": task if isinstance(task, str) else task.name, "model": model if isinstance(model, str) else ""}
    given = _options(RunOptions, {**options, **named})
    events = run_events(
        given,
        registry or load_registry(),
        task=task if isinstance(task, Task) else None,
        model=None if isinstance(model, str) else model,
    )
    return last_record(events, on_event)


def score(
    run: str | Path | None = None,
    *,
    task: str | Task | None = None,
    predictions: str | Path | None = None,
    pictures: str | Path | None = None,
    registry: Registry | None = None,
    on_event: Callable[[Event], None] | None = None,
    **options: Any,
) -> RunRecord:
    """Score an existing run again, or a predictions file that anybody made, and return the record.

    Args:
        run: A run's folder, fingerprint or `task/model`; other metrics and conventions are added to what it has.
        task: With `predictions`: the task they are for.
        predictions: JSONL, CSV, LLaVA answers or COCO results; with `pictures` a CSV that says which file is whose.
        pictures: A folder of pictures that any tool drew.
        registry: The cards at hand; loaded when not given.
        on_event: Called with every event.
        **options: Fields of `ScoreOptions`: data, metrics, conventions, id, columns, runs_dir …
    """
    named = {
        "run": run or "",
        "task": task if isinstance(task, str) else (task.name if task else ""),
        "predictions": predictions or "",
        "pictures": pictures or "",
    }
    given = _options(ScoreOptions, {**options, **named})
    events = score_events(given, registry or load_registry(), task=task if isinstance(task, Task) else None)
    return last_record(events, on_event)


def fit(
    model: str,
    task: str | Sequence[str],
    out: str | Path,
    *,
    registry: Registry | None = None,
    on_event: Callable[[Event], None] | None = None,
    fresh: bool = False,
    **options: Any,
) -> Fitted:
    """Fit a model on the train split of a task, or of several, and leave its weights in a folder.

    Args:
        model: A model's name.
        task: A task's name, or several.
        out: The folder; a fit that was interrupted goes on there, one that is done is not done again.
        registry: The cards at hand; loaded when not given.
        on_event: Called with every event.
        fresh: Fit anew, in place of what is there.
        **options: Fields of `FitOptions`: data, params, seed, model_options …

    Raises:
        PlanError: it cannot be fitted; every reason at once.
        MedbenchError: it was stopped by something that a person can act on.
    """
    data = options.get("data", ())
    given = {
        **options,
        "model": model,
        "tasks": [task] if isinstance(task, str) else list(task),
        "out": str(out),
        "data": [str(data)] if isinstance(data, (str, os.PathLike)) else list(data),
    }
    return fit_model(_options(FitOptions, given), registry or load_registry(), fresh=fresh, on_event=on_event)


def load_run(path: str | Path, runs_dir: str | Path = "runs") -> RunRecord:
    """Return the record of a run: its folder, fingerprint (or its beginning), or `task/model`."""
    return find_run(str(path), Path(runs_dir)).read_record()


def last_record(events: Iterator[Event], on_event: Callable[[Event], None] | None = None) -> RunRecord:
    """Carry events out and return the record at their end.

    Raises:
        UsageError: only a shard was done, so there is no record yet.
    """
    for event in events:
        if on_event:
            on_event(event)
        if isinstance(event, Finished):
            return event.record
        if isinstance(event, ShardDone):
            raise UsageError(f"shard {event.part}/{event.parts} is done, the run is not: {event.done} of {event.total} outputs")
    raise AssertionError("a run ends with its record")


def _options(kind: type[S], given: Mapping[str, Any]) -> S:
    """Return a struct of options from what a caller gave: paths become text, lists tuples, and mistakes messages."""
    plain = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in given.items()}
    for name in plain:
        if name not in kind.__struct_fields__:
            raise UsageError(f"no option named {name}", hint=suggestion(name, kind.__struct_fields__))
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        fault, _, where = str(error).partition(" - at `$.")
        raise UsageError(
            f"option {where.rstrip('`')}: {fault[0].lower()}{fault[1:]}", hint="the types stand with medbench.options.RunOptions"
        ) from error


_METHODS: tuple[Capability, ...] = ("generate", "classify", "embed", "synthesize", "ground")


def _object_plan(model: Any, options: RunOptions) -> ModelPlan:
    """Return the plan of a model that exists already: its capabilities are the methods it has."""
    can = tuple(name for name in _METHODS if callable(getattr(model, name, None)))
    name = getattr(model, "name", None) or type(model).__name__
    if not can:
        raise UsageError(f"{name} has none of the methods {', '.join(_METHODS)}", hint="give it one, or name a model")
    idle = [name for name in ("device", "workers", "model_options") if getattr(options, name)]
    if idle:
        raise UsageError(f"{', '.join(idle)}: {name} is built already", hint="build the object with it, or name a model")
    identity = getattr(model, "identity", None) or f"object-{uuid.uuid4().hex}"
    batch = options.batch_size or int(getattr(model, "batch_size", 0) or 8)  # 0: the model chooses, windows do not
    card = ModelCard(name=name, load=f"{type(model).__module__}:{type(model).__qualname__}", can=can, isolated=False, version=identity)
    return ModelPlan(name=name, card=msgspec.structs.replace(card, networked=bool(getattr(model, "networked", False))), batch_size=batch)
