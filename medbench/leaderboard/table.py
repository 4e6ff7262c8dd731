"""The table of one task over run folders: one row a run, every value with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medbench.record import RunRecord, Score
from medbench.report.cells import coverage_cell, interval, number, value_cell
from medbench.tasks import Published, Task
from medbench.types import Condition, Struct

MAX_COLUMNS = 4


class Row(Struct):
    """One run on a board."""

    system: str
    scores: dict[str, Score]
    """Column -> score."""
    coverage: str
    empty: str
    marks: tuple[str, ...]
    """What a reader must know about the row: baseline, synthetic, limited, failed …"""
    fingerprint: str


class Board(Struct):
    """All runs of a task under one convention."""

    task: str
    title: str
    columns: dict[str, str]
    """`metric/name` -> heading; the first one orders the rows."""
    convention: str
    data: str
    rows: tuple[Row, ...]
    published: tuple[Published, ...] = ()


def build_board(task: Task, records: Iterable[RunRecord], headings: dict[str, str]) -> Board:
    """Return the board of a task.

    Args:
        task: Its conventions choose the scores, its primary score orders the rows.
        records: Records of its runs; of several of one model on one manifest, the last one counts.
        headings: `metric/name` -> heading, for the scores that may become columns where the task names none.
    """
    newest = {(r.model.identity, r.data.manifest, r.data.limit, r.seed): r for r in records if r.task == task.name}
    chosen = [(record, _scores(record, task)) for record in newest.values()]
    columns = _columns(task, [scores for _, scores in chosen], headings)
    rows = [_row(record, scores, columns) for record, scores in chosen]
    first = next(iter(columns), "")
    manifests = sorted({record.data.manifest[:8] for record, _ in chosen})
    return Board(
        task=task.name,
        title=task.title,
        columns=columns,
        convention=" ".join(f"{family}={name}" for family, name in sorted(task.conventions.items())),
        data=f"manifest{'s' if len(manifests) > 1 else ''} {', '.join(manifests)}" if manifests else "",
        rows=tuple(sorted(rows, key=lambda row: _order(row.scores.get(first), row.system))),
        published=task.published,
    )


def to_markdown(board: Board) -> str:
    """Return a board as a Markdown table."""
    head = ["system", *board.columns.values(), "scored", "empty %", "notes"]
    lines = [
        f"## {board.task}",
        "",
        f"{board.title}. Value and 95 % interval; {board.convention or 'one convention'}; {board.data}.",
        "",
        _markdown_row(head),
        _markdown_row(["---", *["---:" for _ in board.columns], "---:", "---:", "---"]),
    ]
    lines += [
        _markdown_row([row.system, *(cell(row.scores.get(c)) for c in board.columns), row.coverage, row.empty, ", ".join(row.marks)])
        for row in board.rows
    ]
    if board.published:
        lines += ["", "Reported elsewhere, not reproduced here (other conventions):", ""]
        lines += [f"- {p.system}, {p.metric}: {number(p.value, 'fraction')} ({p.source})" for p in board.published]
    return "\n".join(lines) + "\n"


def cell(score: Score | None) -> str:
    """Return a score as a board shows it: `74.1 [69.3, 78.6]`."""
    if score is None:
        return "not computed"
    return f"{value_cell(score)} {interval(score.low, score.high, score.unit)}".strip()


def _scores(record: RunRecord, task: Task) -> dict[str, Score]:
    """Return the scores of the task's own conventions, on all samples as they are."""
    wanted = task.conventions
    return {
        f"{score.metric}/{score.name}": score
        for score in record.scores
        if not score.condition
        and not score.subgroup
        and all(name.partition("@")[0] == wanted.get(family, name).partition("@")[0] for family, name in score.convention.items())
    }


def _columns(task: Task, scored: Sequence[dict[str, Score]], headings: dict[str, str]) -> dict[str, str]:
    present = {name for scores in scored for name in scores}
    order = task.columns or (task.primary, *headings)
    names = [name for name in dict.fromkeys(order) if name in present][:MAX_COLUMNS]
    return {name: headings.get(name) or name.partition("/")[2] for name in names}


def _row(record: RunRecord, scores: dict[str, Score], columns: dict[str, str]) -> Row:
    first = scores.get(next(iter(columns), ""))
    total = record.n_predictions or 1
    return Row(
        system=_system(record),
        scores={name: scores[name] for name in columns if name in scores},
        coverage=coverage_cell(first) if first else f"{record.n_predictions - record.n_failed:,}/{record.n_predictions:,}",
        empty=f"{100 * record.n_empty / total:.1f}",
        marks=tuple(_marks(record)),
        fingerprint=record.fingerprint,
    )


def _system(record: RunRecord) -> str:
    options: Condition = record.model.options
    shown = ", ".join(f"{name}={value}" for name, value in sorted(options.items()))
    return f"{record.model.name} ({shown})" if shown else record.model.name


def _marks(record: RunRecord) -> Iterable[str]:
    if record.model.kind != "model":
        yield record.model.kind
    if record.data.synthetic:
        yield "synthetic data"
    if record.model.untrained:
        yield "untrained"
    if record.data.limit is not None:
        yield f"only {record.data.limit} samples"
    if record.n_failed:
        yield f"{record.n_failed:,} failed"
    if record.overrides:
        yield "data-use override"


def _order(score: Score | None, system: str) -> tuple[bool, float, str]:
    if score is None or score.value is None:
        return True, 0.0, system
    return False, score.value if score.higher_is_better is False else -score.value, system


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
