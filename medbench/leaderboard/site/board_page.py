"""What a board's page is filled with: the table's data, the numbers reported elsewhere, how to cite it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from medbench.leaderboard.board import Board, Column
from medbench.leaderboard.building import Held
from medbench.leaderboard.entries import Array, Entry, pack_replicates
from medbench.leaderboard.site.citing import bibtex
from medbench.leaderboard.standings import Row, Standings
from medbench.leaderboard.views import VERIFIED, data_text, heading, rank_note, rank_text
from medbench.record import Score
from medbench.reducing import RESAMPLES
from medbench.report.cells import conventions, coverage_cell, interval, number, value_cell

_encoder = msgspec.json.Encoder(order="deterministic")


def board_page(held: Held, base: str, plot: str) -> dict[str, Any]:
    """Return what the template of a board's page is filled with.

    Args:
        held: The board.
        base: Address of the site, without a slash at its end; empty: unknown.
        plot: The picture of cost and quality; empty: no cost is known.
    """
    table, board = held.table, held.board
    url = f"{base}/{board.name}/index.html" if base else ""
    return {
        "root": "../",
        "board": board,
        "data": data_text(table),
        "convention": table.convention,
        "rows": table.rows,
        "kinds": sorted({row.kind for row in table.rows}),
        "rank_note": rank_note(table),
        "apart": [_apart(one) for one in table.apart],
        "plot": plot,
        "primary": heading(table, board.primary),
        "permalink": url or f"{board.name}/index.html",
        "bibtex": bibtex(f"medbench-{board.name}", f"{board.title}: leaderboard", f"{len(held.entries)} entries", url),
        "payload": in_script(_payload(held, url)),
    }


def in_script(value: Any) -> Any:
    """Return data as JSON that is safe inside a script element: nothing in it can end the element, or be taken for markup."""
    import markupsafe  # noqa: PLC0415 - comes with jinja2, an extra

    text = _encoder.encode(value).decode()
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return markupsafe.Markup(text)  # noqa: S704 - every sign that could leave the element is escaped above


def replicates_script(entry: Entry, board: Board, *, every: bool) -> bytes:
    """Return the script that hands a page the replicates of one entry, for comparing two.

    Args:
        entry: Its cells.
        board: Its columns.
        every: Of all columns; else of the primary one alone.
    """
    data: dict[str, str] = {}
    for column in board.columns:
        if every or column.key == board.primary:
            values = _replicates(entry, column)
            if len(values):
                data[column.key] = pack_replicates(values[:RESAMPLES])
    return f"window.medbenchReplicates[{in_script(entry.id)}] = {in_script(data)};\n".encode()


def _replicates(entry: Entry, column: Column) -> Array:
    """Return the replicates of a column, of a mean those of the mean; empty where a cell is not there."""
    cells = [entry.cell(key) for key in (column.mean_of or (column.key,))]
    each = [cell.array() for cell in cells if cell is not None and cell.replicates]
    if len(each) < len(cells):
        return np.empty(0, dtype=np.float32)
    shortest = min(len(values) for values in each)
    return each[0] if len(each) == 1 else np.mean([values[:shortest] for values in each], axis=0)


def _apart(one: Any) -> dict[str, str]:
    return {
        "system": one.system,
        "metric": one.metric,
        "value": number(one.value, one.unit),
        "setting": "; ".join(part for part in (one.setting, one.note) if part),
        "source": one.source,
        "verified": VERIFIED[one.verified],
    }


def _payload(held: Held, url: str) -> dict[str, Any]:
    """Return the data of the table: texts as every other view prints them, numbers to sort by."""
    table = held.table
    notes: dict[str, int] = {}
    return {
        "url": url,
        "columns": [_column(column, table) for column in table.columns],
        "rows": [_row(row, place, table.board.primary, table.keys, notes) for place, row in enumerate(table.rows)],
        "notes": list(notes),
    }


def _column(column: Column, table: Standings) -> dict[str, Any]:
    scores = [row.cells[column.key] for row in table.rows if column.key in row.cells]
    ends = [value for score in scores for value in (score.value, score.low, score.high) if value is not None]
    return {
        "key": column.key,
        "label": column.label,
        "heading": heading(table, column.key),
        "task": column.task or "mean",
        "unit": scores[0].unit if scores else "fraction",
        "lower": column.key in table.lower_is_better,
        "convention": conventions(scores[0].convention) if scores else "",
        "low": min(ends, default=0.0),
        "high": max(ends, default=1.0),
    }


def _row(row: Row, place: int, primary_key: str, keys: Sequence[str], notes: dict[str, int]) -> dict[str, Any]:
    primary = row.cells.get(primary_key)
    return {
        "place": place,
        "id": row.entry,
        "rank": rank_text(row.rank),
        "system": row.system,
        "marks": row.marks,
        "source": row.source,
        "verified": row.verified,
        "model": row.model or row.system,
        "kind": row.kind,
        "scored": coverage_cell(primary) if primary and primary.n else "",
        "cells": [_cell(row.cells.get(key), notes) for key in keys],
    }


def _cell(score: Score | None, notes: dict[str, int]) -> list[Any] | None:
    if score is None:
        return None
    said = "; ".join(part for part in (f"{score.n_groups:,} groups" if score.n_groups else "", score.method, score.note) if part)
    return [
        score.value,
        value_cell(score),
        interval(score.low, score.high, score.unit),
        score.low,
        score.high,
        coverage_cell(score) if score.n else "",
        notes.setdefault(said, len(notes)),
    ]
