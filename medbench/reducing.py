"""From rows to scores: point values, replicates under shared weights, intervals and paired differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, TypeVar

import msgspec
import numpy as np

from medbench.measuring import Measured, take
from medbench.record import Contrast, Score
from medbench.stats.bootstrap import draws, group_index, percentile_interval
from medbench.stats.intervals import boundary_interval
from medbench.stats.multiplicity import holm
from medbench.stats.paired import Comparison, contrast
from medbench.types import Condition, as_text

RESAMPLES = 1_000
LEVEL = 0.95
BLOCK_CELLS = 4_000_000
"""Largest block of weights (resamples x rows): 32 MB, whatever the number of samples."""

FEW_GROUPS = 20
"""Below so many groups a bootstrap interval is too narrow, and says so."""
ALIKE = "rough interval: all groups are alike"
ONE_KIND = "undefined: one kind of truth alone here, in all or in one of its labels"
MOST_SUBGROUPS = 8
"""A column with more values is scored value by value, but not compared pair by pair."""
FEWEST = 8
"""With fewer pictures on a side a set metric has no interval."""

Array = np.ndarray[Any, np.dtype[Any]]
T = TypeVar("T")


def resample(targets: Sequence[Target], names: Sequence[str], seed: int, resamples: int = RESAMPLES) -> None:
    """Draw the weights of all groups once, in blocks, and reduce every target under the very same ones.

    Any two targets are paired by that, and a sample that is missing somewhere changes nobody else's draw.

    Args:
        targets: What is reduced; a metric that takes no weights is left alone.
        names: All groups of the manifest, sorted.
        seed: Seed of the draws.
        resamples: How many draws.
    """
    weighted = [target for target in targets if target.weighted]
    if not weighted or len(names) < 2:
        return
    widest = max(len(target.rows) for target in weighted)
    block = max(1, min(resamples, BLOCK_CELLS // max(1, widest, len(names))))
    alike: dict[bytes, list[Target]] = {}
    for target in weighted:
        alike.setdefault(target.groups.tobytes(), []).append(target)
    for counts in draws(len(names), resamples, seed, block):
        for same in alike.values():
            weights = counts[:, same[0].groups]
            weights.flags.writeable = False
            for target in same:
                target.resample(weights)


class Target:
    """Rows to be reduced together: a point value now, replicates as they come."""

    def __init__(self, one: Measured, answered: Array, all_rows: Array, subgroup: dict[str, str], names: Sequence[str]) -> None:
        self.one = one
        self.subgroup = subgroup
        self.rows = answered
        self._all = all_rows
        self.groups = group_index([one.samples[i].group for i in answered], names)
        """Where each row's group stands among the names."""
        self.point = self._reduced(answered) if len(answered) else {}
        self._replicates: dict[str, list[Array]] = {name: [] for name in self.point}

    def _reduced(self, answered: Array) -> Mapping[str, tuple[Any, Any]]:
        """Return the point values, name -> (value, used)."""
        self._taken = take(self.one.rows, answered)
        reduced: Mapping[str, tuple[Any, Any]] = self.one.metric.reduce(self._taken, np.ones((1, len(answered))))
        return reduced

    @property
    def weighted(self) -> bool:
        """Whether the metric takes weights, and there is something to weight."""
        return self.one.plan.card.weighted and len(self.rows) > 0

    def resample(self, weights: Array) -> None:
        """Reduce under one block of weights of the rows, (resamples, rows)."""
        for name, (values, _) in self.one.metric.reduce(self._taken, weights).items():
            if name in self._replicates:
                self._replicates[name].append(np.asarray(values))

    def replicates(self, name: str) -> Array:
        """Return the values of a score under all resamples; empty when there are none."""
        return np.concatenate(self._replicates[name]) if self._replicates.get(name) else np.empty(0)

    def value(self, name: str) -> float | None:
        """Return the point value; None when undefined."""
        if name not in self.point:
            return None
        value = float(np.asarray(self.point[name][0])[0])
        return value if np.isfinite(value) else None

    def used(self, name: str) -> Array:
        """Return the rows (as indices into all measured ones) that enter a score."""
        if name not in self.point:
            return np.empty(0, dtype=np.int64)
        used = np.asarray(self.point[name][1])
        return self.rows[used] if used.dtype == bool else self.rows[: int(used)]

    def scores(self, method: Callable[[int], str]) -> Iterator[Score]:
        """Yield a score for each name; `method` says in words how an interval over so many groups was made."""
        worst = self._worst()
        unparsable, unscored, lacking = self.one.flag("unparsable"), self.one.flag("unscored"), self.one.lacking()
        for name in dict.fromkeys([*self.point, *worst]):
            facts = self.one.plan.card.facts(name)
            value = self.value(name)
            used = self.used(name)
            n_groups = len({self.one.samples[i].group for i in used})
            interval, made = self._interval(name, n_groups, method)
            n_failed, at_worst = worst.get(name, (self._n_failed(), None))
            yield Score(
                metric=self.one.plan.card.name,
                name=name,
                value=value,
                low=interval[0] if interval else None,
                high=interval[1] if interval else None,
                level=LEVEL,
                unit=facts.unit,
                higher_is_better=facts.higher_is_better,
                n=len(used),
                n_groups=n_groups,
                n_failed=n_failed,
                n_empty=int(self.one.empty[used].sum()),
                n_unparsable=int(unparsable[used].sum()),
                n_truncated=int(self.one.truncated[used].sum()),
                n_unscored=int(lacking.get(name, unscored)[np.setdiff1d(self.rows, used)].sum()),
                worst_case=at_worst if n_failed and facts.worst is not None else None,
                convention=dict(self.one.convention),
                condition=dict(self.one.condition),
                subgroup=self.subgroup,
                method=made,
                note=self._note(value, interval, n_groups),
            )

    def _interval(self, name: str, n_groups: int, method: Callable[[int], str]) -> tuple[tuple[float, float] | None, str]:
        """Return the interval of a score and how it was made; a rate that is 0 or 1 throughout gets its exact one."""
        value, facts = self.value(name), self.one.plan.card.facts(name)
        interval = percentile_interval(self.replicates(name), LEVEL) if value is not None and n_groups > 1 else None
        if interval is None or value is None:
            return None, ""
        if interval == (value, value) and (facts.unit, facts.low, facts.high) == ("fraction", 0.0, 1.0) and value in {0.0, 1.0}:
            return boundary_interval(value, n_groups, LEVEL), f"Clopper-Pearson: all {n_groups:,} groups are alike"
        return interval, method(n_groups)

    def _n_failed(self) -> int:
        """Return how many samples of the subgroup failed, whatever the score."""
        unmeasured = sum(all(s.meta.get(c) == v for c, v in self.subgroup.items()) for s in self.one.unmeasured)
        return int(self.one.failed[self._all].sum()) + unmeasured

    def _worst(self) -> dict[str, tuple[int, float | None]]:
        """Return name -> (failed samples that would enter, value with them scored as badly as can be)."""
        if not self.one.failed[self._all].any():
            return {}
        reduced = self.one.metric.reduce(take(self.one.rows, self._all), np.ones((1, len(self._all))))
        made: dict[str, tuple[int, float | None]] = {}
        for name, (values, used) in reduced.items():
            mask = np.asarray(used)
            failed = self.one.failed[self._all]
            n_failed = int((failed & mask).sum()) if mask.dtype == bool else int(failed.sum())
            value = float(np.asarray(values)[0])
            made[name] = (n_failed, value if np.isfinite(value) else None)
        return made

    def _note(self, value: float | None, interval: tuple[float, float] | None, n_groups: int) -> str:
        if value is None:
            if not len(self.rows):
                return "every sample failed"
            return ONE_KIND if n_groups else "undefined: no sample enters this score"
        if interval is None:
            return "no interval: fewer than 2 groups" if self.one.plan.card.weighted else f"no interval: fewer than {FEWEST} pictures"
        if n_groups < FEW_GROUPS:
            return f"rough interval: only {n_groups} groups"
        return ALIKE if interval[0] == interval[1] else ""


