"""From features of two sets to scores: FID and kin, which take no weights and get intervals from sub-samples of both sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from medbench.identity import sample_seed
from medbench.measuring import Measured
from medbench.record import Score
from medbench.reducing import FEWEST, Array, Target
from medbench.stats.distributions import normal_quantile
from medbench.stats.intervals import boundary_interval
from medbench.types import Sample

SUBSAMPLES = 50


class SetTarget(Target):
    """Pictures reduced together: the drawn ones of a subgroup against the real ones of the same subgroup.

    Args:
        one: What was measured.
        answered: Indices of the drawn pictures that are there.
        all_rows: Those, and where drawing failed.
        subgroup: Column -> value; the real pictures must have the value too, unless none of them has the column.
        names: All groups of the manifest, sorted.
        seed: Seed of the sub-samples; the same pictures are drawn for every model on a manifest.
    """

    def __init__(
        self, one: Measured, answered: Array, all_rows: Array, subgroup: dict[str, str], names: Sequence[str], seed: int = 0
    ) -> None:
        self.real = _of_subgroup(one.reals.evaluated, subgroup)
        self._seed = seed
        one.empty = one.flag("empty")
        super().__init__(one, answered, all_rows, subgroup, names)

    def _reduced(self, answered: Array) -> dict[str, tuple[Any, Any]]:
        if not len(self.real):
            return {}
        values = self.one.metric.reduce_sets(self.one.rows, answered, self.real)
        return {name: (np.array([value], dtype=float), np.ones(len(answered), dtype=bool)) for name, value in values.items()}

    @property
    def weighted(self) -> bool:
        """Never: duplicates bias a distance of sets."""
        return False

    def _worst(self) -> dict[str, tuple[int, float | None]]:
        return {}

    def _note(self, value: float | None, interval: tuple[float, float] | None, n_groups: int) -> str:
        """Return why there is no value, or no interval."""
        if not len(self.rows):
            return super()._note(value, interval, n_groups)
        return "undefined: too few pictures" if value is None else "no interval: too few pictures"

    def scores(self, method: Callable[[int], str]) -> Iterator[Score]:
        """Yield a score for each name, with the interval of its sub-samples and what the metric says beside it."""
        spread, made = self._spread()
        said = self.one.metric.notes(self.one.rows, self.rows, self.real) if hasattr(self.one.metric, "notes") and self.point else {}
        for score in super().scores(method):
            sd = spread.get(score.name, float("nan"))
            note = "; ".join(filter(None, ("" if np.isfinite(sd) else score.note, said.get(score.name, ""))))
            if score.value is None or not np.isfinite(sd):
                yield msgspec.structs.replace(score, note=note)
                continue
            low, high, how = self._around(score, sd)
            yield msgspec.structs.replace(score, low=low, high=high, method=how or made, note=note)

    def _around(self, score: Score, sd: float) -> tuple[float, float, str]:
        """Return the interval of a value, and how it was made where not by the spread: a rate that never varied gets its exact one."""
        facts, value = self.one.plan.card.facts(score.name), score.value
        assert value is not None
        if not sd and (facts.unit, facts.low, facts.high) == ("fraction", 0.0, 1.0) and value in {0.0, 1.0}:
            n_groups = min(score.n_groups, len({self.one.reals.evaluated[i].group for i in self.real}))
            return *boundary_interval(value, n_groups, score.level), f"Clopper-Pearson: all {n_groups:,} groups are alike"
        half = normal_quantile(0.5 + score.level / 2) * sd
        low, high = value - half, value + half
        return low if facts.low is None else max(facts.low, low), high if facts.high is None else min(facts.high, high), ""

    def _spread(self) -> tuple[dict[str, float], str]:
        """Return name -> standard deviation of the full-size value, estimated from sub-samples, and how it was made.

        Sub-samples of a part f of both sets, without replacement, vary (1 - f) / f times as much as the whole does where the
        value depends on its pictures one by one; what varies faster than 1/n (a distance near zero) is overstated, never
        understated. Whole groups are taken, and the same ones of both sets: prompts of one picture are no independent draws.
        """
        metric, rows = self.one.metric, self.one.rows
        fraction = float(metric.fraction(rows, self.rows, self.real)) if hasattr(metric, "fraction") else 0.5
        sizes = [int(fraction * len(side)) for side in (self.rows, self.real)]
        if not self.point or min(sizes) < FEWEST / 2:
            return {}, ""
        drawn_keys = _keys(self.one.samples[i] for i in self.rows)
        real_keys = _keys(self.one.reals.evaluated[i] for i in self.real)
        found: dict[str, list[float]] = {}
        for salt in np.random.default_rng(self._seed).integers(0, 2**63, SUBSAMPLES, dtype=np.uint64):
            drawn = self.rows[_first(drawn_keys, salt, sizes[0])]
            real = self.real[_first(real_keys, salt, sizes[1])]
            for name, value in self._of_part(drawn, real).items():
                found.setdefault(name, []).append(value)
        scale = np.sqrt(fraction / (1 - fraction))
        made = f"{SUBSAMPLES} sub-samples of {sizes[0]:,} drawn and {sizes[1]:,} real pictures, rescaled, centred on the value"
        return {name: float(np.std(values, ddof=1) * scale) for name, values in found.items()}, made

    def _of_part(self, drawn: Array, real: Array) -> Mapping[str, float]:
        metric = self.one.metric
        if hasattr(metric, "reduce_part"):
            made: Mapping[str, float] = metric.reduce_part(self.one.rows, drawn, real, tuple(self.point))
        else:
            made = metric.reduce_sets(self.one.rows, drawn, real)
        return made


def _of_subgroup(reals: Sequence[Sample], subgroup: Mapping[str, str]) -> Array:
    """Return the indices of the real pictures of a subgroup; a column that none of them has divides the drawn ones alone."""
    wanted = {column: value for column, value in subgroup.items() if any(column in real.meta for real in reals)}
    chosen = [i for i, real in enumerate(reals) if all(real.meta.get(column) == value for column, value in wanted.items())]
    return np.array(chosen, dtype=np.int64)


def _keys(samples: Iterable[Sample]) -> Array:
    """Return a random number for each sample that depends on its group alone: a missing picture moves no other."""
    return np.array([sample_seed(0, sample.group) for sample in samples], dtype=np.uint64)


def _first(keys: Array, salt: np.uint64, size: int) -> Array:
    """Return the sorted places of the first so many in the shuffle that belongs to the salt (splitmix64 of key and salt)."""
    mixed = keys ^ salt
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.sort(np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable")[:size])
