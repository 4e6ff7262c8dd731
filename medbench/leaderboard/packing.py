"""A submission as one folder: the entry, and as much of what it stands on as the data's terms allow."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medbench.cards import GUARDED
from medbench.errors import UsageError
from medbench.files import storage, write_whole
from medbench.leaderboard.board import Board
from medbench.leaderboard.deriving import packed_bytes
from medbench.leaderboard.entries import Entry
from medbench.leaderboard.ways import files_of
from medbench.record import to_json
from medbench.registry import Registry
from medbench.runs import RunFolder
from medbench.types import Picture

ENTRY, PREDICTIONS, ROWS, NOTE = "entry.json", "predictions.jsonl", "rows", "README.md"

LARGEST_FILE = 1 << 20
"""Bytes of a file that a metric was given (a rubric) and that goes along; weights do not."""


def pack(folder: RunFolder, entry: Entry, board: Board, out: Path, registry: Registry) -> Path:
    """Write a submission and return its folder.

    Data under an agreement: predictions may quote it and rows hold what was made of it, so neither goes along; their digest
    is in the entry, and the maintainer who holds the data derives the numbers from predictions handed over in another way.

    Args:
        folder: The run.
        entry: What it makes on the board.
        board: The board it is for.
        out: Where the submission goes; it must not exist, or be empty.
        registry: The cards at hand.

    Raises:
        UsageError: there is something in the folder already.
        StorageError: it cannot be written.
    """
    record = folder.read_record()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: there is something in it already", hint="--out another folder")
    with storage(out, "--out another folder"):
        out.mkdir(parents=True, exist_ok=True)
    guarded = record.data.access in GUARDED
    free = folder.read_plan().reader.redistribute or record.data.synthetic
    write_whole(out / ENTRY, to_json(entry))
    if not guarded:
        write_whole(out / PREDICTIONS, packed_bytes(folder.read_predictions()))
        with storage(out, "--out another folder"):
            _copy_rows(folder.rows, out / ROWS, numbers_alone=not free)
    files = [path for path in files_of(record.signatures, registry) if path.is_file() and path.stat().st_size <= LARGEST_FILE]
    with storage(out, "--out another folder"):
        for path in files:
            shutil.copyfile(path, out / path.name)
    pictures = any(isinstance(one.value, Picture) for one in folder.read_predictions())
    write_whole(out / NOTE, _note(entry, board, record.task, guarded=guarded, pictures=pictures, files=files).encode())
    return out


def _copy_rows(rows: Path, out: Path, *, numbers_alone: bool) -> None:
    """Copy the rows of metrics; of data that may not be passed on, those alone that hold no text."""
    out.mkdir()
    for path in sorted(rows.glob("*")):
        if path.is_file() and not path.name.startswith(".") and not (numbers_alone and _holds_text(path)):
            shutil.copyfile(path, out / path.name)


def _holds_text(path: Path) -> bool:
    if path.suffix != ".npy":
        return not path.name.endswith(".signature.json")
    kind = np.load(path, mmap_mode="r", allow_pickle=False).dtype
    return any(part.kind not in "biuf" for part in ([kind.fields[name][0].base for name in kind.names] if kind.fields else [kind]))


def _note(entry: Entry, board: Board, task: str, *, guarded: bool, pictures: bool, files: Sequence[Path]) -> str:
    """Return what a maintainer reads first."""
    place = "PREDICTIONS" if guarded else PREDICTIONS
    lines = [
        f"# {entry.system} for the board {board.name}",
        "",
        f"Entry `{entry.id}`, hash `{entry.hash}`. To derive its numbers again, with the data of {task} at hand:",
        "",
        f"    medbench leaderboard verify {ENTRY} --board {board.name} --predictions {place} --data DIR",
        "",
    ]
    if guarded:
        digest = next(result.predictions for result in entry.results if result.task == task)
        lines += [
            "The data is under an agreement: predictions and rows may quote it and are not in this folder. Their digest, in packed",
            f"form, is `{digest}`; hand the file over in a way that the agreement allows.",
        ]
    else:
        lines += ["`rows/` holds what metrics measured per sample. No question and no picture of the data is in this folder."]
    if files:
        lines += ["", f"Metrics were given {', '.join(path.name for path in files)}: verifying looks for it beside the board's rules."]
    if pictures:
        lines += ["", "Pictures are not in it: scores of pictures can be derived from the rows alone."]
    return "\n".join(lines) + "\n"
