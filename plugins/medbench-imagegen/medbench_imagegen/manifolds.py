"""Nearest neighbours among features: precision and recall, density and coverage, and copies of train pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from medbench.interfaces import Reals
from medbench.types import Pair
from medbench_imagegen.features import features_of, real_files
from medbench_imagegen.sets import Distances, Rows

Array = np.ndarray[Any, np.dtype[Any]]

PRECISION_K, DENSITY_K = 3, 5
NEAR = 0.05
"""Real pictures this share of which lies nearer to train set the distance below which a drawn one counts as a copy."""
BLOCK = 1024


def distance_blocks(one: Array, other: Array) -> Iterator[tuple[slice, Array]]:
    """Yield Euclidean distances, float64, for some rows of `one` at a time to all of `other`."""
    x, y = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    squares = (y * y).sum(axis=1)
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        yield part, np.sqrt(np.maximum(0.0, (x[part] * x[part]).sum(axis=1)[:, None] + squares - 2 * x[part] @ y.T))


def radii(features: Array, *ks: int) -> list[Array]:
    """Return, for each k, the distance of each picture to its k-th nearest neighbour in its own set, shape (n,); n > k."""
    found = np.empty((len(features), len(ks)))
    for part, own in distance_blocks(features, features):
        own[np.arange(len(own)), np.arange(len(features))[part]] = 0.0
        found[part] = np.partition(own, sorted(set(ks)), axis=1)[:, list(ks)]
    return list(found.T)


def nearest(features: Array, others: Array) -> Array:
    """Return the distance of each picture to the nearest of another set, shape (n,)."""
    return np.concatenate([made.min(axis=1) for _, made in distance_blocks(features, others)])


class Prdc(Distances):
    """How far drawn pictures lie among the real ones (precision, density) and reach all of them (recall, coverage)."""

    LEAST, FIRST, FORMAT = DENSITY_K + 1, "", ".1%"

    def values(self, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return the four shares; NaN where a side has no k-th neighbour.

        A ball holds its border for precision and recall, and does not for density and coverage, as in their authors' programs.

        Source: Kynkaanniemi et al., NeurIPS 2019 (k = 3); Naeem et al., ICML 2020 (`prdc`, k = 5).
        """
        if min(len(drawn), len(real)) < self.LEAST:
            return dict.fromkeys(("precision", "recall", "density", "coverage"), float("nan"))
        near, wide = radii(real, PRECISION_K, DENSITY_K)
        (own,) = radii(drawn, PRECISION_K)
        among, inside = np.zeros(len(drawn), dtype=bool), np.zeros(len(drawn))
        reached, covered = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
        for part, between in distance_blocks(real, drawn):
            among |= (between <= near[part, None]).any(axis=0)
            inside += (between < wide[part, None]).sum(axis=0)
            reached[part] = (between <= own).any(axis=1)
            covered[part] = between.min(axis=1) < wide[part]
        return {
            "precision": float(among.mean()),
            "recall": float(reached.mean()),
            "density": float(inside.mean() / DENSITY_K),
            "coverage": float(covered.mean()),
        }


class Copies(Distances):
    """Whether drawn pictures lie nearer to the train pictures than the real ones of the evaluated split do."""

    LEAST = 1

    def measure(self, pairs: Sequence[Pair], reals: Reals) -> Rows:
        """Return for drawn and real pictures the distance to the nearest of train, shapes (n,) and (m,), and how many there are."""
        rows = dict(super().measure(pairs, reals))
        train = features_of(*real_files(reals, train=True), self._network)
        near = {side: nearest(rows[side], train) if len(train) else np.full(len(rows[side]), np.nan) for side in ("drawn", "real")}
        return {**rows, **near, "n_train": np.array(len(train))}

    def values(self, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return `copies` and `nearer` of distances to train; NaN without train pictures.

        `copies`: share of drawn pictures nearer than 95 % of the real ones are. `nearer`: chance that a drawn picture is nearer
        than a real one, ties for one half.

        Source: `nearer` is the statistic of Meehan et al., AISTATS 2020, over all cells at once.
        """
        if not len(drawn) or not len(real) or np.isnan(drawn).any():
            return {"copies": float("nan"), "nearer": float("nan")}
        ranked = np.sort(real)
        farther = len(real) - (np.searchsorted(ranked, drawn, "left") + np.searchsorted(ranked, drawn, "right")) / 2
        return {"copies": float((drawn < np.quantile(real, NEAR)).mean()), "nearer": float(farther.mean() / len(real))}

    def notes(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, str]:
        """Return what chance gives, or that there is nothing to compare with."""
        del drawn
        label, n_train = rows["label"], int(rows["n_train"])
        if not n_train:
            return dict.fromkeys((f"copies-{label}", f"nearer-{label}"), "the train pictures are not at hand (--data DIR)")
        sides = f"chance gives {{}}; {n_train:,} train and {len(real):,} real pictures"
        return {f"copies-{label}": sides.format(f"{NEAR:.0%}"), f"nearer-{label}": sides.format("50%")}
