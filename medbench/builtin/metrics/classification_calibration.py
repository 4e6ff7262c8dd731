"""Whether probabilities mean what they say, label by label: log loss, Brier score, calibration error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medbench.builtin.metrics.classification import LabelMetric, Values, by_label, means_and_labels
from medbench.builtin.metrics.classification_rows import Array, Table
from medbench.errors import UsageError
from medbench.stats.bootstrap import once
from medbench.stats.calibration import brier, ece_confidence, ece_floor, ece_positive, log_loss
from medbench.stats.labels import macro
from medbench.stats.recalibration import in_the_large, slope


class _Calibration(LabelMetric):
    UNDEFINED = "no truth is known"

    def kept(self, table: Table) -> Array:
        """Return which labels are known anywhere."""
        return np.asarray(table.known.any(axis=0))


class LogLoss(_Calibration):
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


class Brier(_Calibration):
    """Mean squared distance of probability and truth, each label against the rest (Brier 1950, one class); lower is better."""

    NAME = "brier"

    def scores(self, table: Table, weights: Array) -> Values:
        """Return `macro` and `label:NAME`."""
        return means_and_labels("macro", brier(table.truth, table.probabilities, weights), table)

    def facts(self, table: Table) -> dict[str, Any]:  # noqa: ARG002 - the interface's parameter
        """Return the definition."""
        return {"definition": "(probability - truth) squared, each label against the rest"}


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
