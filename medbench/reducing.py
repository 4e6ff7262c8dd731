"""From rows to scores: point values, replicates under shared weights, intervals and paired differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from medbench.measuring import Measured, take
from medbench.record import Contrast, Score
from medbench.stats.bootstrap import draws, group_index, percentile_interval
from medbench.types import as_text

RESAMPLES = 1_000
LEVEL = 0.95
BLOCK_CELLS = 4_000_000
"""Largest block of weights (resamples x rows): 32 MB, whatever the number of samples."""

Array = np.ndarray[Any, np.dtype[Any]]


def resample(targets: Sequence[Target], names: Sequence[str], seed: int) -> None:
    """Draw the weights of all groups once, in blocks, and reduce every target under the very same ones.

    Any two targets are paired by that, and a sample that is missing somewhere changes nobody else's draw.

    Args:
        targets: What is reduced; a metric that takes no weights is left alone.
        names: All groups of the manifest, sorted.
        seed: Seed of the draws.
    """
    weighted = [target for target in targets if target.weighted]
    if not weighted or len(names) < 2:
        return
    widest = max(len(target.rows) for target in weighted)
    block = max(1, min(RESAMPLES, BLOCK_CELLS // max(1, widest, len(names))))
    for counts in draws(len(names), RESAMPLES, seed, block):
        for target in weighted:
            target.resample(counts)


class Target:
    """Rows to be reduced together: a point value now, replicates as they come."""

    def __init__(self, one: Measured, answered: Array, all_rows: Array, subgroup: dict[str, str], names: Sequence[str]) -> None:
        self.one = one
        self.subgroup = subgroup
        self.rows = answered
        self._all = all_rows
        self._index = group_index([one.samples[i].group for i in answered], names)
        self._taken = take(one.rows, answered)
        self.point = one.metric.reduce(self._taken, np.ones((1, len(answered)))) if len(answered) else {}
        self._replicates: dict[str, list[Array]] = {name: [] for name in self.point}
        self.n_groups = len(np.unique(self._index))

    @property
    def weighted(self) -> bool:
        """Whether the metric takes weights, and there is something to weight."""
        return self.one.plan.card.weighted and len(self.rows) > 0

    def resample(self, counts: Array) -> None:
        """Reduce under one block of group counts."""
        for name, (values, _) in self.one.metric.reduce(self._taken, counts[:, self._index]).items():
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
        used = np.asarray(self.point[name][1])
        return self.rows[used] if used.dtype == bool else self.rows[: int(used)]

    def scores(self, method: str) -> Iterator[Score]:
        """Yield a score for each name."""
        worst = self._worst()
        unparsable, unscored = self.one.flag("unparsable"), self.one.flag("unscored")
        for name in self.point or worst:
            facts = self.one.plan.card.facts(name)
            value = self.value(name)
            used = self.used(name) if name in self.point else np.empty(0, dtype=np.int64)
            interval = percentile_interval(self.replicates(name), LEVEL) if value is not None else None
            n_failed, at_worst = worst.get(name, (int(self.one.failed[self._all].sum()) + self.one.n_unmeasured, None))
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
                n_groups=len({self.one.samples[i].group for i in used}),
                n_failed=n_failed,
                n_empty=int(self.one.empty[used].sum()),
                n_unparsable=int(unparsable[used].sum()),
                n_truncated=int(self.one.truncated[used].sum()),
                n_unscored=int(unscored[self.rows].sum()),
                worst_case=at_worst if n_failed and facts.worst is not None else None,
                convention=dict(self.one.plan.convention),
                condition=dict(self.one.condition),
                subgroup=self.subgroup,
                method=method if interval else "",
                note=self._note(value, interval),
            )

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

    def _note(self, value: float | None, interval: tuple[float, float] | None) -> str:
        if value is None:
            return "every sample failed" if not len(self.rows) else "undefined: no sample enters this score"
        if interval is None:
            return "no interval: the metric takes no weights" if not self.weighted else "no interval: fewer than 2 groups"
        return ""


def contrasts(other: Target, one: Target, method: str) -> Iterator[Contrast]:
    """Yield the paired differences between two conditions of one metric."""
    for name in other.point:
        if name not in one.point:
            continue
        values = other.value(name), one.value(name)
        replicates = other.replicates(name) - one.replicates(name)
        interval = percentile_interval(replicates, LEVEL) if len(replicates) else None
        yield Contrast(
            metric=one.one.plan.card.name,
            name=name,
            one=as_text(other.one.condition),
            other=as_text(one.one.condition) or "images=true",
            difference=None if values[0] is None or values[1] is None else values[0] - values[1],
            low=interval[0] if interval else None,
            high=interval[1] if interval else None,
            level=LEVEL,
            unit=one.one.plan.card.facts(name).unit,
            n=len(one.used(name)),
            n_groups=one.n_groups,
            convention=dict(one.one.plan.convention),
            method=f"paired {method}" if interval else "",
        )
