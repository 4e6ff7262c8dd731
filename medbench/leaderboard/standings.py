"""A board as it stands: rows in order, with ranks, cells and marks. Every view is made from this alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medbench.leaderboard.admission import marks
from medbench.leaderboard.board import Board, Column, Reference
from medbench.leaderboard.entries import Array, Cell, Entry, cell_key
from medbench.leaderboard.ranking import METHOD, Rank, rank_intervals
from medbench.record import Score
from medbench.stats.bootstrap import percentile_interval
from medbench.types import Struct


class Row(Struct):
    """One line of the board: a system, or a reported number whose protocol and convention agree."""

    system: str
    cells: dict[str, Score]
    """Column key -> score; a column that is not there was not computed."""
    rank: Rank | None = None
    """None: nothing to rank by, no replicates, or a reported number."""
    entry: str = ""
    """Id of the entry; empty: a reported number."""
    marks: tuple[str, ...] = ()
    verified: bool = False
    """Whether the maintainer derived these very numbers again."""
    source: str = ""
    """Where a reported number was read."""
    model: str = ""
    """What it is grouped by: the model's card."""
    kind: str = ""


class Standings(Struct):
    """A board and its rows, best first."""

    board: Board
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    apart: tuple[Reference, ...]
    """Reported under another protocol or convention: never in line with the others."""
    method: str = METHOD
    lower_is_better: tuple[str, ...] = ()
    """Keys of the columns in which less is better."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the columns, in order."""
        return tuple(column.key for column in self.columns)

    @property
    def convention(self) -> str:
        """The conventions of the board's tasks in words."""
        named = {f"{family}={name}": None for task in self.board.tasks for family, name in sorted(task.conventions.items())}
        return " ".join(named)


def standings(board: Board, entries: Sequence[Entry], verified: frozenset[str] = frozenset()) -> Standings:
    """Return a board as its entries make it.

    Args:
        board: Columns, primary score, tie rule, references.
        entries: Those that may stand on it.
        verified: Hashes of the entries that the maintainer derived again.
    """
    cells = {entry.id: _cells(entry, board) for entry in entries}
    direction = _directions(board, cells.values())
    ranks = _ranks(board, entries, cells, direction.get(board.primary, 1.0))
    rows = [_row(entry, cells[entry.id], ranks.get(entry.id), verified=entry.hash in verified) for entry in entries]
    joined, apart = _references(board)
    ordered = sorted([*rows, *joined], key=lambda row: _order(row, board, direction))
    lower = tuple(key for key, sign in direction.items() if sign < 0)
    return Standings(board=board, columns=board.columns, rows=tuple(ordered), apart=tuple(apart), lower_is_better=lower)


def _cells(entry: Entry, board: Board) -> dict[str, tuple[Score, Array]]:
    """Return column key -> score and replicates, means of columns among them."""
    found: dict[str, tuple[Score, Array]] = {}
    by_key, ranking = _by_key(entry), _ranking(board)
    keyed = {column.key: column for column in board.columns}
    for key, column in keyed.items():
        if not column.mean_of and key in by_key:
            found[key] = (by_key[key].score, _replicates(by_key[key], ranking=key in ranking))
    for key, column in keyed.items():
        if column.mean_of and all(part in found for part in column.mean_of):
            found[key] = _mean(column, [found[part] for part in column.mean_of])
    return found


def _by_key(entry: Entry) -> dict[str, Cell]:
    return {f"{result.task}:{cell_key(cell.score)}": cell for result in entry.results for cell in result.cells}


def _ranking(board: Board) -> tuple[str, ...]:
    """Return the columns whose replicates are needed: the primary one, and those that means are made of."""
    return (board.primary, *(key for column in board.columns for key in column.mean_of))


def _replicates(cell: Cell, *, ranking: bool) -> Array:
    return cell.array() if ranking else np.empty(0, dtype=np.float32)


