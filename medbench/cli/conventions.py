"""`medbench conventions`: the same predictions under every convention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import arguments

if TYPE_CHECKING:
    from medbench.registry import Registry
    from medbench.report.under_conventions import MetricTable, UnderConvention


def conventions(
    predictions: Annotated[str, typer.Option("--predictions", help="A predictions file, or a run.")],
    *,
    task: Annotated[str, typer.Option("--task", help="With a file: the task they are for.", show_default=False)] = "",
    data: arguments.Data = None,
    split: arguments.Split = None,
    variant: arguments.Variant = None,
    metric: arguments.Metric = None,
    id_: Annotated[str, typer.Option("--id", help="The samples' other name that the file uses (qid).", show_default=False)] = "",
    columns: Annotated[list[str] | None, typer.Option("--columns", help="ours=theirs: id=image", show_default=False)] = None,
    runs_dir: arguments.RunsDir = "runs",
    json: arguments.Json = False,
) -> None:
    """Print one table of the same predictions under every convention that a metric knows; no model is loaded."""
    from medbench.api import last_record
    from medbench.errors import UsageError
    from medbench.options import pairs
    from medbench.registry import load_registry
    from medbench.report.under_conventions import by_convention
    from medbench.rescoring import ScoreOptions, score_events
    from medbench.runs import find_run
    from medbench.tasks import get_task

    registry = load_registry()
    is_file = Path(predictions).is_file() and Path(predictions).name != "run.json"
    if not is_file:
        record = find_run(predictions, Path(runs_dir)).read_record()
        if task and task != record.task:
            raise UsageError(f"{predictions} is a run of {record.task}, not of {task}", hint="leave out --task")
        task = record.task
    elif not task:
        raise UsageError(f"{predictions}: what task are these predictions for?", hint="--task NAME   (medbench list tasks)")
    options = ScoreOptions(
        run="" if is_file else predictions,
        task=task if is_file else "",
        predictions=predictions if is_file else "",
        data=data,
        split=split,
        variant=variant,
        metrics=arguments.names(metric),
        conventions=("all",),
        id=id_,
        columns=pairs(arguments.names(columns), "--columns"),
        runs_dir=runs_dir,
    )
    record = last_record(score_events(options, registry))
    found = by_convention(record, get_task(task, registry).conventions)
    if not found:
        raise UsageError(f"no metric of {task} has conventions to choose among", hint="medbench show task NAME")
    if json:
        arguments.print_json(found)
        return
    facts = f"{record.data.n:,} samples{' · SYNTHETIC' if record.data.synthetic else ''}"
    print(f"{record.task} · {record.model.name} · {facts} · the same predictions throughout")
    for one in found:
        _print(one, registry)
    print("\n* the task's own rules · empty: the rules do not define that score · with intervals: --json")


def _print(one: MetricTable, registry: Registry) -> None:
    """Print a line for each score, a column for each set of rules."""
    from medbench.cli.layout import console, table
    from medbench.cli.tables import labels_of
    from medbench.report import cells

    labels = labels_of(registry, one.metric)
    heads = [" · ".join(filter(None, (one.metric, one.condition))), *(_head(row) for row in one.rows), "spread"]
    rows = []
    for name in one.names:
        scores = [row.scores.get(name) for row in one.rows]
        first = next(score for score in scores if score is not None)
        spread = cells.number(one.spread[name], first.unit) if name in one.spread else ""
        rows.append([cells.label(first, labels), *("" if score is None else cells.value_cell(score) for score in scores), spread])
    print()
    console().print(table(heads, rows, right=tuple(range(1, len(heads)))))


def _head(row: UnderConvention) -> str:
    """Return the names of the rules, one word a line, marked where they are the task's own."""
    names = "-".join(name.partition("@")[0] for name in row.convention.values())
    return "\n".join(names.split("-")) + (" *" if row.own else "")
