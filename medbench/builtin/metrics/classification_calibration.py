"""Whether probabilities mean what they say, label by label: log loss, Brier score, calibration error."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from medbench.builtin.metrics.classification import LabelMetric, Values, by_label, means_and_labels
from medbench.builtin.metrics.classification_rows import Array, Table, from_rows
from medbench.errors import UsageError
from medbench.figures import Curves, Line
from medbench.stats.bootstrap import once
from medbench.stats.calibration import brier, ece_confidence, ece_floor, ece_positive, log_loss
from medbench.stats.intervals import cluster_t
from medbench.stats.labels import macro
from medbench.stats.recalibration import in_the_large, slope
from medbench.types import Pair


class _Calibration(LabelMetric):
    UNDEFINED = "no truth is known"

    def kept(self, table: Table) -> Array:
        """Return which labels are known anywhere."""
        return np.asarray(table.known.any(axis=0))


class _Loss(_Calibration):
    """A mean over images, so that each image has a loss of its own."""

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return each image's own loss, its mean over the labels that are known and have a value; NaN where there is none."""
        table = from_rows(rows)
        known = table.known & table.kept
        losses = np.where(known, self._losses(np.where(known, table.truth, 0.0), np.where(known, table.probabilities, 0.0)), 0.0)
        count = known.sum(axis=1)
        return {"macro": np.divide(losses.sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0)}

    @staticmethod
    @abstractmethod
    def _losses(truth: Array, probabilities: Array) -> Array:
        """Return the loss of each cell, (rows, labels)."""


class LogLoss(_Loss):
    """Mean of -ln(probability given to what is true), each label against the rest, in nats; lower is better.

    A wrong certainty counts 36, not infinity: probabilities are moved away from 0 and 1 by the smallest step of a double.
    """

    NAME = "log-loss"

    def scores(self, table: Table, weights: Array) -> Values:
        """Return `macro` and `label:NAME`."""
        return means_and_labels("macro", log_loss(table.truth, table.probabilities, weights), table)

    def facts(self, table: Table) -> dict[str, Any]:  # noqa: ARG002 - the interface's parameter
        """Return unit and clipping."""
        return {"unit": "nats, each label against the rest", "clip": "2.2e-16"}

    @staticmethod
    def _losses(truth: Array, probabilities: Array) -> Array:
        clip = float(np.finfo(np.float64).eps)
        return np.asarray(-np.log(np.where(truth == 1, probabilities, 1 - probabilities).clip(clip, 1 - clip)))


class Brier(_Loss):
    """Mean squared distance of probability and truth, each label against the rest (Brier 1950, one class); lower is better."""

    NAME = "brier"

    def scores(self, table: Table, weights: Array) -> Values:
        """Return `macro` and `label:NAME`."""
        return means_and_labels("macro", brier(table.truth, table.probabilities, weights), table)

    def facts(self, table: Table) -> dict[str, Any]:  # noqa: ARG002 - the interface's parameter
        """Return the definition."""
        return {"definition": "(probability - truth) squared, each label against the rest"}

    @staticmethod
    def _losses(truth: Array, probabilities: Array) -> Array:
        return (probabilities - truth) ** 2


