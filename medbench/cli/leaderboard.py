"""`medbench leaderboard`: tables over the records of many runs, and boards that are published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import arguments, boards
from medbench.errors import UsageError

if TYPE_CHECKING:
    from medbench.leaderboard.table import Board
    from medbench.record import Score

SYSTEM_WIDTH, COVERAGE_WIDTH = 18, 13
"""Room kept for the system's name, which may be broken over lines, and for coverage and empty rate."""

app = typer.Typer(no_args_is_help=True, help="Tables over the records of many runs, and boards that are published.")


@app.callback()
def group() -> None:
    """Tables over the records of many runs, and boards that are published."""


for _verb in (boards.add, boards.build, boards.check, boards.verify, boards.pack):
    app.command(_verb.__name__)(_verb)


@app.command("show")
def show(
    task: Annotated[str, typer.Argument(help="Task name; default: every task that has runs.", show_default=False)] = "",
    *,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="Columns of these metrics instead of the task's own.")] = None,
    runs_dir: arguments.RunsDir = "runs",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    json: arguments.Json = False,
) -> None:
    """Show one row per run, best first, every value with its interval and coverage."""
    from medbench.leaderboard.table import to_markdown

    boards = _boards(task, Path(runs_dir), arguments.names(metric))
    if json:
        arguments.print_json(boards)
    elif markdown:
        typer.echo("\n".join(to_markdown(board) for board in boards), nl=False)
    else:
        for board in boards:
            _print(board)


def _boards(task: str, runs_dir: Path, metrics: tuple[str, ...] = ()) -> list[Board]:
    import msgspec

    from medbench.errors import DataError
    from medbench.leaderboard.table import build_boards
    from medbench.registry import load_registry
    from medbench.runs import all_runs
    from medbench.tasks import get_task

    registry = load_registry()
    records, folders = [], {}
    for folder in all_runs(runs_dir):
        try:
            records.append(folder.read_record())
        except DataError:
            continue  # an interrupted run has no record yet; `medbench runs` lists it
        folders[records[-1].task] = folder
    names = [task] if task else sorted({record.task for record in records})
    if not records or (task and task not in {record.task for record in records}):
        if task:
            get_task(task, registry)  # an unknown name is the likelier mistake
        raise UsageError(f"no finished run{f' of {task}' if task else ''} in {runs_dir}", hint="medbench runs, or --runs-dir DIR")
    boards: list[Board] = []
    for name in names:
        try:
            found = get_task(name, registry)
        except UsageError:
            found = folders[name].read_plan().task  # a task file of the user's, or of a plugin that is gone
        if metrics:
            found = msgspec.structs.replace(found, metrics=metrics, columns=(), primary="")
        boards += build_boards(found, records, _headings(found, registry))
    return boards


def _headings(task: object, registry: object) -> dict[str, str]:
    """Return the scores that may become columns: each metric's primary one first, then the others."""
    from medbench.cards import MetricCard
    from medbench.registry import Registry
    from medbench.tasks import Task

    assert isinstance(task, Task)
    assert isinstance(registry, Registry)
    known = set(registry.names(MetricCard))
    cards = [registry.get(MetricCard, name) for name in task.metrics if name in known]
    scores = [(card.name, name, facts) for card in cards for name, facts in card.scores.items() if not name.endswith("*")]
    ordered = [s for s in scores if s[2].primary] + [s for s in scores if not s[2].primary]
    return {f"{metric}/{name}": facts.label or name for metric, name, facts in ordered}


def _fitting(board: Board, width: int) -> list[str]:
    """Return the columns that fit beside system, coverage and notes: the first ones matter most."""
    room = width - SYSTEM_WIDTH - COVERAGE_WIDTH
    columns: list[str] = []
    for name, heading in board.columns.items():
        lines = [line for row in board.rows for line in _two_lines(row.scores.get(name)).split("\n")]
        room -= 2 + max(len(line) for line in [*_heading(heading).split("\n"), *lines])
        if room >= 0 or not columns:
            columns.append(name)
    return columns


def _two_lines(score: Score | None) -> str:
    """Return a value and, under it, its interval."""
    from medbench.report.cells import interval, value_cell

    return _stacked(value_cell(score), interval(score.low, score.high, score.unit)) if score else "not\ncomputed"


def _heading(text: str) -> str:
    """Return a heading, a long one over two lines."""
    first, _, last = text.rpartition(" ")
    return f"{first}\n{last}" if first and len(text) > 12 else text


def _stacked(over: str, under: str) -> str:
    return f"{over}\n{under}" if under else over


def _print(board: Board) -> None:
    from medbench.cli.layout import console, table
    from medbench.report.cells import number

    out = console()
    columns = _fitting(board, out.width)
    out.print(f"{board.task} · {board.title}", soft_wrap=True)
    out.print(" · ".join(part for part in (board.convention, board.data) if part), soft_wrap=True)
    print()
    heads = ["system", *(_heading(board.columns[c]) for c in columns), "scored"]
    rows = [
        [
            _stacked(row.system, ", ".join(row.marks)),
            *(_two_lines(row.scores.get(column)) for column in columns),
            _stacked(row.coverage, f"empty {row.empty} %"),
        ]
        for row in board.rows
    ]
    out.print(table(heads, rows, whole=range(1, len(heads))))
    left_out = [board.columns[c] for c in board.columns if c not in columns]
    if left_out:
        print(f"no room for {', '.join(left_out)}: a wider terminal, --markdown or --json shows all")
    if board.published:
        print("\nreported elsewhere, not reproduced here (other conventions)")
        for one in board.published:
            out.print(f"  {one.system}, {one.metric}: {number(one.value, 'fraction')}  {one.source}", soft_wrap=True)
    print()
