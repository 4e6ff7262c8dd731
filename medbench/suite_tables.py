"""What a suite found: one table per task with an axis a column, every score as CSV, and the board of its runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from medbench.cards import MetricCard
from medbench.errors import UsageError
from medbench.files import private_folder, write_whole
from medbench.identity import safe_name
from medbench.leaderboard.table import build_boards
from medbench.leaderboard.table import to_markdown as board_markdown
from medbench.record import RunRecord, Score
from medbench.registry import Registry
from medbench.report.cells import interval, label, number, value_cell
from medbench.report.provenance import in_words
from medbench.suite_runs import Outcome
from medbench.suites import Suite, shared_axes
from medbench.tasks import Task, get_task
from medbench.types import Struct, as_text

MOST_COLUMNS = 4


class SuiteRow(Struct):
    """One system: everything equal but the seed."""

    model: str
    axes: dict[str, str]
    condition: str
    seeds: tuple[int, ...]
    cells: dict[str, str]
    """`metric/name` -> what the table shows."""
    note: str = ""


class SuiteTable(Struct):
    """The systems of one task."""

    task: str
    axes: dict[str, str]
    """Axis -> heading."""
    columns: dict[str, str]
    """`metric/name` -> heading."""
    rows: tuple[SuiteRow, ...]
    synthetic: bool = False


def tables(outcomes: Sequence[Outcome], registry: Registry) -> list[SuiteTable]:
    """Return a table for each task, in the order of the suite; runs that differ in the seed alone are one row: mean ± deviation."""
    by_task: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_task.setdefault(outcome.cell.task, []).append(outcome)
    return [_table(name, get_task(name, registry), found, registry) for name, found in by_task.items()]


def _table(name: str, task: Task, outcomes: Sequence[Outcome], registry: Registry) -> SuiteTable:
    columns = _columns(task, [outcome.record for outcome in outcomes if outcome.record], registry)
    alike: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        alike.setdefault((outcome.cell.model, as_text(_axes(outcome))), []).append(outcome)
    return SuiteTable(
        task=name,
        axes=shared_axes([outcome.cell for outcome in outcomes]),
        columns=columns,
        rows=tuple(row for found in alike.values() for row in _rows(task, found, columns)),
        synthetic=any(outcome.record.data.synthetic for outcome in outcomes if outcome.record),
    )


def _axes(outcome: Outcome) -> dict[str, Any]:
    return {name: in_words(value) for name, value in outcome.cell.axes.items()}


def _rows(task: Task, outcomes: Sequence[Outcome], columns: dict[str, str]) -> Iterator[SuiteRow]:
    """Yield a row for each condition of runs that differ in the seed alone, and one for those that were not carried out."""
    first, records = outcomes[0], [outcome.record for outcome in outcomes if outcome.record]
    conditions = dict.fromkeys(as_text(score.condition) for record in records for score in _scores(record, task))
    failed = sum(record.n_failed for record in records)
    for condition in conditions:
        found = [{f"{s.metric}/{s.name}": s for s in _scores(record, task) if as_text(s.condition) == condition} for record in records]
        yield SuiteRow(
            model=records[0].model.called,
            axes=_axes(first),
            condition=condition,
            seeds=tuple(outcome.cell.seed for outcome in outcomes if outcome.record),
            cells={name: shown for name in columns if (shown := _shown([one[name] for one in found if name in one]))},
            note=f"{failed:,} failed" if failed else "",
        )
    for outcome in outcomes:
        if outcome.record is None:
            cell = outcome.cell
            yield SuiteRow(
                model=cell.model, axes=_axes(outcome), condition="", seeds=(cell.seed,), cells={}, note=f"not done: {outcome.error}"
            )


def _shown(scores: Sequence[Score]) -> str:
    """Return one score with its interval, or the mean and the standard deviation of several."""
    if not scores:
        return ""
    if len(scores) == 1:
        return f"{value_cell(scores[0])} {interval(scores[0].low, scores[0].high, scores[0].unit)}".strip()
    values = [score.value for score in scores if score.value is not None]
    if len(values) < len(scores):
        return "–"
    return f"{number(mean(values), scores[0].unit)} ± {number(stdev(values), scores[0].unit)}"


def _scores(record: RunRecord, task: Task) -> list[Score]:
    """Return the scores of all samples under the task's own conventions."""
    own = task.conventions
    return [
        score
        for score in record.scores
        if not score.subgroup
        and all(name.partition("@")[0] == own.get(family, name).partition("@")[0] for family, name in score.convention.items())
    ]


