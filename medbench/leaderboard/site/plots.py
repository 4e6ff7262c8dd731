"""The pictures of the site: cost against quality, and learning curves."""

from __future__ import annotations

import msgspec

from medbench.cards import ScoreFacts
from medbench.curves import learning_curves
from medbench.drawing import can_draw, draw
from medbench.figures import Points
from medbench.identity import safe_name
from medbench.leaderboard.board import Board
from medbench.leaderboard.building import Held
from medbench.leaderboard.entries import Cost, Entry
from medbench.leaderboard.views import heading
from medbench.record import Score

MOST_CURVES = 60
"""Learning curves that are drawn for a board; every further one stands in its table."""
COSTS = {"usd": "US dollars", "seconds": "seconds", "tokens": "tokens"}


class Plots:
    """Draws, where matplotlib is installed, and no more than a board can use."""

    def __init__(self) -> None:
        self._able = can_draw()
        self._drawn: dict[str, int] = {}

    def cost(self, held: Held) -> bytes:
        """Return the scatter of cost against the primary score; empty where fewer than two systems state a cost."""
        unit, known = costs(held)
        if not self._able or len(known) < 2:
            return b""
        figure = Points(
            name="cost",
            title="",
            x=tuple(cost for _, cost, _ in known),
            y=tuple(value for _, _, value in known),
            labels=tuple(name for name, _, _ in known),
            x_label=f"cost of the predictions, {COSTS[unit]}",
            y_label=heading(held.table, held.board.primary),
        )
        return draw(figure)

    def curves(self, entry: Entry, board: Board) -> dict[str, bytes]:
        """Return file name -> picture of each learning curve of an entry, for as many entries as a page can use."""
        found: dict[str, bytes] = {}
        if not self._able:
            return found
        scores_shown = {column.score for column in board.columns}

        def shown(score: Score) -> ScoreFacts:
            key = f"{score.metric}/{score.name}"
            return ScoreFacts(primary=key in scores_shown, label=score.name if score.name == score.metric else key)

        for result in entry.results:
            scores = [*(cell.score for cell in result.cells), *result.others]
            for figure in learning_curves(scores, shown, result.data.n_train):
                if self._drawn.get(board.name, 0) < MOST_CURVES:
                    self._drawn[board.name] = self._drawn.get(board.name, 0) + 1
                    name = f"{entry.id}.{safe_name(result.task)}.{figure.name}"
                    found[f"{name}.svg"] = draw(msgspec.structs.replace(figure, name=name))
        return found


def costs(held: Held) -> tuple[str, list[tuple[str, float, float]]]:
    """Return the unit that most systems state, and (system, cost, primary value as printed) of each that states it."""
    found: dict[str, list[tuple[str, float, float]]] = {unit: [] for unit in COSTS}
    task = held.board.primary.partition(":")[0]
    for entry in held.entries:
        result, cell = entry.result(task), entry.cell(held.board.primary)
        if result is None or cell is None or cell.score.value is None:
            continue
        for unit, amount in _amounts(result.cost).items():
            found[unit].append((entry.system, amount, cell.score.value * (100 if cell.score.unit == "fraction" else 1)))
    unit = max(COSTS, key=lambda unit: len(found[unit]))
    return unit, found[unit]


def _amounts(cost: Cost) -> dict[str, float]:
    tokens = float(sum(cost.usage.values()))
    stated = {"usd": cost.usd, "seconds": cost.seconds, "tokens": tokens or None}
    return {unit: amount for unit, amount in stated.items() if amount is not None}
