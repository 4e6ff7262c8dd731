"""In which ways stated scores may have come about: by whom they were judged, under which options, with which files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.cards import MetricCard
from medbench.errors import UsageError
from medbench.leaderboard.admission import wrong_convention
from medbench.leaderboard.board import Board, BoardTask
from medbench.metric_plans import MetricPlan, portable
from medbench.record import Score
from medbench.registry import Registry
from medbench.types import Struct

Signatures = Mapping[str, Mapping[str, Any]]
"""What a record or an entry says of how each metric was computed."""


class Way(Struct):
    """One way in which a metric may have been computed."""

    plan: MetricPlan
    judge: str = ""
    """Identity of the model that was asked."""


def ways_of(
    plans: Sequence[MetricPlan], scores: Sequence[Score], signatures: Signatures, board: Board, pinned: BoardTask
) -> list[list[Way]]:
    """Return for each metric the ways in which stated scores may have come about: by whom they were judged, under which options.

    Options may have been given to `score` alone; the signatures tell them, and which of them the stated scores had, their values.

    Args:
        plans: The board's metrics, with the options of the run.
        scores: What is stated.
        signatures: What the same record or entry says of how it was computed.
        board: For messages.
        pinned: Its conventions choose among several judges.

    Raises:
        UsageError: several judges gave the score, and the board does not say which of them counts.
    """
    made = []
    for plan in plans:
        signed = [one for one in signatures.values() if one.get("metric") == plan.card.name and one.get("convention") == plan.convention]
        judge = _judge_of(plan, scores, board, pinned) if plan.card.asks else ""
        own = [] if plan.card.asks else [Way(plan=plan)]
        told = [
            Way(plan=located(msgspec.structs.replace(plan, options=one["options"]), board), judge=judge)
            for one in signed
            if one.get("judge", "") == judge
        ]
        made.append([*own, *(way for way in told if way not in own)] or [Way(plan=plan, judge=judge)])
    return made


def _judge_of(plan: MetricPlan, scores: Sequence[Score], board: Board, pinned: BoardTask) -> str:
    """Return the judge of a metric's stated scores."""
    fitting = [score for score in scores if score.metric == plan.card.name and not score.subgroup and not wrong_convention(score, pinned)]
    judges = sorted({score.convention.get("by", "") for score in fitting})
    if len(judges) > 1:
        said = f"{plan.card.name} was judged by {' and by '.join(judges)}, and the board {board.name} does not say which counts"
        raise UsageError(said, hint=f'conventions = {{ by = "{judges[0]}" }} below its [[tasks]] in {board.path}')
    return judges[0] if judges else ""


def located(plan: MetricPlan, board: Board) -> MetricPlan:
    """Return a metric with the files that an entry knows by their names alone, taken from beside the board's rules if they are there."""
    there = {}
    for name in plan.card.paths:
        said = str(plan.options.get(name) or "")
        beside = Path(board.path).parent / Path(said).name
        if said and not Path(said).expanduser().exists() and beside.exists():
            there[name] = str(beside)
    return msgspec.structs.replace(plan, options={**plan.options, **there})


def portable_signatures(signatures: Signatures, registry: Registry) -> dict[str, dict[str, Any]]:
    """Return signatures in which options name files by their last part."""
    cards = _cards(signatures, registry)
    return {
        title: {**one, "options": portable(cards[title], one["options"])} if title in cards else dict(one)
        for title, one in signatures.items()
    }


def files_of(signatures: Signatures, registry: Registry) -> list[Path]:
    """Return the files and folders that metrics were given, as a run's own signatures name them."""
    cards = _cards(signatures, registry)
    named = [signatures[title]["options"].get(option) for title, card in cards.items() for option in card.paths]
    return [Path(str(path)).expanduser() for path in dict.fromkeys(named) if path]


def _cards(signatures: Signatures, registry: Registry) -> dict[str, MetricCard]:
    """Return title -> card of the metrics at hand whose options are stated."""
    known = {name: registry.get(MetricCard, name) for name in registry.names(MetricCard)}
    return {title: known[one["metric"]] for title, one in signatures.items() if one.get("metric") in known and one.get("options")}
