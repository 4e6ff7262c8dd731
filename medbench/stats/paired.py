"""Two systems on the same samples: differences with intervals, and tests that exchange whole groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from medbench.stats.bootstrap import Array, percentile_interval
from medbench.stats.distributions import chi_square_tail, coin_two_sided
from medbench.types import Struct

_BLOCK = 128


class Comparison(Struct, frozen=True):
    """A difference, how sure it is, and how that was found; None: undefined, `note` says why."""

    difference: float | None
    method: str
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    p: float | None = None
    """Two-sided; a p-value from B random draws is at least 1 / (B + 1)."""
    note: str = ""


def contrast(points: Sequence[float], replicates: Sequence[Array], signs: Sequence[float] = (1, -1), level: float = 0.95) -> Comparison:
    """Return a weighted sum of figures, by default one minus other, from replicates under shared draws.

    Only replicates of the same resamples, in the same order, are paired; then what the systems have in common cancels out.

    Args:
        points: the figures on the sample itself.
        replicates: the same figures under each resample, each (resamples,); NaN in any of them drops the resample from all.
        signs: what each figure is multiplied with: (1, -1) is a difference, (1, -1, -1, 1) a difference of differences.
        level: nominal coverage, between 0 and 1.

    Raises:
        ValueError: if the numbers of points, replicates and signs differ.

    >>> one, other = np.linspace(0.5, 0.7, 201), np.linspace(0.5, 0.6, 201)
    >>> found = contrast((0.6, 0.55), (one, other))
    >>> round(found.difference, 4), round(found.low, 4), round(found.high, 4), round(found.p, 4)
    (0.05, 0.0025, 0.0975, 0.0198)
    """
    if not len(points) == len(replicates) == len(signs):
        raise ValueError(f"{len(points)} points, {len(replicates)} replicates and {len(signs)} signs do not match")
    difference = float(np.dot(points, signs))
    values = np.tensordot(np.asarray(signs, dtype=np.float64), np.stack(list(replicates)), 1)
    bounds = percentile_interval(values, level)
    method = f"paired percentile bootstrap: {values.size} resamples"
    known = difference if math.isfinite(difference) else None
    if bounds is None or known is None:
        return Comparison(difference=known, level=level, method=method, note="undefined in too many resamples")
    return Comparison(difference=known, low=bounds[0], high=bounds[1], level=level, p=replicate_p(values), method=method)


def replicate_p(differences: Array) -> float:
    """Return the two-sided p-value of a difference of 0: twice the share of replicates on the rarer side, (1 + k) / (B + 1).

    It agrees with the percentile interval: p < 0.05 where the 95 % interval leaves out 0, but for one replicate.

    Args:
        differences: replicates of the difference; NaN is dropped, none left: NaN.

    >>> round(replicate_p(np.array([-1.0] * 2 + [1.0] * 97)), 4)
    0.06
    """
    defined = differences[~np.isnan(differences)]
    if not defined.size:
        return math.nan
    rarer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (1 + rarer) / (defined.size + 1))


def randomisation(statistic: Callable[[Array], Array], index: Array, *, trials: int = 9999, seed: int = 0) -> Comparison:
    """Test whether two systems score alike by exchanging their outputs group by group (Noreen 1989).

    Right for figures that are no mean, as corpus BLEU or macro F1: each trial recomputes the figure on both sides.

    Args:
        statistic: from weights (resamples, 2 x rows) to values (resamples,), on the rows of one system followed by those of
            the other.
        index: the group of each row of one system, (rows,), numbered from 0.
        trials: number of random exchanges.
        seed: seed of the exchanges.

    >>> right = np.array([1.0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0])
    >>> found = randomisation(lambda w: w @ right / w.sum(axis=1), np.arange(6), trials=999, seed=0)
    >>> round(found.difference, 4), found.p, found.method
    (0.8333, 0.061, 'approximate randomisation: 999 exchanges of 6 groups, seed 0')
    """
    groups = int(index.max()) + 1
    generator = np.random.default_rng(seed)

    def differences(swapped: Array) -> Array:
        kept = 1.0 - swapped
        return np.asarray(statistic(np.hstack([kept, swapped])) - statistic(np.hstack([swapped, kept])))

    observed = float(differences(np.zeros((1, len(index))))[0])
    method = f"approximate randomisation: {trials} exchanges of {groups} groups, seed {seed}"
    if math.isnan(observed):
        return Comparison(difference=None, method=method, note="undefined for one of the systems")
    extreme = 0
    for start in range(0, trials, _BLOCK):
        swapped = generator.integers(0, 2, (min(_BLOCK, trials - start), groups)).astype(np.float64)
        extreme += int((np.abs(differences(swapped[:, index])) >= _limit(observed)).sum())
    return Comparison(difference=observed, p=(1 + extreme) / (trials + 1), method=method)


def _limit(observed: float) -> float:
    """Return what counts as extreme, a rounding error below the observed difference, so that equal splits count."""
    return abs(observed) * (1 - 1e-12) - 1e-15


def sign_flip(differences: Array, index: Array, *, trials: int = 9999, seed: int = 0) -> Comparison:
    """Test whether a mean difference is 0 by turning the signs of whole groups; exact where all turns can be tried.

    Args:
        differences: one minus other, one per row, (rows,); NaN: the row does not enter.
        index: the group of each row, (rows,), numbered from 0.
        trials: number of random turns; with as many turns or fewer in all, each is tried once.
        seed: seed of the turns.

    >>> found = sign_flip(np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4))
    >>> found.difference, found.p, found.method
    (2.5, 0.125, 'exact sign flips of 4 groups')
    """
    kept = ~np.isnan(differences)
    if not kept.any():
        return Comparison(difference=None, method="sign flips", note="no row has both values")
    _, index = np.unique(index[kept], return_inverse=True)
    sums = np.bincount(index, differences[kept])
    groups, total = len(sums), float(sums.sum())
    limit = abs(total) - 1e-12 * float(np.abs(sums).sum())
    exact = groups < 60 and 2**groups <= trials + 1
    turns = 2**groups if exact else trials
    generator, extreme = np.random.default_rng(seed), 0
    for start in range(0, turns, 1024):
        rows = min(1024, turns - start)
        if exact:
            bits = (np.arange(start, start + rows)[:, None] >> np.arange(groups) & 1).astype(np.float64)
        else:
            raw = np.frombuffer(generator.bytes(rows * -(-groups // 8)), dtype=np.uint8).reshape(rows, -1)
            bits = np.unpackbits(raw, axis=1, count=groups).astype(np.float64)
        extreme += int((np.abs(total - 2 * (bits @ sums)) >= limit).sum())
    method = f"exact sign flips of {groups} groups" if exact else f"sign flips: {trials} turns of {groups} groups, seed {seed}"
    p = extreme / turns if exact else (1 + extreme) / (trials + 1)
    return Comparison(difference=total / int(kept.sum()), p=p, method=method)


def mcnemar(one: Array, other: Array, index: Array | None = None) -> Comparison:
    """Test whether two systems are right equally often on the same rows.

    Exact (a fair coin over the rows where only one is right) where each row stands alone. Rows of one group are no
    independent coins: then by the groups' sums d = b - c, (sum d)^2 / sum d^2 as chi-square with one degree of freedom
    (Obuchowski 1998, with the variance under equality); groups of one row give McNemar's own chi-square.

    Args:
        one: 1 where one system is right, else 0, (rows,); NaN: the row does not enter.
        other: the same of the other system, (rows,).
        index: the group of each row, (rows,); None: every row stands alone.

    >>> one, other = np.array([1] * 7 + [0] + [1] * 4), np.array([0] * 7 + [1] + [1] * 4)
    >>> mcnemar(one, other).p
    0.0703125
    >>> round(mcnemar(one, other, np.arange(12) // 2).p, 6)
    0.083265
    """
    difference = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    kept = ~np.isnan(difference)
    difference = difference[kept]
    b, c = int((difference > 0).sum()), int((difference < 0).sum())
    mean = float(difference.mean()) if difference.size else None
    groups = np.arange(difference.size) if index is None else np.unique(index[kept], return_inverse=True)[1]
    if groups.size == 0 or groups.max() + 1 == groups.size:
        return Comparison(difference=mean, p=coin_two_sided(b, c), method=f"exact McNemar: {b} against {c}")
    sums = np.bincount(groups, difference)
    squares = float(sums @ sums)
    p = chi_square_tail(float(sums.sum()) ** 2 / squares) if squares else 1.0
    return Comparison(difference=mean, p=p, method=f"clustered McNemar: {b} against {c} in {len(sums)} groups")
