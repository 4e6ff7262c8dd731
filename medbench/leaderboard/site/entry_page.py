"""What an entry's page is filled with: the model's card, every score, subgroups, conditions, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medbench.costs import served_in_words
from medbench.identity import safe_name
from medbench.leaderboard.admission import contaminated
from medbench.leaderboard.board import Board
from medbench.leaderboard.building import Held
from medbench.leaderboard.entries import Cost, Entry, Result
from medbench.leaderboard.site.citing import bibtex
from medbench.leaderboard.verifying import Checked, Verification
from medbench.leaderboard.views import rank_text
from medbench.permissions import in_words
from medbench.record import Contrast, Score
from medbench.report.cells import conventions, coverage_cell, interval, number, value_cell
from medbench.types import as_text


def entry_page(
    entry: Entry, held: Held, base: str, plot: str, curves: Sequence[str], checked: Mapping[str, Verification]
) -> dict[str, Any]:
    """Return what the template of an entry's page is filled with.

    Args:
        entry: The system.
        held: Its board.
        base: Address of the site; empty: unknown.
        plot: The board's picture of cost and quality; empty: none.
        curves: Files of its learning curves.
        checked: Task -> what the maintainer derived again.
    """
    board = held.board
    row = next(row for row in held.table.rows if row.entry == entry.id)
    place = f"{board.name}/entries/{entry.id}.html"
    return {
        "root": "../../",
        "board": board,
        "entry": entry,
        "rank": rank_text(row.rank),
        "marks": row.marks,
        "verified": row.verified,
        "card": list(_card(entry)),
        "parts": [_part(result, entry, board, curves) for result in entry.results],
        "plot": plot,
        "checked": [_checked_line(task, score) for task, made in sorted(checked.items()) for score in made.scores],
        "permalink": f"{base}/{place}" if base else place,
        "bibtex": bibtex(
            f"medbench-{board.name}-{entry.id}",
            f"{entry.system} on {board.title}",
            f"leaderboard {board.name}, entry hash {entry.hash}",
            f"{base}/{place}" if base else "",
        ),
    }


def _checked_line(task: str, score: Checked) -> list[str]:
    stated, derived = ("–" if value is None else f"{value:.6g}" for value in (score.stated, score.derived))
    return [f"{task}: {score.key}", stated, derived, f"{score.status}{f': {score.why}' if score.why else ''}"]


def _card(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield what is known of the model, leaving out what is not."""
    source, model = entry.source, entry.model
    saw = contaminated(entry)
    facts = {
        "what it is": source.title,
        "kind": model.kind,
        "source": source.source,
        "licence": source.licence,
        "plugin": f"{source.plugin}, card version {source.version}" if source.plugin else "",
        "weights": source.weights or "not pinned",
        "options": as_text(model.options),
        "trained on": ", ".join(source.trained_on) + (f" – contains {', '.join(saw)}, which this board evaluates on" if saw else ""),
        "runs": "on somebody else's machine" if model.networked else "",
        "fitted on": f"{model.fitted.get('n', '?')} samples of the train split" if model.fitted else "",
        "identity": model.identity,
    }
    yield from ((name, text) for name, text in facts.items() if text)
    yield from ((name, str(value)) for name, value in sorted(model.loaded.items()) if not isinstance(value, dict | list))


def _part(result: Result, entry: Entry, board: Board, curves: Sequence[str]) -> dict[str, Any]:
    labels = {column.key: column.label for column in board.columns}
    whole = [score for score in result.others if not score.subgroup]
    return {
        "task": result.task,
        "scores": [_score(cell.score, labels, result.task) for cell in result.cells],
        "curves": [name for name in curves if name.startswith(f"{entry.id}.{safe_name(result.task)}.")],
        "subgroups": [_subgroup(score) for score in result.others if score.subgroup],
        "conditions": [_condition(score) for score in whole],
        "contrasts": [_contrast(one) for one in result.contrasts],
        "facts": list(_facts(result)),
        "remarks": [*result.remarks, *(f"{name} not computed: {why}" for name, why in result.not_computed.items())],
    }


def _score(score: Score, labels: dict[str, str], task: str) -> list[str]:
    condition = as_text(score.condition)
    key = f"{task}:{score.metric}/{score.name}" + (f"[{condition}]" if condition else "")
    spread = interval(score.low, score.high, score.unit)
    return [
        labels.get(key, score.name),
        value_cell(score),
        spread,
        coverage_cell(score),
        f"{score.n_groups:,}",
        conventions(score.convention),
        "; ".join(part for part in (score.method, score.note) if part),
    ]


def _subgroup(score: Score) -> list[str]:
    name = f"{score.metric}/{score.name} {as_text(score.condition)}".strip()
    return [name, as_text(score.subgroup), value_cell(score), interval(score.low, score.high, score.unit), coverage_cell(score)]


def _condition(score: Score) -> list[str]:
    spread = interval(score.low, score.high, score.unit)
    return [
        f"{score.metric}/{score.name}",
        as_text(score.condition),
        value_cell(score),
        spread,
        coverage_cell(score),
        conventions(score.convention),
    ]


def _contrast(one: Contrast) -> list[str]:
    return [
        one.name,
        f"{one.one} − {one.other}",
        number(one.difference, one.unit, signed=True),
        interval(one.low, one.high, one.unit, signed=True),
        "" if one.p is None else ("<0.001" if one.p < 0.001 else f"{one.p:.3f}"),
    ]


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    data = result.data
    facts = {
        "data": f"{data.dataset}, {data.split} split{f', {data.variant}' if data.variant else ''}: {data.n:,} samples of {data.n_groups:,}"
        f" {data.group}s{', SYNTHETIC' if data.synthetic else ''}",
        "licence": data.licence,
        "manifest": data.manifest,
        "predictions": result.predictions,
        "failed": f"{result.n_failed:,} of {result.n_predictions:,}; empty {result.n_empty:,}",
        "protocol": f"{result.protocol} {as_text({k: str(v) for k, v in result.params.items()})}".strip(),
        "seed": str(result.seed),
        "cost": _cost(result.cost),
        "hardware": result.hardware,
        "answered": served_in_words(result.cost.served) if result.cost.served else "",
        "data-use override": "; ".join(in_words(result.overrides)),
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items())),
    }
    yield from ((name, text) for name, text in facts.items() if text)


def _cost(cost: Cost) -> str:
    said = [
        f"{cost.usd:,.2f} US dollars" if cost.usd is not None else "",
        f"{cost.seconds:,.0f} s" if cost.seconds is not None else "",
        *(f"{count:,} {name}" for name, count in sorted(cost.usage.items())),
    ]
    return ", ".join(part for part in said if part)
