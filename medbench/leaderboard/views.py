"""A board as Markdown, CSV, LaTeX and JSON: what people paste into papers, the same bytes from the same entries."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from medbench.leaderboard.board import Reference
from medbench.leaderboard.ranking import ALPHA, Rank
from medbench.leaderboard.standings import Row, Standings
from medbench.record import Score, to_json
from medbench.report.cells import UNDEFINED, coverage_cell, interval, number, value_cell

NOT_COMPUTED = "not computed"
VERIFIED = {"yes": "source read", "secondary": "read elsewhere", "no": "not verified"}
"""What the verified state of a reported number means, in words."""


def render(table: Standings) -> dict[str, bytes]:
    """Return file name -> content of every view that lies beside a board's file."""
    printed = [_printed(row, table) for row in table.rows]
    return {
        "table.md": to_markdown(table, printed).encode(),
        "table.csv": to_csv(table).encode(),
        "table.tex": to_latex(table, printed).encode(),
        "table.json": to_json(_plain_data(table)),
    }


def _plain_data(table: Standings) -> dict[str, Any]:
    """Return a board as plain data, field by field: a field that records gain later makes no table stale."""
    board = table.board
    return {
        "board": board.name,
        "title": board.title,
        "synthetic": board.synthetic,
        "tasks": [{"name": t.name, "protocol": t.protocol, "manifest": t.manifest, "conventions": t.conventions} for t in board.tasks],
        "columns": [{"key": c.key, "label": c.label, "lower_is_better": c.key in table.lower_is_better} for c in table.columns],
        "primary": board.primary,
        "method": table.method,
        "rows": [_plain_row(row) for row in table.rows],
        "reported": table.apart,
    }


def _plain_row(row: Row) -> dict[str, Any]:
    return {
        "rank": [row.rank.first, row.rank.last] if row.rank else None,
        "system": row.system,
        "entry": row.entry or None,
        "marks": row.marks,
        "verified": row.verified,
        "source": row.source,
        "scores": {key: {name: getattr(score, name) for name in _FIELDS} for key, score in row.cells.items()},
    }


_FIELDS = ("value", "low", "high", "level", "unit", "n", "n_groups", "n_failed", "n_unscored", "convention", "condition", "method", "note")


def rank_text(rank: Rank | None) -> str:
    """Return a rank as it is printed.

    >>> rank_text(Rank(first=1, last=2)), rank_text(Rank(first=3, last=3)), rank_text(None)
    ('1–2', '3', '–')
    """
    if rank is None:
        return UNDEFINED
    return str(rank.first) if rank.first == rank.last else f"{rank.first}–{rank.last}"


def cell_text(score: Score | None) -> str:
    """Return a score as a board shows it: `74.1 [69.3, 78.6]`."""
    if score is None:
        return NOT_COMPUTED
    return f"{value_cell(score)} {interval(score.low, score.high, score.unit)}".strip()


def heading(table: Standings, key: str) -> str:
    """Return what a column is called; an arrow says that less is better, and where there are several tasks its task stands before it."""
    column = table.board.column(key)
    label = f"{column.task}: {column.label}" if column.task and len(table.board.tasks) > 1 else column.label
    return f"{label} ↓" if key in table.lower_is_better else label


def data_text(table: Standings) -> str:
    """Say what the numbers were computed on."""
    said = [f"{task.name} ({task.protocol}, manifest {task.manifest[:8] or 'not pinned'})" for task in table.board.tasks]
    return " · ".join([*said, *(["SYNTHETIC data"] if table.board.synthetic else [])])


def rank_note(table: Standings) -> str:
    """Say what a rank is and how it was found."""
    if not any(row.rank for row in table.rows):
        return ""
    text = "A rank is an interval: from 1 + the systems significantly better to k − the systems significantly worse"
    return f"{text} ({ALPHA:g} level, {table.method})."


