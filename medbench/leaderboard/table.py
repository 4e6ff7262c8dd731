"""The tables of one task over run folders: one for each set of samples, one row a run, every value with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medbench.permissions import in_words
from medbench.record import RunRecord, Score
from medbench.report.cells import coverage_cell, interval, number, value_cell
from medbench.tasks import Published, Task
from medbench.types import Condition, Struct, as_text

MAX_COLUMNS = 4
MARK_WIDTH = 24


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
    """All runs of a task on the very same samples, under one convention."""

    task: str
    title: str
    columns: dict[str, str]
    """`metric/name` -> heading; the first one orders the rows."""
    convention: str
    data: str
    """The samples in words: how many, and the digest that pins them."""
    rows: tuple[Row, ...]
    published: tuple[Published, ...] = ()


def build_boards(task: Task, records: Iterable[RunRecord], headings: dict[str, str]) -> list[Board]:
    """Return the boards of a task: numbers on other samples (a twin, a limit, another packaging) are not to be compared.

    Args:
        task: Its conventions choose the scores, its primary score orders the rows.
        records: Records of its runs; of several of one model with the same parameters on the same samples, the last one counts.
        headings: `metric/name` -> heading, for the scores that may become columns where the task names none.

    Returns:
        Real data before synthetic, many samples before few. What others published stands with real data alone.
    """
    by_samples: dict[tuple[bool, int, str], list[RunRecord]] = {}
    for record in records:
        if record.task == task.name:
            by_samples.setdefault((record.data.synthetic, -record.data.n, record.data.manifest), []).append(record)
    return [_board(task, found, headings) for _, found in sorted(by_samples.items(), key=lambda item: item[0])]


def _board(task: Task, records: Sequence[RunRecord], headings: dict[str, str]) -> Board:
    newest = {(r.model.identity, r.seed, r.protocol, as_text(r.params)): r for r in records}
    varied = _varied(list(newest.values()))
    chosen = [(record, _scores(record, task)) for record in newest.values()]
    columns = _columns(task, [scores for _, scores in chosen], headings)
    rows = [_row(record, scores, columns, varied) for record, scores in chosen]
    first = next(iter(columns), "")
    data = records[0].data
    return Board(
        task=task.name,
        title=task.title,
        columns=columns,
        convention=" ".join(f"{family}={name}" for family, name in sorted(task.conventions.items())),
        data=" · ".join([f"{data.n:,} samples", *(["SYNTHETIC"] if data.synthetic else []), f"manifest {data.manifest[:8]}"]),
        rows=tuple(sorted(rows, key=lambda row: _order(row.scores.get(first), row.system))),
        published=() if data.synthetic else task.published,
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


def _varied(records: Sequence[RunRecord]) -> list[str]:
    """Return the parameters in which runs differ; a predictions file has none."""
    params = [record.params for record in records if record.params]
    names = sorted({name for one in params for name in one})
    return [name for name in names if any(one.get(name) != params[0].get(name) for one in params)]


def _row(record: RunRecord, scores: dict[str, Score], columns: dict[str, str], varied: Sequence[str]) -> Row:
    first = scores.get(next(iter(columns), ""))
    total = record.n_predictions or 1
    return Row(
        system=_system(record),
        scores={name: scores[name] for name in columns if name in scores},
        coverage=coverage_cell(first) if first else f"{record.n_predictions - record.n_failed:,}/{record.n_predictions:,}",
        empty=f"{100 * record.n_empty / total:.1f}",
        marks=tuple(_marks(record, varied)),
        fingerprint=record.fingerprint,
    )


def _system(record: RunRecord) -> str:
    options: Condition = record.model.options
    shown = ", ".join(f"{name}={value}" for name, value in sorted(options.items()))
    return f"{record.model.called} ({shown})" if shown else record.model.called


def _marks(record: RunRecord, varied: Sequence[str]) -> Iterable[str]:
    if record.model.kind != "model":
        yield record.model.kind
    if record.data.synthetic:
        yield "synthetic data"
    if record.model.untrained:
        yield "untrained"
    if record.data.limit is not None:
        yield f"only {record.data.limit} samples"
    for name in varied:
        if name in record.params:
            shown = str(record.params[name])
            yield f"{name}={shown if len(shown) <= MARK_WIDTH else shown[: MARK_WIDTH - 1] + '…'}"
    if record.n_failed:
        yield f"{record.n_failed:,} failed"
    yield from in_words(record.overrides)


def _order(score: Score | None, system: str) -> tuple[bool, float, str]:
    if score is None or score.value is None:
        return True, 0.0, system
    return False, score.value if score.higher_is_better is False else -score.value, system


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
