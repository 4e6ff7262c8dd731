"""Plain text on a screen: 80 columns, the same in a log, colour only where words say it already."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any


def console() -> Any:
    """Return a console that prints text as it is: nothing a model wrote is taken for markup."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # main knows what to do; rich would exit as if there were a bug

    return Plain(markup=False, highlight=False, emoji=False)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), whole: Sequence[int] = ()) -> Any:
    """Return a plain table: no frame, two spaces between columns.

    Args:
        heads: Headings.
        rows: Cells, as they are printed.
        right: Columns set to the right; they hold numbers and are never broken.
        whole: Further columns that are never broken.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for index, head in enumerate(heads):
        made.add_column(Text(head), justify="right" if index in right else "left", overflow="fold", no_wrap=index in {*right, *whole})
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def short(text: str, width: int) -> str:
    """Return a text in one line of at most so many signs."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def print_list(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print one line per row: columns as wide as they need be, the last one cut at the edge (80 in a pipe; COLUMNS says otherwise)."""
    widths = [max(len(row[index]) for row in [heads, *rows]) for index in range(len(heads) - 1)]
    edge = shutil.get_terminal_size().columns
    for row in [heads, *rows]:
        line = "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        print(f"{line[: edge - 1]}…" if len(line) > edge else line)