def _columns(task: Task, records: Sequence[RunRecord], registry: Registry) -> dict[str, str]:
    """Return the scores that the table has: the task's own columns, else the primary ones."""
    found = {f"{score.metric}/{score.name}": score for record in records for score in _scores(record, task)}
    cards = {score.metric: _card(registry, score.metric) for score in found.values()}
    primary = [key for key, score in found.items() if (card := cards[score.metric]) is None or card.facts(score.name).primary]
    names = [name for name in dict.fromkeys((*task.columns, task.primary, *primary)) if name in found][:MOST_COLUMNS]
    return {name: _heading(found[name], cards[found[name].metric]) for name in names}


def _card(registry: Registry, metric: str) -> MetricCard | None:
    try:
        return registry.get(MetricCard, metric)
    except UsageError:
        return None


def _heading(score: Score, card: MetricCard | None) -> str:
    return label(score, {name: facts.label for name, facts in card.scores.items() if facts.label} if card else {})


def write_tables(suite: Suite, outcomes: Sequence[Outcome], found: Sequence[SuiteTable], registry: Registry, runs_dir: Path) -> Path:
    """Write `table.md`, `scores.csv` and `board.md` of a suite below the runs folder, and return their folder."""
    folder = private_folder(runs_dir / "suites" / safe_name(suite.name))
    write_whole(folder / "table.md", to_markdown(suite, found).encode())
    write_whole(folder / "scores.csv", _csv(outcomes).encode())
    records = [outcome.record for outcome in outcomes if outcome.record]
    boards = [board for table in found for board in build_boards(get_task(table.task, registry), records, table.columns)]
    write_whole(folder / "board.md", "\n".join(board_markdown(board) for board in boards).encode())
    return folder


def to_markdown(suite: Suite, found: Sequence[SuiteTable]) -> str:
    """Return the tables of a suite as Markdown."""
    lines = [f"# {suite.title}", ""]
    for table in found:
        heads, rows = layout(table)
        lines += [f"## {table.task}", ""]
        lines += ["SYNTHETIC data: these numbers say nothing about any patient.", ""] if table.synthetic else []
        lines += [_line(heads), _line(["---"] * len(heads)), *map(_line, rows), ""]
    return "\n".join(lines)


def layout(table: SuiteTable) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows; a column that is empty throughout is left out, but not an axis."""
    several = any(len(row.seeds) > 1 for row in table.rows) or len({row.seeds for row in table.rows}) > 1
    named = any(row.condition for row in table.rows)
    noted = any(row.note for row in table.rows)
    heads = ["model", *table.axes.values(), *(["condition"] if named else []), *(["seeds"] if several else []), *table.columns.values()]
    rows = [
        [
            row.model,
            *(row.axes.get(name, "") for name in table.axes),
            *([row.condition] if named else []),
            *([", ".join(map(str, row.seeds))] if several else []),
            *(row.cells.get(name, "") for name in table.columns),
            *([row.note] if noted else []),
        ]
        for row in table.rows
    ]
    return [*heads, *(["note"] if noted else [])], rows


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _csv(outcomes: Sequence[Outcome]) -> str:
    """Return every score of every run, one a line."""
    axes = shared_axes([outcome.cell for outcome in outcomes])
    fields = ("metric", "name", "value", "low", "high", "n", "n_groups", "n_failed", "unit")
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["task", "model", *axes, "seed", "run", *fields, "convention", "condition", "subgroup"])
    for outcome in outcomes:
        cell, record = outcome.cell, outcome.record
        given = [in_words(cell.axes.get(name, "")) for name in axes]
        for score in record.scores if record else ():
            named = [as_text(score.convention), as_text(score.condition), as_text(score.subgroup)]
            values = [getattr(score, field) for field in fields]
            writer.writerow([cell.task, cell.model, *given, cell.seed, record.fingerprint if record else "", *values, *named])
    return buffer.getvalue()
