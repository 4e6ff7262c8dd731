"""Scores of the same thing repeated (several draws of train samples, several seeds): their mean, with the spread beside it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from medbench.record import Score
from medbench.reducing import ALIKE, LEVEL, Array, Target
from medbench.stats.bootstrap import percentile_interval
from medbench.types import as_text

Pair = tuple[Target, Target]


class Pool(Target):
    """Targets that differ in what they repeat alone. Its value and each replicate are means over them.

    The samples of all are resampled together, so the interval is that of the mean for these repetitions; how much a value
    varies from one repetition to the next is `spread`, and not in the interval.

    Args:
        members: One target or more, of one metric, resampled already.
        over: Conditions that tell them apart.
    """

    def __init__(self, members: Sequence[Target], over: Sequence[str]) -> None:
        first = members[0]
        self._members = list(members)
        self.one = copy.copy(first.one)
        self.one.condition = {name: value for name, value in first.one.condition.items() if name not in over}
        self.subgroup = first.subgroup
        self.rows = first.rows
        self.groups = first.groups
        self.point = {name: reduced for name, reduced in first.point.items() if all(name in member.point for member in members)}

    def value(self, name: str) -> float | None:
        """Return the mean of the point values; None when one of them is undefined."""
        values = [member.value(name) for member in self._members]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known and len(known) == len(values) else None

    def replicates(self, name: str) -> Array:
        """Return the mean over the members under each resample; empty when there are none."""
        drawn = [member.replicates(name) for member in self._members]
        return np.mean(drawn, axis=0) if all(len(one) for one in drawn) else np.empty(0)

    def used(self, name: str) -> Array:
        """Return the rows that enter a score, which are the same in every repetition."""
        return self._members[0].used(name)

    def scores(self, method: Callable[[int], str]) -> Iterator[Score]:
        """Yield one score for each name; what was counted is that of the repetition with the most."""
        told = [{score.name: score for score in member.scores(method)} for member in self._members]
        for name in [name for name in told[0] if all(name in one for one in told)]:
            yield self._score([one[name] for one in told])

    def _score(self, each: Sequence[Score]) -> Score:
        first = msgspec.structs.replace(each[0], condition=dict(self.one.condition))
        if len(each) == 1:
            return first
        name = first.name
        value = self.value(name)
        interval = percentile_interval(self.replicates(name), LEVEL) if value is not None and first.n_groups > 1 else None
        if interval == (value, value):
            interval = None if first.low is None or first.high is None else (first.low, first.high)
        known = [score.value for score in each if score.value is not None]
        counted = {field: max(getattr(score, field) for score in each) for field in _COUNTS}
        return msgspec.structs.replace(
            first,
            value=value,
            low=interval[0] if interval else None,
            high=interval[1] if interval else None,
            method=f"{first.method}, of the mean of {len(each)} repetitions" if interval and first.method else "",
            worst_case=None,
            repeats=len(each),
            spread=float(np.std(known, ddof=1)) if len(known) == len(each) else None,
            note=_note(each, interval),
            **counted,
        )


def _note(each: Sequence[Score], interval: tuple[float, float] | None) -> str:
    """Return what one of the repetitions has to say; that its groups are all alike no longer holds of a mean with a width."""
    told = [score.note for score in each if score.note and not (interval and interval[0] < interval[1] and score.note == ALIKE)]
    return told[0] if told else ""


_COUNTS = ("n_failed", "n_empty", "n_unparsable", "n_truncated", "n_unscored")


def pooled(targets: Sequence[Target], over: Sequence[str]) -> list[Target]:
    """Return the targets, those that differ in `over` alone taken together, in the order of their first ones."""
    return [_pool(members, over) for members in _together([(target,) for target in targets], over)] if over else list(targets)


def pooled_pairs(pairs: Sequence[Pair], over: Sequence[str]) -> list[Pair]:
    """Return pairs of targets, those whose sides differ in `over` alone taken together."""
    if not over:
        return list(pairs)
    return [(_pool([(a,) for a, _ in found], over), _pool([(b,) for _, b in found], over)) for found in _together(pairs, over)]


def pooled_parts(parts: Sequence[tuple[str, Sequence[Target]]], over: Sequence[str]) -> list[tuple[str, list[Target]]]:
    """Return (column, targets of its values), those of several repetitions taken together."""
    if not over:
        return [(column, list(targets)) for column, targets in parts]
    found: dict[tuple[str, str, str], list[Target]] = {}
    for column, targets in parts:
        for target in targets:
            found.setdefault((column, *_key(target, over)), []).append(target)
    return [(column, pooled(targets, over)) for (column, _, _), targets in found.items()]


def pooled_crossings(crossed: Sequence[tuple[str, Sequence[Pair]]], over: Sequence[str]) -> list[tuple[str, list[Pair]]]:
    """Return (column, pairs of targets of its values), those of several repetitions taken together."""
    if not over:
        return [(column, list(sides)) for column, sides in crossed]
    found: dict[tuple[str, str, str], list[Pair]] = {}
    for column, sides in crossed:
        for side in sides:
            found.setdefault((column, *_key(side[0], over)), []).append(side)
    return [(column, pooled_pairs(sides, over)) for (column, _, _), sides in found.items()]


def _together(items: Sequence[tuple[Target, ...]], over: Sequence[str]) -> list[list[tuple[Target, ...]]]:
    found: dict[tuple[str, str, str], list[tuple[Target, ...]]] = {}
    for item in items:
        found.setdefault((*_key(item[0], over), as_text(item[0].subgroup)), []).append(item)
    return list(found.values())


def _key(target: Target, over: Sequence[str]) -> tuple[str, str]:
    """Return metric and condition of a target, but for what is pooled."""
    return target.one.plan.slug, as_text({name: value for name, value in target.one.condition.items() if name not in over})


def _pool(members: Sequence[tuple[Target, ...]], over: Sequence[str]) -> Target:
    targets = [target for (target, *_) in members]
    return Pool(targets, over) if any(name in targets[0].one.condition for name in over) else targets[0]
