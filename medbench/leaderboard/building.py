"""From a board's folder to its views, and back: what is written, and whether what lies there still follows from the entries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from medbench.errors import FoundError, Problem, UsageError
from medbench.files import write_whole
from medbench.leaderboard.admission import problems
from medbench.leaderboard.board import Board, find_boards
from medbench.leaderboard.entries import Entry, read_entries
from medbench.leaderboard.standings import Standings, standings
from medbench.leaderboard.verifying import Verification, is_verified, read_verified
from medbench.leaderboard.views import render


class RefusedError(UsageError):
    """Entries that may not stand on a board, with every reason."""


class Held(msgspec.Struct, frozen=True):
    """A board's folder as it was read: rules, entries, standings."""

    board: Board
    entries: tuple[Entry, ...]
    table: Standings
    views: dict[str, bytes]
    """File name -> content of the tables beside the board's file."""
    verified: dict[str, dict[str, Verification]]
    """Hash of an entry -> task -> what the maintainer derived again."""


def hold(board: Board) -> Held:
    """Read and judge a board's entries.

    Raises:
        DataError: an entry cannot be read, or was edited.
        RefusedError: an entry may not stand on the board, or a baseline is missing; names entry and reason.
    """
    folder = Path(board.path).parent
    entries = read_entries(folder)
    refuse({entry.id: problems(entry, board) for entry in entries}, board)
    _require_baselines(board, entries)
    verified = read_verified(folder)
    table = standings(board, entries, frozenset(entry.hash for entry in entries if is_verified(entry, verified)))
    return Held(board=board, entries=tuple(entries), table=table, views=render(table), verified=verified)


def refuse(found: dict[str, list[Problem]], board: Board) -> None:
    """Raise every reason against every entry, if there is one."""
    reasons = [(name, problem) for name, some in found.items() for problem in some]
    if not reasons:
        return
    name, first = reasons[0]
    message = f"{board.name}: {name} cannot enter: {first.message}"
    more = [f"{other}: {problem.message}" for other, problem in reasons[1:]]
    raise RefusedError(message, hint="\n".join([*([first.hint] if first.hint else []), *(f"and {text}" for text in more)]))


def _require_baselines(board: Board, entries: Sequence[Entry]) -> None:
    """Trivial baselines stand on every board on which anybody stands."""
    if not entries:
        return
    for task in board.tasks:
        there = {entry.model.name for entry in entries if entry.result(task.name)}
        for name in task.baselines:
            if name not in there:
                hint = f"medbench run --task {task.name} --model {name} …, then medbench leaderboard add RUN --board {board.name}"
                raise RefusedError(f"{board.name}: the baseline {name} is missing for {task.name}", hint=hint)


def build(root: Path, names: tuple[str, ...] = ()) -> list[Held]:
    """Write the tables of boards beside their files, and return what was read."""
    boards = [hold(board) for board in find_boards(root, names)]
    for held in boards:
        for name, content in held.views.items():
            path = root / held.board.name / name
            if not (path.is_file() and path.read_bytes() == content):
                write_whole(path, content)
                path.chmod(0o644)
    return boards


def check(root: Path, names: tuple[str, ...] = ()) -> list[Held]:
    """Compare the tables that lie there with those that follow from the entries.

    Raises:
        FoundError: a table is missing or stale; names every one.
    """
    boards = [hold(board) for board in find_boards(root, names)]
    stale = []
    for held in boards:
        for name, content in held.views.items():
            path = root / held.board.name / name
            if not path.is_file():
                stale.append(f"{path} is missing")
            elif path.read_bytes() != content:
                stale.append(f"{path} is stale")
    if stale:
        raise FoundError(f"{stale[0]}{f' (and {len(stale) - 1} more tables)' if len(stale) > 1 else ''}", hint="medbench leaderboard build")
    return boards
