"""`medbench suite`: a matrix of tasks, models, options and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from medbench.cli import arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medbench.cli.progress import Progressing
    from medbench.events import Event
    from medbench.plan import Plan
    from medbench.registry import Registry
    from medbench.suite_runs import Outcome, Standing
    from medbench.suites import Cell, Suite

FAILED = 3
WIDEST = 1000
"""Signs in a line of the table at most."""


def suite(
    file: Annotated[Path, typer.Argument(help="A TOML file: tasks, models, options, axes, seeds.")],
    *,
    runs_dir: arguments.RunsDir = "runs",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what is done, what is missing, calls and cost; run nothing.")] = False,
    json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Run every combination of a suite: all planned and checked before the first weight loads, each model loaded once.

    The same command again does only what is missing. Exit code 3: finished, but a run or some samples failed.
    """
    from medbench.registry import load_registry
    from medbench.suite_runs import plan_suite, standings
    from medbench.suites import cells, read_suite

    registry = load_registry()
    found = read_suite(file)
    planned = plan_suite(cells(found, runs_dir), registry)
    if dry_run:
        _show_standings(found, list(standings(planned, registry)), json=json)
        return
    _run(found, planned, registry, Path(runs_dir), json=json, quiet=quiet)


def _show_standings(found: Suite, standing: list[Standing], *, json: bool) -> None:
    if json:
        arguments.print_json(standing)
        return
    from medbench.costs import dollars
    from medbench.report.provenance import in_words
    from medbench.suites import shared_axes

    axes = shared_axes([one.cell for one in standing])
    several = len({one.cell.seed for one in standing}) > 1
    heads = ["task", "model", *axes.values(), *(["seed"] if several else []), "calls", "missing", "cost", "state"]
    rows = [
        [
            one.cell.task,
            one.cell.model,
            *(in_words(one.cell.axes.get(name, "")) for name in axes),
            *([str(one.cell.seed)] if several else []),
            f"{one.total:,}",
            f"{one.missing:,}",
            "unknown" if not one.priced else dollars(one.usd) if one.usd is not None else "",
            "done" if one.done else "begun" if one.missing < one.total else "missing",
        ]
        for one in standing
    ]
    done = sum(one.done for one in standing)
    right = (len(heads) - 4, len(heads) - 3, len(heads) - 2)
    print(f"{found.title}: {len(standing)} runs, {done} done, {len(standing) - done} missing\n")
    _print_whole(heads, rows, right)
    total = sum(one.usd for one in standing if one.usd is not None)
    cost = f" · at most about {dollars(total)}" if total else ""
    print(f"\n{sum(one.missing for one in standing):,} calls{cost}; a call that several runs share is asked once")
    print("nothing speaks against it; without --dry-run it is carried out")


def _run(found: Suite, planned: list[tuple[Cell, Plan]], registry: Registry, runs_dir: Path, *, json: bool, quiet: bool) -> None:
    from medbench.suite_runs import run_suite
    from medbench.suite_tables import layout, tables, write_tables

    outcomes: list[Outcome] = []
    with _Showing(len(planned), quiet=quiet or json) as showing:
        for outcome in run_suite(planned, registry, showing.event):
            outcomes.append(outcome)
            showing.ended(outcome)
    made = tables(outcomes, registry)
    folder = write_tables(found, outcomes, made, registry, runs_dir)
    if json:
        arguments.print_json(made)
    else:
        for one in made:
            heads, rows = layout(one)
            print(f"\n{one.task}{' · SYNTHETIC data: these numbers say nothing about any patient' if one.synthetic else ''}")
            _print_whole(heads, rows)
        print(f"\ntables         {folder}/table.md, scores.csv, board.md")
    if any(outcome.record is None or not outcome.record.complete for outcome in outcomes):
        raise typer.Exit(FAILED)


def _print_whole(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print a table as wide as it is: a line that goes over the edge says more than one that lost an axis."""
    from medbench.cli.layout import console, table

    grid, out = table(heads, rows, right=right, whole=range(len(heads))), console()
    out.width = max(out.width, out.measure(grid, options=out.options.update(width=WIDEST)).maximum)
    out.print(grid)


class _Showing:
    """Says which run is under way, how far it is, and what came of it."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._total = total
        self._quiet = quiet
        self._begun = 0
        self._said: set[str] = set()
        self._progressing: Progressing | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def event(self, cell: Cell, event: Event) -> None:
        from medbench.events import Note, Planned, Progress

        if isinstance(event, Planned):
            self._open(cell)
        elif self._progressing is None:
            return
        elif isinstance(event, Progress):
            self._progressing.show(event)
        elif isinstance(event, Note):
            if event.text not in self._said:
                self._progressing.note(event.text, to_stdout=False)
            self._said.add(event.text)

    def ended(self, outcome: Outcome) -> None:
        self._close()
        if self._quiet:
            return
        if outcome.record is None:
            print(f"{'not done':<14} {outcome.error}{f' ({outcome.hint})' if outcome.hint else ''}", flush=True)
        elif not outcome.asked:
            print(f"{'there already':<14} {outcome.folder}", flush=True)
        else:
            print(f"{'run':<14} {outcome.folder}", flush=True)

    def _open(self, cell: Cell) -> None:
        from medbench.cli.progress import Progressing

        self._close()
        self._begun += 1
        if not self._quiet:
            print(f"{f'{self._begun}/{self._total}':<14} {cell.label}", flush=True)
        self._progressing = Progressing(quiet=self._quiet).__enter__()

    def _close(self) -> None:
        if self._progressing is not None:
            self._progressing.__exit__(None, None, None)
            self._progressing = None
