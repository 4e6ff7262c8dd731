"""The consistency study: every metric, judge and person against the people, with intervals over groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from medbench.agreement.voices import Kind, Panel, Voice, mean_of
from medbench.stats.agreement import icc_agreement, krippendorff_alpha, limits_of_agreement, quadratic_kappa, same_share
from medbench.stats.bootstrap import Array, draws, once, percentile_interval
from medbench.stats.correlation import kendall, spearman
from medbench.types import Struct

RESAMPLES = 1_000
LEVEL = 0.95
BLOCK = 125
FEWEST = 3
"""Fewer units in common say nothing of agreement."""

RANKS = ("spearman", "kendall")
"""Statistics that any two voices have."""
GRADES = ("kappa", "alpha", "icc")
"""Statistics of two voices on one scale: quadratic-weighted kappa, ordinal alpha, ICC(2,1)."""

Replicates = dict[str, Array]
"""Statistic -> its value on the sample itself, then under each resample."""


class Estimate(Struct):
    """A statistic and its interval."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Limits(Struct):
    """Bland and Altman's figures, in grades."""

    bias: Estimate
    low: Estimate
    """Lower 95 % limit of agreement."""
    high: Estimate
    n: int


class Agreement(Struct):
    """How far one voice agrees with people: each statistic is the mean over the people it shares units with."""

    voice: str
    kind: Kind
    n: int
    """Units that it and a person judged, at most."""
    n_raters: int
    statistics: dict[str, Estimate]
    limits: Limits | None = None
    """Against the mean of the people (for a person: of the others), for voices on their scale."""
    lower_is_better: bool = False
    """The metric says so itself; it was turned round, so that agreement is positive."""


class PairAgreement(Struct):
    """How far two voices agree."""

    one: str
    other: str
    n: int
    statistics: dict[str, Estimate]


class Stability(Struct):
    """How far a judge agrees with itself when it is asked the same thing again."""

    voice: str
    calls: int
    n: int
    same: Estimate
    """Share of pairs of calls that gave the same verdict."""
    alpha: Estimate
    """Ordinal alpha over calls."""


class Study(Struct):
    """All of it."""

    scale: str
    n_units: int
    n_groups: int
    raters: tuple[str, ...]
    agreements: tuple[Agreement, ...]
    ceiling: dict[str, Estimate]
    """People against people: each statistic's mean over all pairs of them; empty with one person."""
    people_alpha: Estimate | None
    """Ordinal alpha of all people together."""
    pairs: tuple[PairAgreement, ...]
    stability: tuple[Stability, ...]
    method: str
    notes: tuple[str, ...]


def study(panel: Panel, seed: int = 0) -> Study:
    """Return the study of a panel.

    Args:
        panel: Everybody's verdicts.
        seed: Seed of the resamples.
    """
    weights = _weights(panel, seed)
    pairs: dict[tuple[str, str], tuple[int, Replicates]] = {}
    for one, other in combinations(panel.raters, 2):
        pairs[one.name, other.name] = pairs[other.name, one.name] = _pair(one, other, panel, weights)
    for voice in panel.others:
        for rater in panel.raters:
            pairs[voice.name, rater.name] = _pair(voice, rater, panel, weights)
    among = [pairs[one.name, other.name] for one, other in combinations(panel.raters, 2)]
    kept = {(one, other) for one, other in pairs if one not in {r.name for r in panel.raters} or one < other}
    people = np.stack([rater.values for rater in panel.raters])
    return Study(
        scale=panel.scale.name,
        n_units=len(panel.units),
        n_groups=len(panel.groups),
        raters=tuple(rater.name for rater in panel.raters),
        agreements=tuple(_against(voice, panel, pairs, weights) for voice in (*panel.others, *panel.raters)),
        ceiling=_means([replicates for n, replicates in among if n >= FEWEST]),
        people_alpha=_estimate(lambda w: krippendorff_alpha(people, w, "ordinal"), weights) if len(people) > 1 else None,
        pairs=tuple(
            PairAgreement(one=one, other=other, n=n, statistics={name: _interval(values) for name, values in replicates.items()})
            for (one, other), (n, replicates) in pairs.items()
            if (one, other) in kept
        ),
        stability=tuple(_stability(voice, weights) for voice in panel.others if voice.repeats is not None),
        method=f"percentile bootstrap over {len(panel.groups):,} groups, {RESAMPLES:,} resamples, seed {seed}",
        notes=tuple(_notes(panel)),
    )


