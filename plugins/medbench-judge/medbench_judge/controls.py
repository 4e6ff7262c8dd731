"""Which samples serve as controls, chosen by their names alone: shuffled references, repeated questions, canaries."""

from __future__ import annotations

from collections.abc import Sequence

from medbench.identity import hash_order
from medbench.types import Pair, Struct
from medbench_judge.canaries import NAMES


class Controls(Struct):
    """How many samples each control is tried on."""

    shuffled: int = 0
    """Judged against the reference of another group as well: a judge that reads falls to the floor."""
    canaries: int = 0
    """Judged with a text behind the candidate that pleads for it."""
    again: int = 0
    """Asked the same question again."""
    times: int = 1
    """How many times again."""

    @property
    def calls(self) -> int:
        """Questions on top of one for each sample, where there are samples enough."""
        return self.shuffled + self.canaries + self.again * self.times


def chosen(pairs: Sequence[Pair], count: int) -> list[int]:
    """Return the places of the first `count` samples that have an answer, in the order of the hashes of their names."""
    place = {pair.sample.id: at for at, pair in enumerate(pairs)}
    kept = (place[name] for name in hash_order(place))
    return [at for at in kept if pairs[at].value.text.strip()][:count]


def partners(pairs: Sequence[Pair], places: Sequence[int]) -> dict[int, int]:
    """Return place -> the next sample in hash order that is of another group and has another reference; none: left out."""
    order = [at for at in chosen(pairs, len(pairs)) if pairs[at].sample.references]
    standing = {at: number for number, at in enumerate(order)}
    made: dict[int, int] = {}
    for at in places:
        mine = pairs[at].sample
        turned = (order[(standing[at] + step) % len(order)] for step in range(1, len(order)))
        other = next((n for n in turned if _is_another(mine, pairs[n].sample)), None)
        if other is not None:
            made[at] = other
    return made


def _is_another(mine: object, other: object) -> bool:
    return mine.group != other.group and mine.references != other.references  # type: ignore[attr-defined]


def canary_of(number: int) -> str:
    """Return the name of the canary of the n-th sample chosen: they take turns."""
    return NAMES[number % len(NAMES)]
