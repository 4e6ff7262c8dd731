"""Accuracy of the most probable label against the first of a sample's concepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.errors import PluginError
from medbench.stats.labels import ratio
from medbench.types import Pair, Probabilities

Array = np.ndarray[Any, np.dtype[Any]]
Values = dict[str, tuple[Array, Array]]

COLUMN = "first_cui"


class FirstConcept:
    """Whether the most probable label is the first concept of the sample, as its column `first_cui` has it.

    `accuracy` counts the samples whose first concept is among the labels, `all` every sample that has a first concept: one that
    no label stands for cannot be right. Of equal probabilities the first label is taken.
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None) -> None:
        del convention  # there is one way of computing it
        self._stated: dict[str, Any] = {}

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return for each pair whether it is right (NaN: it has no first concept), and whether it could be, float64 (pairs, 2).

        Raises:
            PluginError: a prediction has no probabilities.
        """
        rows = np.array([_row(pair) for pair in pairs], dtype=np.float64).reshape(len(pairs), 2)
        outside = int(((rows[:, 1] == 0) & ~np.isnan(rows[:, 0])).sum())
        self._stated = {"outside the labels": f"{outside} of {len(pairs)} samples have a first concept that no label stands for"}
        return rows

    def reduce(self, rows: Any, weights: Any) -> Values:
        """Return `accuracy` and `all`: values of shape (resamples,), and the mask of the rows that enter."""
        counts = np.asarray(weights, dtype=np.float64)
        known = ~np.isnan(rows[:, 0])
        return {
            name: (ratio(counts[:, used] @ rows[used, 0], counts[:, used].sum(axis=1)), used)
            for name, used in (("accuracy", known & (rows[:, 1] == 1)), ("all", known))
        }

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return 1 for each sample that is right, 0 for the others, NaN for those without a first concept."""
        return {"all": rows[:, 0]}

    def signature(self) -> dict[str, Any]:
        """Return how many samples no label stands for."""
        return self._stated


def _row(pair: Pair) -> tuple[float, float]:
    value = pair.value
    if not isinstance(value, Probabilities) or not value.labels or len(value.labels) != len(value.values):
        raise PluginError(
            f"metric first-concept measures probabilities of labels; sample {pair.sample.id} has none",
            hint="a protocol whose card gives `probabilities` must yield Probabilities, or Failed, which is not measured",
        )
    first = pair.sample.meta.get(COLUMN, "")
    if not first:
        return np.nan, np.nan
    best = value.labels[int(np.argmax(value.values))]
    return float(best == first), float(first in value.labels)