class Ece(_Calibration):
    """Expected calibration error under its two definitions, which are different numbers on the same data; lower is better.

    `positive` (and `label:NAME`): distance of mean P(y = 1) and share of positives, in bins of equal width (Naeini 2015).
    `confidence`: the same of the confidence in the decision (Guo et al. 2017): of the most probable class where classes
    exclude each other, else of max(p, 1 - p) at 0.5, averaged over labels. A perfectly calibrated model shows a positive error
    too, the more so the fewer rows: the signature states that floor, and slope and intercept of the recalibration.

    Args:
        convention: Not used.
        bins: Number of bins, 1 or more.

    Raises:
        UsageError: `bins` is below 1.
    """

    NAME = "ece"

    def __init__(self, *, convention: Mapping[str, str] | None = None, bins: int = 15) -> None:
        super().__init__(convention=convention)
        if bins < 1:
            raise UsageError(f"metric ece: bins = {bins}", hint="a whole number, 1 or more")
        self._bins = bins

    def scores(self, table: Table, weights: Array) -> Values:
        """Return `positive`, `confidence` and `label:NAME`."""
        means = means_and_labels("positive", ece_positive(table.truth, table.probabilities, weights, self._bins), table)
        return {"positive": means.pop("positive"), "confidence": (self._confidence(table, weights), table.any_known), **means}

    def facts(self, table: Table) -> dict[str, Any]:
        """Return the definitions, the error that perfect calibration would show on as many rows, and the recalibration."""
        every = once(len(table.truth))
        floors = ece_floor(table.truth, table.probabilities, bins=self._bins)
        return {
            "bins": f"{self._bins} of equal width",
            "confidence": "of the most probable class" if table.exclusive else "max(p, 1 - p), mean over labels",
            "floor of positive": round(float(floors[table.kept].mean()), 4) if table.kept.any() else None,
            "floor of confidence": round(self._confidence_floor(table), 4) if table.kept.any() else None,
            "floor": by_label(floors, table),
            "slope": by_label(slope(table.truth, table.probabilities, every)[0], table),
            "intercept": by_label(in_the_large(table.truth, table.probabilities, every)[0], table),
        }

    def figures(self, rows: Any, pairs: Sequence[Pair]) -> Iterator[Curves]:
        """Yield the reliability diagram: share of positives over mean probability in each bin, of a single label with intervals."""
        table = from_rows(rows)
        groups = np.unique([pair.sample.group for pair in pairs], return_inverse=True)[1]
        shown = np.flatnonzero(table.kept)
        lines = [_reliability(table, int(at), self._bins, groups, several=len(shown) > 1) for at in shown]
        if lines:
            title = f"Reliability: share of positives over probability, {self._bins} bins"
            yield Curves(
                name="reliability",
                title=title,
                lines=tuple(lines),
                x_label="mean probability in the bin",
                y_label="share of positives",
                diagonal=True,
                note="the dotted line is perfect calibration",
            )

    def _confidence(self, table: Table, weights: Array) -> Array:
        if not table.exclusive:
            return macro(ece_confidence(table.truth, table.probabilities, weights, self._bins), table.kept)
        return ece_positive(*_best(table), weights, self._bins)

    def _confidence_floor(self, table: Table) -> float:
        if table.exclusive:
            return float(ece_floor(*_best(table), bins=self._bins))
        floors = ece_floor(table.truth, table.probabilities, bins=self._bins, definition="confidence")
        return float(floors[table.kept].mean())


def _best(table: Table) -> tuple[Array, Array]:
    """Return whether the most probable class of each row is right, and its probability."""
    return (table.truth * table.decided(0.5)).sum(axis=1), table.probabilities.max(axis=1)


def _reliability(table: Table, at: int, bins: int, groups: Array, *, several: bool) -> Line:
    """Return the points of one label's bins that hold a row; of a single label with intervals that keep groups together."""
    known = table.known[:, at]
    truth, given, groups = table.truth[known, at], table.probabilities[known, at], groups[known]
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], given, "left")
    held = [place == one for one in np.unique(place)]
    bounds = [cluster_t(truth[rows], groups[rows]) for rows in held]
    low, high = tuple(_clipped(one.low) for one in bounds), tuple(_clipped(one.high) for one in bounds)
    return Line(
        label=table.labels[at],
        x=tuple(round(float(given[rows].mean()), 6) for rows in held),
        y=tuple(round(float(truth[rows].mean()), 6) for rows in held),
        low=() if several else low,
        high=() if several else high,
    )


def _clipped(bound: float | None) -> float | None:
    return None if bound is None else round(min(1.0, max(0.0, bound)), 6)
