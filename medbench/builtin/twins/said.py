"""What a twin's report says: each sentence it can be made of, and the findings that the sentence states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from medbench.builtin.twins.chest import DEVICES, ENLARGED, SIDES, SPOTS, Chest
from medbench.builtin.twins.reports import report_of

FINDINGS = ("enlarged heart", "hyperinflation", "opacity", "nodule", "effusion", "pneumothorax", *DEVICES[1:])
"""What a drawn chest can show, without its place."""


def findings_of(chest: Chest) -> frozenset[str]:
    """Return what a chest shows, with its place where it has one: `effusion, right`, `nodule, left upper zone`."""
    found = {"enlarged heart"} if chest.ratio >= ENLARGED else set()
    found |= {"hyperinflation"} if chest.flat else set()
    found |= {f"{name}, {spot.side} {spot.zone} zone" for name, spot in (("opacity", chest.opacity), ("nodule", chest.nodule)) if spot}
    found |= {f"effusion, {side}" for side in chest.effusions}
    found |= {f"pneumothorax, {chest.pneumothorax}"} if chest.pneumothorax else set()
    return frozenset(found | ({chest.device} if chest.device else set()))


@cache
def places() -> tuple[str, ...]:
    """Return every finding with its place, sorted."""
    return tuple(sorted({finding for chest in _single_findings() for finding in findings_of(chest)}))


@cache
def vocabulary() -> dict[str, frozenset[str]]:
    """Return sentence, as `sentences` gives it -> what it states: that which all chests it is written of have in common."""
    stated: dict[str, frozenset[str]] = {}
    for chest in _single_findings():
        shown = findings_of(chest)
        for rng in _every_choice():
            for sentence in sentences(report_of(chest, rng)):
                stated[sentence] = stated.get(sentence, shown) & shown
    return stated


def sentences(text: str) -> list[str]:
    r"""Return the sentences of a report, lower-cased, on one line each, one mark for what was removed.

    >>> sentences("Lungs are without focal ___.  A nodule of\n 12 +/- 1 mm projects.")
    ['lungs are without focal xxxx.', 'a nodule of 12 ± 1 mm projects.']
    """
    plain = " ".join(text.lower().replace("___", "xxxx").replace("+/-", "±").split())
    plain = re.sub(r"(?<=[a-z])- (?=[a-z])", "-", plain)  # a line may break behind a hyphen
    return [sentence for sentence in re.split(r"(?<=\.) ", plain) if sentence]


def _single_findings() -> Iterator[Chest]:
    yield Chest()
    yield from (Chest(ratio=ratio) for ratio in (0.55, 0.59, 0.63))
    yield from (Chest(effusions={side: amount}) for side in SIDES for amount in (0.15, 0.3, 0.5))
    for spot in SPOTS:
        yield Chest(opacity=spot)
        yield Chest(nodule=spot)
    yield from (Chest(pneumothorax=side) for side in SIDES)
    yield from (Chest(device=device) for device in DEVICES[1:])
    yield Chest(flat=True)


class _Scripted:
    """Stands for a generator that always takes the same turn."""

    def __init__(self, turn: int, chance: float) -> None:
        self._turn, self._chance = turn, chance

    def integers(self, high: int) -> int:
        return self._turn % high

    def random(self) -> float:
        return self._chance


def _every_choice() -> Iterator[Any]:
    """Yield generators under which every wording of every sentence comes up: no list of wordings is longer than eight."""
    return (cast("Any", _Scripted(turn, chance)) for turn in range(8) for chance in (0.0, 0.9))
