"""What a board is: its tasks and what is pinned of them, its columns, who may enter, what others reported."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from medbench.errors import UsageError, suggestion
from medbench.types import Condition, Struct, as_text

FILE = "board.toml"
PRIMARY_RESAMPLES = 10_000
"""Fewest bootstrap replicates of the score that ranks: fewer resolve no small p-value."""
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
"""What boards and entries may be called: one path-safe, lower-case word."""

Verified = Literal["yes", "secondary", "no"]


class Column(Struct, omit_defaults=True):
    """One score of the board, or the mean of several of its columns."""

    label: str
    """How tables name it."""
    score: str = ""
    """`metric/name`."""
    task: str = ""
    """The task it belongs to; empty: the board's only one."""
    condition: Condition = {}
    """The condition under which it counts: `{ shots = 100 }`."""
    mean_of: tuple[str, ...] = ()
    """Keys of the columns it is the mean of; a missing cell leaves the mean undefined."""

    @property
    def key(self) -> str:
        """What the rest of the board calls it: `task:metric/name[condition]`, or `mean:label`."""
        if self.mean_of:
            return f"mean:{self.label}"
        condition = as_text(self.condition)
        return f"{self.task}:{self.score}" + (f"[{condition}]" if condition else "")


class BoardTask(Struct, omit_defaults=True):
    """A task of the board and what is pinned of it."""

    name: str
    protocol: str
    manifest: str = ""
    """Digest of the samples; empty: nobody can enter yet."""
    blind: str = ""
    """Digest of the samples without references and labels, for references that are held back."""
    params: dict[str, str | int | float | bool | list[str | int | float]] = {}
    """Parameters of the protocol that every entry must have; others are free, and shown."""
    conventions: dict[str, str] = {}
    """Family -> `name@version` under which scores count."""
    baselines: tuple[str, ...] = ()
    """Trivial models that stand on the board as soon as anybody does."""


class Reference(Struct, omit_defaults=True):
    """What somebody else reported: shown apart, and in line with the others only where protocol and convention agree."""

    system: str
    metric: str
    """In the source's words."""
    value: float
    source: str
    verified: Verified
    """`yes`: the source was read and says so; `secondary`: read elsewhere; `no`: neither."""
    unit: Literal["fraction", "score"] = "fraction"
    column: str = ""
    """Key of the column it belongs to; empty: none is like it."""
    protocol: str = ""
    conventions: dict[str, str] = {}
    setting: str = ""
    """Zero-shot, fine-tuned, another split … as far as the source says."""
    note: str = ""


class Board(Struct, omit_defaults=True):
    """A board as its file states it."""

    title: str
    tasks: tuple[BoardTask, ...]
    columns: tuple[Column, ...]
    primary: str = ""
    """Key of the column that ranks; empty: the first one."""
    tie: tuple[str, ...] = ()
    """Keys of columns that order systems whose primary values are equal; then the name does."""
    resamples: int = PRIMARY_RESAMPLES
    """Bootstrap replicates of the primary score."""
    enter: tuple[Literal["model", "baseline", "predictions"], ...] = ("model", "baseline", "predictions")
    """Kinds of systems that may enter; an oracle never may."""
    max_failed: float = 0.0
    """Largest share (0 to 1) of failed or unscored samples."""
    synthetic: bool = False
    """Whether this board is about synthetic data, and about nothing else."""
    untrained: bool = False
    """Whether a model with random weights may enter; it is marked."""
    unpinned: Literal["refuse", "mark"] = "refuse"
    """What becomes of a system whose weights nobody can name for certain."""
    references: Literal["public", "private"] = "public"
    """`private`: submitters predict without references, the maintainer scores."""
    reported: tuple[Reference, ...] = ()
    """What others reported."""
    citation: str = ""
    url: str = ""
    notes: str = ""
    name: str = ""
    """The folder's name."""
    path: str = ""

    def column(self, key: str) -> Column:
        """Return a column by its key."""
        return next(column for column in self.columns if column.key == key)

    def task(self, name: str) -> BoardTask | None:
        """Return a task by its name."""
        return next((task for task in self.tasks if task.name == name), None)