def to_markdown(table: Standings, printed: Sequence[Sequence[str]]) -> str:
    """Return a board as Markdown; `printed` are the texts of its rows."""
    board = table.board
    lines = [f"# {_plain(board.title)}", "", f"{data_text(table)}; {table.convention or 'one convention'}.", ""]
    if table.rows:
        head = ["rank", "system", *(heading(table, c.key) for c in table.columns), "scored", "verified", "notes"]
        lines += [_line(head), _line(["---:", "---", *("---:" for _ in table.columns), "---:", "---", "---"])]
        lines += [_line(row) for row in printed]
        lines += ["", "Value and 95 % interval, rates in per cent. " + rank_note(table)]
    else:
        lines += ["Nobody has entered yet."]
    if any(score.coverage < 1 for row in table.rows for score in row.cells.values() if score.n):
        lines += ["", "\\* not every sample is in the value."]
    if table.apart:
        lines += ["", "## Reported elsewhere, not reproduced here", "", _line(_REPORTED), _line(["---"] * len(_REPORTED))]
        lines += [_line(_reported(one)) for one in table.apart]
    for text in (board.notes, board.citation):
        lines += ["", _plain(text)] if text else []
    return "\n".join(lines).rstrip() + "\n"


_REPORTED = ("system", "metric", "value", "setting", "source", "verified")


def _reported(one: Reference) -> list[str]:
    setting = "; ".join(part for part in (one.setting, one.note) if part)
    return [one.system, one.metric, number(one.value, one.unit), setting, one.source, VERIFIED[one.verified]]


def _printed(row: Row, table: Standings) -> list[str]:
    """Return the texts of a row: rank, system, scores, how many samples were scored, verified, notes."""
    absent = NOT_COMPUTED if row.entry else UNDEFINED
    values = (cell_text(row.cells[key]) if key in row.cells else absent for key in table.keys)
    said = [*row.marks, *([row.source] if row.source else [])]
    primary = row.cells.get(table.board.primary)
    scored = coverage_cell(primary) if primary and primary.n else ""
    return [rank_text(row.rank), row.system, *values, scored, "yes" if row.verified else "", ", ".join(said)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_plain, cells)) + " |"


_MARKDOWN = str.maketrans({**{sign: f"\\{sign}" for sign in "\\`*_|"}, "&": "&amp;", "<": "&lt;", ">": "&gt;"})


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is: no HTML, no link, no further cell, one line."""
    return " ".join(text.split()).translate(_MARKDOWN).replace("](", "]\\(")


def to_csv(table: Standings) -> str:
    """Return a board as CSV: values as they are (rates 0 to 1), one column each for value, low, high and n."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    parts, keys = ("", " low", " high", " n"), table.keys
    writer.writerow(
        [
            "rank first",
            "rank last",
            "system",
            "id",
            *(f"{heading(table, key).removesuffix(' ↓')}{part}" for key in keys for part in parts),
            "verified",
            "notes",
        ]
    )
    for row in table.rows:
        ranks = [str(row.rank.first), str(row.rank.last)] if row.rank else ["", ""]
        numbers = [text for key in keys for text in _numbers(row.cells.get(key))]
        notes = ", ".join([*row.marks, *([row.source] if row.source else [])])
        writer.writerow([*ranks, _inert(row.system), row.entry, *numbers, "yes" if row.verified else "", _inert(notes)])
    return out.getvalue()


def _numbers(score: Score | None) -> list[str]:
    if score is None:
        return [""] * 4
    return [*("" if value is None else repr(value) for value in (score.value, score.low, score.high)), str(score.n or "")]


def _inert(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def to_latex(table: Standings, printed: Sequence[Sequence[str]]) -> str:
    """Return a board as a LaTeX table (booktabs); `printed` are the texts of its rows."""
    board = table.board
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{_latex(board.title)}. {_latex(data_text(table))}; {_latex(table.convention)}. Value and 95\\,\\% interval.}}",
        f"\\begin{{tabular}}{{rl{'l' * len(table.columns)}}}",
        "\\toprule",
        " & ".join(["Rank", "System", *(_latex(heading(table, c.key)) for c in table.columns)]) + " \\\\",
        "\\midrule",
    ]
    lines += [" & ".join(map(_latex, row[: 2 + len(table.columns)])) + " \\\\" for row in printed]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}"]) + "\n"


_LATEX = str.maketrans(
    {
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "–": "--",
        "−": "$-$",
        "↓": "$\\downarrow$",
        "·": "$\\cdot$",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)


def _latex(text: str) -> str:
    return " ".join(text.split()).translate(_LATEX)