def _mean(column: Column, parts: Sequence[tuple[Score, Array]]) -> tuple[Score, Array]:
    """Return the mean of several cells; undefined where one of them is."""
    values = [score.value for score, _ in parts]
    known = [value for value in values if value is not None]
    count = min(len(replicates) for _, replicates in parts)
    replicates = np.mean([replicates[:count] for _, replicates in parts], axis=0) if count else np.empty(0, dtype=np.float32)
    whole = len(known) == len(values)
    bounds = percentile_interval(replicates) if whole and count else None
    first = parts[0][0]
    score = Score(
        metric="mean",
        name=column.label,
        value=float(np.mean(known)) if whole else None,
        low=bounds[0] if bounds else None,
        high=bounds[1] if bounds else None,
        unit=first.unit,
        higher_is_better=first.higher_is_better,
        n=sum(score.n for score, _ in parts),
        n_groups=sum(score.n_groups for score, _ in parts),
        method=f"percentile bootstrap of the mean of {len(parts)} scores, {count:,} resamples" if bounds else "",
        note="" if whole else "undefined: a score it is the mean of is undefined",
    )
    return score, replicates


def _directions(board: Board, systems: Any) -> dict[str, float]:
    """Return column key -> 1 where higher is better, -1 where lower is; as the scores say."""
    found: dict[str, float] = {}
    for cells in systems:
        for key, (score, _) in cells.items():
            found.setdefault(key, -1.0 if score.higher_is_better is False else 1.0)
    return {column.key: found[column.key] for column in board.columns if column.key in found}


def _ranks(board: Board, entries: Sequence[Entry], cells: dict[str, dict[str, tuple[Score, Array]]], direction: float) -> dict[str, Rank]:
    """Return the ranks of the entries that have a primary value and its replicates."""
    found = {entry.id: cells[entry.id][board.primary] for entry in entries if board.primary in cells[entry.id]}
    ranked = {name: pair for name, pair in found.items() if pair[0].value is not None and len(pair[1])}
    if not ranked:
        return {}
    count = min(len(replicates) for _, replicates in ranked.values())
    points = np.array([score.value for score, _ in ranked.values()], dtype=np.float64)
    replicates = np.stack([replicates[:count] for _, replicates in ranked.values()])
    return dict(zip(ranked, rank_intervals(points, replicates, direction), strict=True))


def _row(entry: Entry, cells: dict[str, tuple[Score, Array]], rank: Rank | None, *, verified: bool) -> Row:
    return Row(
        system=entry.system,
        cells={key: score for key, (score, _) in cells.items()},
        rank=rank,
        entry=entry.id,
        marks=tuple(marks(entry)),
        verified=verified,
        model=entry.model.name.partition("/")[0].partition(" ")[0],
        kind=entry.model.kind,
    )


def _references(board: Board) -> tuple[list[Row], list[Reference]]:
    """Tell reported numbers under the board's own protocol and conventions from the others."""
    joined: dict[tuple[str, str], Row] = {}
    apart: list[Reference] = []
    for one in board.reported:
        if not _agrees(one, board):
            apart.append(one)
            continue
        score = Score(metric="reported", name=one.metric, value=one.value, unit=one.unit, convention=one.conventions, note="reported")
        known = joined.get((one.system, one.source))
        cells = {**(known.cells if known else {}), one.column: score}
        said = ("reported, not reproduced here", f"verified: {one.verified}")
        joined[one.system, one.source] = Row(system=one.system, cells=cells, marks=said, source=one.source, kind="reported")
    return list(joined.values()), apart


def _agrees(one: Reference, board: Board) -> bool:
    task = board.task(one.column.partition(":")[0])
    return bool(task and one.protocol == task.protocol and one.conventions == task.conventions)


def _order(row: Row, board: Board, direction: dict[str, float]) -> tuple[Any, ...]:
    keys = []
    for key in (board.primary, *board.tie):
        score = row.cells.get(key)
        value = score.value if score else None
        keys.append((value is None, -direction.get(key, 1.0) * (value or 0.0)))
    return (*keys, row.system.lower(), row.entry)