def read_board(folder: Path) -> Board:
    """Read `board.toml` of a board's folder.

    Raises:
        UsageError: names the file, the key, and what is allowed there.
    """
    path = folder / FILE
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file", hint=f"a board is a folder with a {FILE}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}", hint="mend that line") from error
    for key in ("name", "path"):
        if key in table:
            raise UsageError(f"{path}: unknown key {key}", hint="a board is named as its folder")
    try:
        board = msgspec.convert({**table, "name": folder.resolve().name, "path": str(path)}, Board)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {_explain(str(error))}", hint=_allowed(str(error))) from error
    board = _placed(board)
    _require_sense(board)
    return board


def find_boards(root: Path, names: tuple[str, ...] = ()) -> list[Board]:
    """Return the boards below a folder, by name: all, or those that are named.

    Raises:
        UsageError: there is none, a name is unknown, or a file has a mistake.
    """
    known = sorted(path.parent.name for path in root.glob(f"*/{FILE}"))
    if not known:
        raise UsageError(f"{root}: no board in it", hint=f"a board is a folder with a {FILE}; name another place with --boards DIR")
    for name in names:
        if name not in known:
            raise UsageError(f"no board named {name} in {root}", hint=suggestion(name, known))
    return [read_board(root / name) for name in (names or known)]


def _placed(board: Board) -> Board:
    """Fill in what has a default: the only task of a column, the first column for the primary one; short keys become whole ones."""
    only = board.tasks[0].name if len(board.tasks) == 1 else ""
    columns = tuple(column if column.task or column.mean_of else msgspec.structs.replace(column, task=only) for column in board.columns)

    def whole(key: str) -> str:
        return key if not only or not key or key.startswith(("mean:", f"{only}:")) else f"{only}:{key}"

    columns = tuple(msgspec.structs.replace(column, mean_of=tuple(whole(key) for key in column.mean_of)) for column in columns)
    primary = whole(board.primary) or (columns[0].key if columns else "")
    reported = tuple(msgspec.structs.replace(one, column=whole(one.column)) for one in board.reported)
    return msgspec.structs.replace(board, columns=columns, primary=primary, tie=tuple(whole(key) for key in board.tie), reported=reported)


def _require_sense(board: Board) -> None:
    path = board.path
    if not NAME.fullmatch(board.name):
        raise UsageError(f"{path}: {board.name!r} is no name for a board", hint="lower-case letters, digits and . _ - alone")
    if not board.tasks or not board.columns:
        raise UsageError(f"{path}: a board needs a task and a column", hint="[[tasks]] … [[columns]] …")
    if board.resamples < PRIMARY_RESAMPLES:
        raise UsageError(f"{path}: resamples = {board.resamples}: too few", hint=f"{PRIMARY_RESAMPLES:,} or more")
    for column in board.columns:
        _require_column(board, column)
    keys = [column.key for column in board.columns]
    means = [key for column in board.columns for key in column.mean_of]
    named = [board.primary, *board.tie, *means, *(one.column for one in board.reported if one.column)]
    for key in named:
        if key not in keys:
            raise UsageError(f"{path}: {key} is no column of this board", hint=suggestion(key, keys))


def _require_column(board: Board, column: Column) -> None:
    path = board.path
    if sum(other.key == column.key for other in board.columns) > 1:
        raise UsageError(f"{path}: columns: {column.key} stands there twice", hint="each column once")
    if bool(column.score) == bool(column.mean_of):
        raise UsageError(f"{path}: columns: {column.label}: either score or mean_of", hint='score = "metric/name"')
    if column.score and (board.task(column.task) is None or not column.score.partition("/")[2]):
        hint = 'task = "name", score = "metric/name"'
        raise UsageError(f"{path}: columns: {column.key} is no score of a task of this board", hint=hint)


def _explain(message: str) -> str:
    where = re.search(r" - at `\$\.?([^`]*)`", message)
    text = re.sub(r" - at `[^`]*`", "", message)
    return f"{where[1]}: {text[0].lower()}{text[1:]}" if where and where[1] else f"{text[0].lower()}{text[1:]}"


def _allowed(message: str) -> str:
    """Return the keys of the table that a mistake is in, nearest first."""
    parts: tuple[tuple[str, type[Struct]], ...] = (("$.tasks", BoardTask), ("$.columns", Column), ("$.reported", Reference))
    kind = next((kind for where, kind in parts if where in message), Board)
    fields = [name for name in kind.__struct_fields__ if name not in {"name", "path"} or kind is not Board]
    unknown = re.search(r"unknown field `([^`]+)`", message)
    return suggestion(unknown[1], fields) if unknown else f"keys there: {', '.join(fields)}"
