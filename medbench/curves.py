"""Learning curves: the scores of a run over a condition that is a number of examples, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from medbench.cards import ScoreFacts
from medbench.figures import Curves, Line
from medbench.identity import safe_name
from medbench.record import Score
from medbench.types import as_text

GROWING = "shots"
"""The condition that a curve goes along."""
ALL = "all"


def learning_curves(scores: Sequence[Score], facts: Callable[[Score], ScoreFacts], n_train: int = 0) -> Iterator[Curves]:
    """Yield a figure for each primary score that was computed at two numbers of shots or more.

    Args:
        scores: The scores of a run.
        facts: What is declared of a score.
        n_train: Samples of the train split, where `shots=all` stands; 0: not known, and such points are not drawn.
    """
    found: dict[tuple[str, str, str], list[Score]] = {}
    for score in scores:
        if GROWING in score.condition and not score.subgroup and facts(score).primary:
            found.setdefault((score.metric, score.name, as_text(score.convention)), []).append(score)
    for (metric, name, convention), mine in found.items():
        lines = tuple(line for line in _lines(mine, n_train) if len(line.x) > 1)
        if lines:
            label = facts(mine[0]).label or name
            repeats = max(score.repeats for score in mine)
            mean = f"; each point is the mean of up to {repeats} draws" if repeats > 1 else ""
            yield Curves(
                name=safe_name("-".join(filter(None, (metric, name, convention, "learning-curve")))),
                title=f"{label} over the number of train samples",
                lines=lines,
                x_label="train samples",
                y_label=label,
                log_x=True,
                note=f"Bands: {mine[0].level:.0%} intervals over the evaluated samples{mean}.",
            )


def _lines(scores: Sequence[Score], n_train: int) -> Iterator[Line]:
    lines: dict[str, list[tuple[float, Score]]] = {}
    for score in scores:
        shots = score.condition[GROWING]
        x = float(n_train) if shots == ALL else float(shots) if isinstance(shots, int | float) else 0.0
        if x > 0:
            label = as_text({key: value for key, value in score.condition.items() if key != GROWING})
            lines.setdefault(label, []).append((x, score))
    for label, points in lines.items():
        points.sort(key=lambda point: point[0])
        yield Line(
            label=label,
            x=tuple(x for x, _ in points),
            y=tuple(score.value for _, score in points),
            low=tuple(score.low for _, score in points),
            high=tuple(score.high for _, score in points),
        )