def _weights(panel: Panel, seed: int) -> Array:
    """Return the weights of the units: the sample itself first, then every resample of whole groups."""
    drawn = [counts[:, panel.index] for counts in draws(len(panel.groups), RESAMPLES, seed, BLOCK)]
    return np.concatenate([once(len(panel.units)), *(drawn if len(panel.groups) > 1 else [])])


def _pair(one: Voice, other: Voice, panel: Panel, weights: Array) -> tuple[int, Replicates]:
    both = ~(np.isnan(one.values) | np.isnan(other.values))
    n = int(both.sum())
    names = (*RANKS, *(GRADES if one.on_scale and other.on_scale else ()))
    if n < FEWEST:
        return n, {name: np.full(len(weights), np.nan) for name in names}
    x, y, counts = one.values[both], other.values[both], weights[:, both]
    ratings, grades = np.stack([x, y]), panel.scale.grades
    figures: dict[str, Callable[[Array], Array]] = {
        "spearman": lambda w: spearman(x, y, w),
        "kendall": lambda w: kendall(x, y, w),
        "kappa": lambda w: quadratic_kappa(x, y, grades, w),
        "alpha": lambda w: krippendorff_alpha(ratings, w, "ordinal"),
        "icc": lambda w: icc_agreement(ratings, w),
    }
    return n, {name: figures[name](counts) for name in names}


def _against(voice: Voice, panel: Panel, pairs: dict[tuple[str, str], tuple[int, Replicates]], weights: Array) -> Agreement:
    people = [rater for rater in panel.raters if rater is not voice]
    met = [pairs[voice.name, rater.name] for rater in people]
    shared = [(n, replicates) for n, replicates in met if n >= FEWEST]
    limits = None
    if voice.on_scale and people:
        limits = _limits(voice.values, mean_of([rater.values for rater in people]), weights)
    return Agreement(
        voice=voice.name,
        kind=voice.kind,
        n=max((n for n, _ in met), default=0),
        n_raters=len(shared),
        statistics=_means([replicates for _, replicates in shared]),
        limits=limits,
        lower_is_better=voice.lower,
    )


def _means(several: Sequence[Replicates]) -> dict[str, Estimate]:
    """Return each statistic's mean over pairs of voices; a pair that does not have it, or where it is undefined, is left out."""
    names = dict.fromkeys(name for replicates in several for name in replicates)
    return {name: _interval(mean_of([replicates[name] for replicates in several if name in replicates])) for name in names}


def _limits(values: Array, people: Array, weights: Array) -> Limits:
    figures = limits_of_agreement(values, people, weights)
    bias, low, high = (_interval(one) for one in figures)
    return Limits(bias=bias, low=low, high=high, n=int((~(np.isnan(values) | np.isnan(people))).sum()))


def _stability(voice: Voice, weights: Array) -> Stability:
    calls: Any = voice.repeats
    return Stability(
        voice=voice.name,
        calls=len(calls),
        n=int(((~np.isnan(calls)).sum(axis=0) >= 2).sum()),
        same=_estimate(lambda w: same_share(calls, w), weights),
        alpha=_estimate(lambda w: krippendorff_alpha(calls, w, "ordinal"), weights),
    )


def _estimate(statistic: Callable[[Array], Array], weights: Array) -> Estimate:
    return _interval(statistic(weights))


def _interval(values: Array) -> Estimate:
    """Return the first value, the sample's own, with the percentile interval of the rest."""
    if np.isnan(values[0]):
        return Estimate(value=None)
    found = percentile_interval(values[1:], LEVEL) if len(values) > 1 else None
    return Estimate(value=float(values[0]), low=found[0] if found else None, high=found[1] if found else None)


def _notes(panel: Panel) -> list[str]:
    said = []
    if len(panel.raters) == 1:
        said.append("one rater: there is no ceiling, since people cannot be held against people")
    if len(panel.groups) < 20:
        said.append(f"rough intervals: only {len(panel.groups)} groups")
    for run, kept in panel.runs.items():
        said += [f"{name} of {run} is left out: {why}" for name, why in sorted(kept.not_measured.items())]
    constant = [voice.name for voice in panel.others if len(set(voice.values[~np.isnan(voice.values)].tolist())) == 1]
    said += [f"{name} gave every unit the same: it has no rank to correlate" for name in constant]
    return said