def paired_targets(other: Measured, one: Measured, names: Sequence[str]) -> tuple[Target, Target]:
    """Return two measurements of one metric over the samples that both have answered, in the same order of samples.

    Args:
        other: Predictions under another condition, or of another run.
        one: What they are held against.
        names: All groups of the manifest, sorted.
    """
    places = {other.samples[i].id: i for i in other.answered}
    both = [(places[one.samples[i].id], i) for i in one.answered if one.samples[i].id in places]
    sides = np.array(both, dtype=np.int64).reshape(-1, 2)
    return Target(other, sides[:, 0], sides[:, 0], {}, names), Target(one, sides[:, 1], sides[:, 1], {}, names)


def condition_contrasts(other: Target, one: Target, method: Callable[[int], str]) -> Iterator[Contrast]:
    """Yield the paired differences between two conditions of one metric, over the samples that both have."""
    for name in other.point:
        if name in one.point:
            yield contrast_of(name, (other, one), _sides(other, one), {}, method)


def subgroup_contrasts(column: str, targets: Sequence[Target], method: Callable[[int], str]) -> Iterator[Contrast]:
    """Yield the differences between every two values of a column, for primary scores, with p-values adjusted by Holm.

    "Significant in one subgroup and not in the other" is no difference; this is. Shared draws take into account that the
    samples of one group may lie in several subgroups.
    """
    for name in _primary(targets[0]):
        made = [
            contrast_of(
                name, pair, (f"{column}={pair[0].subgroup[column]}", f"{column}={pair[1].subgroup[column]}"), pair[0].one.condition, method
            )
            for pair in _pairs(targets)
        ]
        yield from _with_holm(made)


