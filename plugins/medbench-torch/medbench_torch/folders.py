"""A folder that is there whole or not at all, for what is converted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medbench.errors import UsageError
from medbench.files import storage


@contextmanager
def new_folder(out: str | Path) -> Iterator[Path]:
    """Give an empty folder beside `out` that becomes it at the end; where something is raised, nothing is left.

    Raises:
        UsageError: `out` exists.
        StorageError: it cannot be made.
    """
    target = Path(out).expanduser()
    if target.exists():
        raise UsageError(f"{target}: exists", hint="name another folder, or remove it")
    partial = target.with_name(f"{target.name}.converting")
    with storage(target, "choose another folder with --out"):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        partial.rename(target)
