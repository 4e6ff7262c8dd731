"""The samples behind a difference: whose own score changed most from one run to another."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from medbench.identity import digest
from medbench.measuring import Measured
from medbench.report.measured import Kept, own_values
from medbench.report.samples import shown_reference, shown_value
from medbench.types import Prediction, Struct, as_text


class Change(Struct):
    """A sample that one run scores otherwise than another."""

    id: str
    one: str
    other: str
    """Letters of the runs."""
    value_one: float
    value_other: float
    condition: str = ""
    question: str = ""
    reference: str = ""
    answer_one: str = ""
    answer_other: str = ""


class Changes(Struct):
    """Samples that changed, the most first, and how many there are."""

    by: str
    first: tuple[Change, ...]
    better: int = 0
    """Samples on which `one` is better."""
    worse: int = 0
    same: int = 0


def changes(run: Kept, first: Kept, pairs: Sequence[tuple[Measured, Measured]], letters: tuple[str, str], most: int) -> list[Changes]:
    """Return what changed by the first score that has a value for each sample, a primary one if there is one; nothing where none has.

    Args:
        run: One run.
        first: The run it is held against.
        pairs: What both measured alike, the run's first.
        letters: What the two are called.
        most: How many samples are listed.
    """
    found = [(pair, name) for pair in pairs for name in own_values(pair[0])]
    found.sort(key=lambda item: not item[0][0].plan.card.facts(item[1]).primary)
    return [_changes(run, first, pair, name, letters, most) for pair, name in found[:1]]


def without_texts(found: Changes) -> Changes:
    """Return changes without what data and models say: ids and scores alone."""
    return msgspec.structs.replace(found, first=tuple(map(bare, found.first)))


def bare(change: Change) -> Change:
    """Return a change without its texts."""
    return msgspec.structs.replace(change, question="", reference="", answer_one="", answer_other="")


def _changes(run: Kept, first: Kept, pair: tuple[Measured, Measured], name: str, letters: tuple[str, str], most: int) -> Changes:
    mine, theirs = pair
    values = own_values(mine)[name]
    before = {sample.id: float(value) for sample, value in zip(theirs.samples, own_values(theirs)[name], strict=True)}
    sign = -1.0 if mine.plan.card.facts(name).higher_is_better is False else 1.0
    both = [
        (sample.id, float(value), before[sample.id])
        for sample, value in zip(mine.samples, values, strict=True)
        if np.isfinite(value) and np.isfinite(before.get(sample.id, np.nan))
    ]
    moved = [item for item in both if abs(item[1] - item[2]) > 1e-12]
    moved.sort(key=lambda item: (-abs(item[1] - item[2]), digest(item[0])))
    condition = as_text(mine.condition)
    answers = [_answers(kept, condition, {id for id, _, _ in moved[:most]}) for kept in (run, first)]
    better = sum(sign * (after - earlier) > 0 for _, after, earlier in moved)
    return Changes(
        by=f"{mine.plan.card.name}/{name}",
        first=tuple(
            Change(
                id=id,
                one=letters[0],
                other=letters[1],
                value_one=after,
                value_other=earlier,
                condition=condition,
                question=run.samples[id].prompt,
                reference=shown_reference(run.samples[id]),
                answer_one=answers[0].get(id, ""),
                answer_other=answers[1].get(id, ""),
            )
            for id, after, earlier in moved[:most]
        ),
        better=better,
        worse=len(moved) - better,
        same=len(both) - len(moved),
    )


def _answers(kept: Kept, condition: str, wanted: set[str]) -> dict[str, str]:
    found: dict[str, Prediction] = {p.sample: p for p in kept.predictions if p.sample in wanted and as_text(p.condition) == condition}
    return {id: shown_value(prediction.value) for id, prediction in found.items()}
