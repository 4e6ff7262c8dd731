"""What the metrics of probabilities have in common: rows by label, means over labels that say which labels they are of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from medbench.builtin.metrics.classification_rows import Array, Table, from_rows, read_pairs, to_rows
from medbench.errors import UsageError
from medbench.stats.labels import macro, rare
from medbench.types import Pair

Values = dict[str, tuple[Array, Array]]

RARE = 20
"""With fewer positives or negatives the interval of a label does not keep its level."""


class LabelMetric(ABC):
    """Measures probabilities against the truth, label by label; a subclass says what the numbers are.

    Labels are found by name: those that samples and predictions both have. Which of them have a value is settled on all
    that is measured, so a mean over labels is of the same labels in every resample and subgroup, or undefined there.
    """

    NAME: ClassVar[str]
    UNDEFINED: ClassVar[str]
    """Why a label has no value, in words."""

    def __init__(self, *, convention: Mapping[str, str] | None = None) -> None:
        del convention  # these metrics have one way of computing each score
        self._stated: dict[str, Any] = {}

    @abstractmethod
    def kept(self, table: Table) -> Array:
        """Return which labels have a value, (labels,)."""

    @abstractmethod
    def scores(self, table: Table, weights: Array) -> Values:
        """Return score name -> (values, rows that enter); `weights` is float64 (resamples, rows)."""

    @abstractmethod
    def facts(self, table: Table) -> dict[str, Any]:
        """Return what makes the numbers reproducible, for the signature."""

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return one record per pair, in order: truth and probability of each label (NaN: masked), and the labels' names.

        Raises:
            DataError: no label of the samples is predicted, a known one is not, or a truth is neither 1 nor 0 nor masked.
            PluginError: a prediction has no probabilities, or one that is not within 0 and 1.
        """
        table = read_pairs(pairs, self.NAME)
        table = table._replace(kept=self.kept(table))
        self._stated = {**_about_labels(table, pairs, self.UNDEFINED), **self.facts(table)}
        return to_rows(table)

    def reduce(self, rows: Any, weights: Any) -> Values:
        """Return score name -> (values of shape (resamples,), boolean mask of the rows that enter).

        Args:
            rows: What `measure` returned, or a part of it.
            weights: Integer counts of shape (resamples, rows).
        """
        return self.scores(from_rows(rows), np.asarray(weights, dtype=np.float64))

    def flags(self, rows: Any) -> dict[str, Array]:
        """Return as `unparsable` the rows of classes in which no class has any probability: an answer that named none."""
        table = from_rows(rows)
        nothing = table.exclusive & ~(table.probabilities > 0).any(axis=1)
        return {"unparsable": np.asarray(nothing, dtype=bool)}

    def signature(self) -> dict[str, Any]:
        """Return, of what was measured, its labels, those without a value and the rare ones, and how it was computed."""
        return self._stated


def means_and_labels(name: str, values: Array, table: Table) -> Values:
    """Return the mean over the labels that have a value as `name`, and each label's own as `label:NAME`.

    Args:
        name: What the mean is called.
        values: (resamples, labels).
        table: What they were computed from.
    """
    made = {name: (macro(values, table.kept), table.any_known)}
    for at, label in enumerate(table.labels):
        made[f"label:{label}"] = (values[:, at], table.known[:, at] & table.kept[at])
    return made


def share(name: str, option: str, value: float) -> float:
    """Return an option that must lie within 0 and 1.

    Raises:
        UsageError: it does not.
    """
    if not 0 <= value <= 1:
        raise UsageError(f"metric {name}: {option} = {value:g}", hint="a number from 0 to 1")
    return float(value)


def by_label(values: Array, table: Table) -> dict[str, float | None]:
    """Return label -> value to four digits, None where undefined.

    Args:
        values: (labels,).
        table: What they were computed from.
    """
    return {label: None if np.isnan(value) else round(float(value), 4) for label, value in zip(table.labels, values, strict=True)}


def _about_labels(table: Table, pairs: Sequence[Pair], why: str) -> dict[str, Any]:
    stated: dict[str, Any] = {"labels": list(table.labels)}
    out = [label for label, kept in zip(table.labels, table.kept, strict=True) if not kept]
    if out:
        stated["undefined"] = f"{', '.join(out)}: {why}; left out of every mean over labels"
    few = [f"{label} {count}" for label, count in rare(table.truth, table.labels, RARE).items() if label not in out]
    if few:
        stated["rare"] = f"{', '.join(few)}: fewer than {RARE} positives or negatives, so their intervals are too narrow"
    absent = sorted({label for pair in pairs for label in pair.sample.labels}.difference(table.labels))
    if absent:
        stated["not predicted"] = f"{', '.join(absent)}: labels of the data that no prediction has"
    return stated
