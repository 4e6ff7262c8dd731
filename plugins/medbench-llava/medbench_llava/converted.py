"""Checkpoints in their makers' layouts, converted once on this machine and kept under the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from medbench_torch.convert import NOTES
from medbench_torch.weights import read_json

from medbench.files import cache_folder, private_folder
from medbench.identity import digest
from medbench.locks import FolderLock


def converted(kind: str, parts: tuple[str, ...], make: Callable[[Path], Any]) -> Path:
    """Return the folder of a conversion, made now where it is not there yet; of two processes one converts, the other waits.

    Args:
        kind: What it is, the beginning of the folder's name.
        parts: Digests and choices that the result depends on.
        make: Writes it to a folder that does not exist.
    """
    home = private_folder(cache_folder("converted"))
    target = home / f"{kind}-{digest(*parts)}"
    with FolderLock(home) as lock:
        lock.wait()
        if not target.is_dir():
            make(target)
    return target


def tower_of(folder: Path) -> str:
    """Return where the vision tower of a converted folder came from, in words; empty: nothing is noted."""
    notes = folder / NOTES
    return str(read_json(notes).get("vision_tower_source", "")) if notes.is_file() else ""
