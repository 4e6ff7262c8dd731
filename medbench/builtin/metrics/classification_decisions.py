"""Probabilities turned into decisions and held against the truth: F1 and its averages, accuracies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medbench.builtin.metrics.classification import LabelMetric, Values, means_and_labels, share
from medbench.builtin.metrics.classification_rows import Array, Table, from_rows
from medbench.stats.classification import f1, label_accuracy, sensitivity, specificity, subset_accuracy, weighted_mean
from medbench.stats.labels import macro


class _Decisions(LabelMetric):
    """Args: the threshold at or above which a label is given; classes that exclude each other need none."""

    def __init__(self, *, convention: Mapping[str, str] | None = None, threshold: float = 0.5) -> None:
        super().__init__(convention=convention)
        self._threshold = share(self.NAME, "threshold", threshold)

    def facts(self, table: Table) -> dict[str, Any]:
        """Return how probabilities become decisions."""
        if table.exclusive:
            return {"decision": "the most probable class: every sample has exactly one"}
        return {"decision": f"probability >= {self._threshold:g}"}


class F1(_Decisions):
    """F1 = 2 TP / (2 TP + FP + FN), averaged in the four usual ways, and of each label.

    `macro` is the mean over labels, `micro` that of all decisions pooled, `weighted` the mean weighted by positives,
    `samples` the mean of each image's own. Of a single label all averages but `samples` are that label's own F1, and only
    `macro` is given. Where every sample has exactly one of several labels, the most probable one is the decision.

    Args:
        convention: Not used.
        threshold: A label is given at or above this probability, 0 to 1.
        empty: For `samples`, the value of an image without any label on either side, 0 to 1; None leaves it out.
            scikit-learn counts 0.

    Raises:
        UsageError: an option is not within 0 and 1.
    """

    NAME = "f1"
    UNDEFINED = "never true and never predicted"

    def __init__(self, *, convention: Mapping[str, str] | None = None, threshold: float = 0.5, empty: float | None = None) -> None:
        super().__init__(convention=convention, threshold=threshold)
        self._empty = np.nan if empty is None else share(self.NAME, "empty", empty)

    def kept(self, table: Table) -> Array:
        """Return which labels are true or predicted anywhere."""
        return np.asarray(((table.truth == 1) | (table.decided(self._threshold) == 1)).any(axis=0))

    def scores(self, table: Table, weights: Array) -> Values:
        """Return `macro` and `label:NAME`, and of several labels `micro`, `weighted` and `samples`."""
        decided = table.decided(self._threshold)
        means = means_and_labels("macro", f1(table.truth, decided, weights, "none"), table)
        if len(table.labels) == 1:
            return means
        pooled: Values = {
            "micro": (f1(table.truth, decided, weights, "micro"), table.any_known),
            "weighted": (f1(table.truth, decided, weights, "weighted"), table.any_known),
            "samples": (weighted_mean(own := self._own(table, decided), weights), ~np.isnan(own)),
        }
        return {"macro": means.pop("macro"), **pooled, **means}

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return each image's own F1 where there are several labels."""
        table = from_rows(rows)
        return {"samples": self._own(table, table.decided(self._threshold))} if len(table.labels) > 1 else {}

    def facts(self, table: Table) -> dict[str, Any]:
        """Return how probabilities become decisions, and what an image without any label counts."""
        counts = "is left out of `samples`" if np.isnan(self._empty) else f"counts {self._empty:g} in `samples`"
        return {**super().facts(table), "empty": f"an image without any label on either side {counts}"}

    def _own(self, table: Table, decided: Array) -> Array:
        """Return the F1 of each row, NaN where it has none."""
        true, called = table.truth == 1, decided == 1
        both, either = (true & called).sum(axis=1), true.sum(axis=1) + called.sum(axis=1)
        own = np.divide(2 * both, either, out=np.full(len(both), self._empty), where=either > 0)
        return np.where(table.known.any(axis=1), own, np.nan)


class Accuracy(_Decisions):
    """Share of right decisions, under the name that says what was decided.

    Of one label, or of classes that exclude each other: `accuracy`, and `balanced`, the mean of the classes' own. Of labels
    that do not: `subset`, all labels of an image right, and `label`, the mean over labels of each one's own (`label:NAME`),
    which is high wherever labels are rare and is another number.

    Args:
        convention: Not used.
        threshold: A label is given at or above this probability, 0 to 1.

    Raises:
        UsageError: `threshold` is not within 0 and 1.
    """

    NAME = "accuracy"
    UNDEFINED = "not seen in the data"

    def kept(self, table: Table) -> Array:
        """Return which labels are known anywhere; of classes, which occur."""
        return np.asarray((table.truth == 1).any(axis=0) if table.exclusive else table.known.any(axis=0))

    def scores(self, table: Table, weights: Array) -> Values:
        """Return `accuracy` and `balanced`, or `subset`, `label` and `label:NAME`."""
        decided, rows = table.decided(self._threshold), table.any_known
        right = subset_accuracy(table.truth, decided, weights), rows
        if self._of_classes(table):
            return {"accuracy": right, "balanced": (_balanced(table, decided, weights), rows)}
        return {"subset": right, **means_and_labels("label", label_accuracy(table.truth, decided, weights), table)}

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return 1 for each image that is all right, 0 for the others, NaN where nothing is known."""
        table = from_rows(rows)
        right = ((table.truth == table.decided(self._threshold)) | ~table.known).all(axis=1)
        name = "accuracy" if self._of_classes(table) else "subset"
        return {name: np.where(table.any_known, right.astype(np.float64), np.nan)}

    @staticmethod
    def _of_classes(table: Table) -> bool:
        return table.exclusive or len(table.labels) == 1


def _balanced(table: Table, decided: Array, weights: Array) -> Array:
    """Return the mean over the classes that occur of the share of each one's rows that are right; of one label, over its two truths."""
    each = sensitivity(table.truth, decided, weights)
    if len(table.labels) > 1:
        return macro(each, table.kept)
    both = np.column_stack([each, specificity(table.truth, decided, weights)])
    return macro(both, np.array([True, True]))
