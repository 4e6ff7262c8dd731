"""What the first page of the site shows: one line a board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medbench.leaderboard.building import Held
from medbench.leaderboard.views import cell_text, heading


def index_page(boards: Sequence[Held]) -> dict[str, Any]:
    """Return what the template of the first page is filled with."""
    return {"root": "", "boards": [_line(held) for held in boards]}


def _line(held: Held) -> dict[str, Any]:
    table = held.table
    ahead = [row for row in table.rows if row.rank and row.rank.first == 1]
    shown = ", ".join(row.system for row in ahead[:3]) + (f" and {len(ahead) - 3} more" if len(ahead) > 3 else "")
    primary = table.board.primary
    return {
        "name": table.board.name,
        "title": table.board.title,
        "synthetic": table.board.synthetic,
        "entries": len(held.entries),
        "references": len(table.board.reported),
        "ahead": shown or "–",
        "score": f"{heading(table, primary)} {cell_text(ahead[0].cells.get(primary))}" if ahead else heading(table, primary),
    }
