"""Nearest neighbours among features: precision and recall, density and coverage, and copies of train pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from medbench_imagegen.distances import SetFeatures

Array = np.ndarray[Any, np.dtype[Any]]
Rows = Mapping[str, Any]

PRECISION_K, DENSITY_K = 3, 5
NEAR = 0.05
"""Real pictures this share of which lies nearer to train set the distance below which a drawn one counts as a copy."""
BLOCK = 1024


def distances(one: Array, other: Array) -> Array:
    """Return Euclidean distances, float64 of shape (n, m), computed in blocks."""
    x, y = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    squares = (y * y).sum(axis=1)

    def blocks() -> Iterator[Array]:
        for start in range(0, len(x), BLOCK):
            part = x[start : start + BLOCK]
            yield np.sqrt(np.maximum(0.0, (part * part).sum(axis=1)[:, None] + squares - 2 * part @ y.T))

    return np.concatenate(list(blocks())) if len(x) else np.empty((0, len(y)))


def radii(features: Array, k: int) -> Array:
    """Return the distance of each picture to its k-th nearest neighbour in its own set, shape (n,); n > k."""
    own = distances(features, features)
    np.fill_diagonal(own, 0.0)
    return np.partition(own, k, axis=1)[:, k]


class Prdc(SetFeatures):
    """How far drawn pictures lie among the real ones (precision, density) and reach all of them (recall, coverage)."""

    def reduce_sets(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return the four shares; NaN where a side has no k-th neighbour.

        Source: Kynkaanniemi et al., NeurIPS 2019; Naeem et al., ICML 2020 (`prdc`).
        """
        label = rows["label"]
        names = [f"{name}-{label}" for name in ("precision", "recall", "density", "coverage")]
        if min(len(drawn), len(real)) <= DENSITY_K:
            return dict.fromkeys(names, float("nan"))
        x, y = rows["drawn"][drawn], rows["real"][real]
        between = distances(y, x)
        near, wide = radii(y, PRECISION_K), radii(y, DENSITY_K)
        inside = between <= wide[:, None]
        values = (
            (between <= near[:, None]).any(axis=0).mean(),
            (between <= radii(x, PRECISION_K)[None, :]).any(axis=1).mean(),
            inside.sum(axis=0).mean() / DENSITY_K,
            (between.min(axis=1) <= wide).mean(),
        )
        return {name: float(value) for name, value in zip(names, values, strict=True)}


class Copies(SetFeatures):
    """Drawn pictures that lie nearer to a train picture than nearly all real ones of the evaluated split do."""

    TRAIN = True

    def reduce_sets(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return the share of drawn pictures nearer to train than 95 % of the real ones; NaN without train pictures."""
        name = f"copies-{rows['label']}"
        if not len(rows["train"]) or not len(drawn) or not len(real):
            return {name: float("nan")}
        own, nearest = self._nearest(rows)
        return {name: float((own[drawn] < np.quantile(nearest[real], NEAR)).mean())}

    def notes(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, str]:
        """Return what chance gives, or that there is nothing to compare with."""
        del drawn
        name = f"copies-{rows['label']}"
        if not len(rows["train"]):
            return {name: "the train pictures are not at hand (--data DIR)"}
        return {name: f"{NEAR:.0%} is what chance gives; {len(rows['train']):,} train and {len(real):,} real pictures"}

    def _nearest(self, rows: Rows) -> tuple[Array, Array]:
        """Return the distance of each drawn and each real picture to train, computed once for all parts."""
        known = getattr(self, "_known", None)
        if known is None or known[0] is not rows:
            train = rows["train"]
            known = self._known = (rows, distances(rows["drawn"], train).min(axis=1), distances(rows["real"], train).min(axis=1))
        return known[1], known[2]
