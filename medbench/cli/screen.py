"""What a run looks like: a header of facts, progress, the table, and where everything is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from medbench.cli.arguments import print_json
from medbench.cli.layout import console
from medbench.cli.progress import Progressing
from medbench.cli.tables import print_header, print_scores
from medbench.costs import Bill, Estimate, dollars, in_words, served_in_words
from medbench.errors import PlanError, Problem
from medbench.events import Event, Finished, Fitting, Note, Planned, Progress, ShardDone
from medbench.options import RunOptions
from medbench.plan import Plan
from medbench.registry import Registry, load_registry

if TYPE_CHECKING:
    from medbench.fitting import FitOptions
    from medbench.rescoring import ScoreOptions

FAILED_SAMPLES = 3
AUTOMATIC = 5_000
"""A run of up to so many samples gets its report at once; a larger one on demand (`medbench report`)."""


def carry_out_run(options: RunOptions, *, dry_run: bool, as_json: bool, quiet: bool) -> None:
    """Run, or only say what a run would be."""
    registry = load_registry()
    if dry_run:
        show_plan(options, registry, as_json=as_json)
        return
    from medbench.api import run_events

    carry_out(run_events(options, registry), registry, as_json=as_json, quiet=quiet)


def carry_out(events: Iterator[Event], registry: Registry, *, as_json: bool, quiet: bool) -> None:
    """Show events as they come, then the result; exit 3 when samples failed or could not be scored."""
    header = not (as_json or quiet)
    finished: Finished | None = None
    with Progressing(quiet=quiet) as progressing:
        for event in events:
            if isinstance(event, Finished):
                finished = event
            else:
                _show(event, progressing, header=header)
    if finished is None:
        return
    record = finished.record
    page = _report(finished, registry)
    if as_json:
        print_json(record)
    else:
        if header and not (finished.asked or finished.measured or finished.changed):
            count = f"{record.n_predictions - record.n_failed:,} of {record.n_predictions:,}"
            print(f"nothing to do: {count} outputs and all scores are there ({record.fingerprint})")
        print_scores(record, registry, finished.folder)
        if page and not quiet:
            print(f"{'report':<14} {page}")
        _print_costs(record.costs)
    if not record.complete:
        raise typer.Exit(FAILED_SAMPLES)


def _print_costs(costs: Mapping[str, Bill]) -> None:
    """Print what the model and the judge took, and who answered in their names."""
    for name, bill in costs.items():
        if bill.answers:
            print(f"{f'cost, {name}':<14} {in_words(bill.input_tokens, bill.output_tokens, bill.usd, bill.price)}")
        if bill.served:
            print(f"{f'answers, {name}':<14} {served_in_words(bill.served)}")


def _report(finished: Finished, registry: Registry) -> Path | None:
    """Write the report of a run that is not too large, where it is not there already and the template library is; say what failed."""
    from importlib.util import find_spec

    from medbench.cards import GUARDED
    from medbench.runs import RunFolder

    folder = RunFolder(finished.folder)
    if finished.record.data.n > AUTOMATIC or find_spec("jinja2") is None:
        return None
    if folder.report.is_file() and not finished.changed:
        return folder.report
    from medbench.report.html import write_report

    try:
        return write_report(folder, registry)
    except Exception as error:  # noqa: BLE001 - the run is written already, and its table is still to be shown
        # a message may quote the data
        why = type(error).__name__ if finished.record.data.access in GUARDED else f"{type(error).__name__}: {error}"
        print(f"{'note':<14} no report was written: {why}   (medbench report {folder.path})", file=sys.stderr)
        return None


def carry_out_fit(options: FitOptions, *, fresh: bool, as_json: bool, quiet: bool) -> None:
    """Fit, show how it goes, and say how the weights are used; of several processes only the main one speaks."""
    from medbench.fitting import fit, is_main

    with Progressing(quiet=quiet or not is_main()) as progressing:

        def show(event: Event) -> None:
            _show(event, progressing, header=False)

        fitted = fit(options, load_registry(), fresh=fresh, on_event=show)
    if not is_main():
        return
    if as_json:
        print_json(fitted)
        return
    task = next(iter(fitted.tasks))
    print(f"fitted on {sum(facts['n'] for facts in fitted.tasks.values()):,} samples of {', '.join(fitted.tasks)}: {options.out}")
    data = f" --data {options.data[0]}" if len(options.data) == 1 else ""
    weights = f"{fitted.facts.get('option', 'weights')}={options.out}"
    print(f"use it: medbench run --task {task} --model {fitted.model}{data} --model-option {weights}")


def _show(event: Event, progressing: Progressing, *, header: bool) -> None:
    """Show one event on the way."""
    if isinstance(event, Planned) and header:
        print_header(event)
    elif isinstance(event, Note):
        progressing.note(event.text, to_stdout=header)
    elif isinstance(event, Progress):
        progressing.show(event)
    elif isinstance(event, Fitting):
        progressing.fitting(event)
    elif isinstance(event, ShardDone):
        print(f"shard {event.part}/{event.parts} is done: {event.done} of {event.total} outputs of the run are there")
        print("when all shards are done, the same command without --shard scores the run")


def show_plan(options: RunOptions, registry: Registry, *, as_json: bool) -> None:
    """Print the plan of a run and every problem; exit 2 where there is one."""
    from medbench.api import plan_run
    from medbench.estimating import estimates

    plan, problems = plan_run(options, registry)
    _print_plan(plan, problems, estimates(plan) if plan and not problems else {}, as_json=as_json)


def show_scoring(options: ScoreOptions, registry: Registry, *, as_json: bool) -> None:
    """Print the plan of a scoring and every problem; exit 2 where there is one."""
    from medbench.estimating import estimates
    from medbench.rescoring import plan_score
    from medbench.runs import find_run

    plan, problems = plan_score(options, registry)
    samples = find_run(options.run, Path(options.runs_dir)).read_samples() if options.run else None
    _print_plan(plan, problems, estimates(plan, samples) if plan and not problems else {}, as_json=as_json)


def _print_plan(plan: Plan | None, problems: list[Problem], expected: dict[str, Estimate], *, as_json: bool) -> None:
    if as_json:
        print_json({"plan": plan, "estimates": expected, "problems": [{"message": p.message, "hint": p.hint} for p in problems]})
        if problems:
            raise typer.Exit(2)
        return
    if plan is not None:
        out = console()
        for name, text in _facts(plan).items():
            if text:
                out.print(f"{name:<14} {text}", soft_wrap=True)
    if problems:
        raise PlanError(problems)
    for name, one in expected.items():
        words = in_words(one.input_tokens, one.output_tokens, one.usd, one.price)
        print(f"{f'cost, {name}':<14} about {one.calls:,} calls · {words} at most")
    if expected and plan and plan.max_cost is not None:
        print(f"{'max cost':<14} {dollars(plan.max_cost)}")
    print("nothing speaks against it; without --dry-run it is carried out")


def _facts(plan: Plan) -> dict[str, str]:
    """Return what a plan says, as it is printed; empty: left out."""
    from medbench.report.cells import conventions

    return {
        "task": f"{plan.task.name}: {plan.task.title}",
        "data": f"{plan.root or 'not found'} · {plan.split} split{f' · {plan.variant}' if plan.variant else ''} · {plan.reader.access}",
        "model": f"{plan.model.name} {_listed(plan.model.options)}".strip() if plan.model else "",
        "judge": f"{plan.judge.name} {_listed(plan.judge.options)}".strip() if plan.judge else "",
        "protocol": f"{plan.protocol.name} {_listed(plan.params)}",
        "metrics": ", ".join(f"{m.card.name} {conventions(m.convention)}".strip() for m in plan.metrics),
        "not computed": "; ".join(f"{name}: {why}" for name, why in plan.not_computed.items()),
        "images": ", ".join(plan.images) if plan.images != ("true",) else "",
        "seed": f"{plan.seed}{f' · limit {plan.limit}' if plan.limit else ''}",
        "runs": plan.runs_dir,
    }


def _listed(options: dict[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items())