def interactions(column: str, sides: Sequence[tuple[Target, Target]], method: Callable[[int], str]) -> Iterator[Contrast]:
    """Yield whether two conditions differ more in one subgroup than in another: differences of differences, adjusted by Holm.

    Args:
        column: What the subgroups are values of.
        sides: For each value, the two conditions over the samples of that value that both have.
        method: Says in words how an interval over so many groups was made.
    """
    for name in _primary(sides[0][0]):
        made = []
        for (a, b), (c, d) in _pairs(sides):
            first, second = _sides(a, b)
            named = f"({first} - {second}) at {column}={a.subgroup[column]}", f"{column}={c.subgroup[column]}"
            made.append(contrast_of(name, (a, b, c, d), named, {}, method))
        yield from _with_holm(made)


def _primary(target: Target) -> list[str]:
    return [name for name in target.point if target.one.plan.card.facts(name).primary]


def _pairs(members: Sequence[T]) -> list[tuple[T, T]]:
    return list(combinations(members, 2)) if len(members) <= MOST_SUBGROUPS else []


def _sides(other: Target, one: Target) -> tuple[str, str]:
    return as_text(other.one.condition), as_text(one.one.condition) or "images=true"


def _with_holm(made: Sequence[Contrast]) -> Iterator[Contrast]:
    adjusted = holm(np.array([np.nan if one.p is None else one.p for one in made]))
    for one, p in zip(made, adjusted, strict=True):
        yield msgspec.structs.replace(one, p=None if one.p is None else float(p))


def contrast_of(
    name: str, targets: Sequence[Target], sides: tuple[str, str], condition: Condition, method: Callable[[int], str]
) -> Contrast:
    """Return the difference of one score between two targets, or of two such differences between four, under shared draws."""
    signs = (1, -1, -1, 1)[: len(targets)]
    values = [value for target in targets if (value := target.value(name)) is not None]
    replicates = [target.replicates(name) for target in targets]
    defined = len(values) == len(targets)
    entering = [target.one.samples[i] for target in targets for i in target.used(name)]
    groups = {sample.group for sample in entering}
    found = None
    if defined and len(groups) > 1 and all(len(side) for side in replicates):
        found = contrast(values, replicates, signs, level=LEVEL)
    card = targets[0].one.plan.card
    return Contrast(
        metric=card.name,
        name=name,
        one=sides[0],
        other=sides[1],
        difference=float(np.dot(values, signs)) if defined else None,
        low=found.low if found else None,
        high=found.high if found else None,
        level=LEVEL,
        p=found.p if found else None,
        unit=card.facts(name).unit,
        n=len({sample.id for sample in entering}),
        n_groups=len(groups),
        convention=dict(targets[0].one.convention),
        condition=condition,
        method=f"paired {method(len(groups))}" if found and found.low is not None else "",
        note=_contrast_note(found, len(groups)),
    )


def _contrast_note(found: Comparison | None, n_groups: int) -> str:
    if found is None:
        return "no interval: a side is undefined or has fewer than 2 groups"
    return found.note or (f"rough interval: only {n_groups} groups" if n_groups < FEW_GROUPS else "")
