"""A suite carried out: planned and checked whole, then run model by model, each run resumable by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from medbench.api import plan_run
from medbench.builtin.executors.keeping import KeepingExecutor
from medbench.cards import ExecutorCard
from medbench.errors import MedbenchError, PlanError, Problem
from medbench.estimating import estimates
from medbench.events import Event, Finished
from medbench.pipeline import Pipeline
from medbench.plan import Plan
from medbench.record import RunRecord
from medbench.registry import Registry, load
from medbench.suites import Cell
from medbench.types import Struct


class Standing(Struct):
    """How far one run of a suite is."""

    cell: Cell
    folder: str
    total: int
    missing: int
    done: bool
    usd: float | None = None
    """What asking for everything would cost at most, in US dollars; None: nothing, or no price is known."""
    priced: bool = True
    """Whether a price is known, where the model costs anything."""


class Outcome(Struct):
    """What came of one run of a suite."""

    cell: Cell
    record: RunRecord | None = None
    folder: Path | None = None
    asked: int = 0
    error: str = ""
    """Why there is no record."""
    hint: str = ""


def plan_suite(cells: Sequence[Cell], registry: Registry) -> list[tuple[Cell, Plan]]:
    """Return every run with its plan.

    Raises:
        PlanError: a run cannot be carried out as stated; every problem of every run at once, said once.
    """
    planned: list[tuple[Cell, Plan]] = []
    found: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        plan, problems = plan_run(cell.options, registry)
        for problem in problems:
            found.setdefault((problem.message, problem.hint), []).append(cell.label)
        if plan is not None:
            planned.append((cell, plan))
    if found:
        raise PlanError(Problem(_where(message, labels, len(cells)), hint) for (message, hint), labels in found.items())
    return planned


def _where(message: str, labels: Sequence[str], total: int) -> str:
    if total == 1 or len(labels) == total:
        return message
    more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
    return f"{labels[0]}{more}: {message}"


def standings(planned: Sequence[tuple[Cell, Plan]], registry: Registry) -> Iterator[Standing]:
    """Yield how far each run is and what it would cost; no model is loaded, nothing is asked."""
    for cell, plan in planned:
        prospect = Pipeline(plan, registry, None).prospect()
        expected = estimates(plan)
        known = [one.usd for one in expected.values() if one.usd is not None]
        yield Standing(
            cell=cell,
            folder=str(prospect.folder),
            total=prospect.total,
            missing=prospect.missing,
            done=prospect.done,
            usd=sum(known) if known else None,
            priced=len(known) == len(expected),
        )


def run_suite(planned: Sequence[tuple[Cell, Plan]], registry: Registry, on_event: Callable[[Cell, Event], None]) -> Iterator[Outcome]:
    """Carry every run out and yield what came of it; one that cannot be carried out does not stop the others.

    On this machine a model stays loaded for as long as the runs that follow ask for it.

    Args:
        planned: What `plan_suite` gave.
        registry: The cards at hand.
        on_event: Called with every event of every run.
    """
    with ExitStack() as stack:
        executors: dict[str, Any] = {}
        for cell, plan in planned:
            name = cell.options.executor
            if name not in executors:
                executors[name] = stack.enter_context(KeepingExecutor()) if name == "local" else _other(name, registry)
            yield _carried_out(cell, Pipeline(plan, registry, executors[name]), on_event)


def _other(name: str, registry: Registry) -> Any:
    return load(registry.get(ExecutorCard, name))()


def _carried_out(cell: Cell, pipeline: Pipeline, on_event: Callable[[Cell, Event], None]) -> Outcome:
    last: Finished | None = None
    try:
        for event in pipeline:
            on_event(cell, event)
            last = event if isinstance(event, Finished) else last
    except MedbenchError as error:
        return Outcome(cell=cell, error=error.message, hint=error.hint)
    assert last is not None
    return Outcome(cell=cell, record=last.record, folder=last.folder, asked=last.asked)
