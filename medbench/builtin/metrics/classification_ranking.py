"""How well probabilities order images, label by label: AUROC, AUPRC, sensitivity at a fixed specificity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from medbench.builtin.metrics.classification import LabelMetric, Values, by_label, means_and_labels, share
from medbench.builtin.metrics.classification_rows import Array, Table, from_rows
from medbench.figures import Curves, Line
from medbench.stats.bootstrap import once
from medbench.stats.labels import both_kinds
from medbench.stats.ranking import auprc, auroc, sensitivity_at
from medbench.types import Pair

CURVE_POINTS = 201
"""A ROC curve is kept at so many places at most: more cannot be seen."""


class _Ranking(LabelMetric):
    UNDEFINED = "only one kind of truth"

    def kept(self, table: Table) -> Array:
        """Return which labels have a positive and a negative."""
        return both_kinds(table.truth)


class Auroc(_Ranking):
    """Area under the ROC curve: how often a positive outscores a negative, a tie counting half (midranks).

    `macro` is the unweighted mean over the labels that have both kinds of truth; `label:NAME` is one label's own.

    >>> from medbench.types import Pair, Probabilities, Sample
    >>> rows = [(0, 0.1), (0, 0.4), (1, 0.35), (1, 0.8)]
    >>> samples = [Sample(id=str(p), group="g", split="test", labels={"edema": t}) for t, p in rows]
    >>> pairs = [Pair(s, Probabilities(labels=("edema",), values=(p,))) for s, (_, p) in zip(samples, rows, strict=True)]
    >>> metric = Auroc()
    >>> float(metric.reduce(metric.measure(pairs), np.ones((1, 4)))["macro"][0][0])
    0.75
    """

    NAME = "auroc"

    def scores(self, table: Table, weights: Array) -> Values:
        """Return `macro` and `label:NAME`."""
        return means_and_labels("macro", auroc(table.truth, table.probabilities, weights), table)

    def facts(self, table: Table) -> dict[str, Any]:  # noqa: ARG002 - the interface's parameter
        """Return how ties count."""
        return {"ties": "midranks"}

    def ranked(self, rows: Any, name: str) -> tuple[Array, Array] | None:
        """Return truth and probability, each (rows,), that a score is the area of, for tests of areas; None: it is a mean of several.

        `macro` of a single label is that label's own area.
        """
        table = from_rows(rows)
        names = [f"label:{label}" for label in table.labels]
        single = np.flatnonzero(table.kept)
        at = names.index(name) if name in names else int(single[0]) if name == "macro" and len(single) == 1 else None
        return None if at is None else (table.truth[:, at], table.probabilities[:, at])

    def figures(self, rows: Any, pairs: Sequence[Pair]) -> Iterator[Curves]:  # noqa: ARG002 - the rows say it all
        """Yield the ROC curve of each label that has both kinds of truth."""
        table = from_rows(rows)
        areas = auroc(table.truth, table.probabilities, once(len(rows)))[0]
        shown = np.flatnonzero(both_kinds(table.truth))
        lines = [_roc(f"{table.labels[at]} {areas[at]:.3f}", table.truth[:, at], table.probabilities[:, at]) for at in shown]
        if lines:
            title = "ROC curves, with the area under each"
            yield Curves(name="roc", title=title, lines=tuple(lines), x_label="1 − specificity", y_label="sensitivity", diagonal=True)


class Auprc(_Ranking):
    """Average precision: the step sum of precision over recall, not the trapezoid, which is too kind.

    Chance is a label's share of positives, which the signature states: values of two sets cannot be compared without it.
    """

    NAME = "auprc"

    def scores(self, table: Table, weights: Array) -> Values:
        """Return `macro` and `label:NAME`."""
        return means_and_labels("macro", auprc(table.truth, table.probabilities, weights), table)

    def facts(self, table: Table) -> dict[str, Any]:
        """Return the rule of summation and each label's share of positives."""
        known = table.known.sum(axis=0)
        shares = np.divide((table.truth == 1).sum(axis=0), known, out=np.full(len(known), np.nan), where=known > 0)
        return {"area": "step sum (average precision)", "chance": by_label(shares, table)}


class Sensitivity(_Ranking):
    """The highest sensitivity at a threshold that keeps at least this specificity.

    The threshold is chosen on the images it is scored on, anew in each resample: a property of the curve, not of a threshold
    fixed beforehand.

    Args:
        convention: Not used.
        specificity: Least share of negatives below the threshold, 0 to 1.

    Raises:
        UsageError: `specificity` is not within 0 and 1.
    """

    NAME = "sensitivity"

    def __init__(self, *, convention: Mapping[str, str] | None = None, specificity: float = 0.9) -> None:
        super().__init__(convention=convention)
        self._specificity = share(self.NAME, "specificity", specificity)

    def scores(self, table: Table, weights: Array) -> Values:
        """Return `macro` and `label:NAME`."""
        return means_and_labels("macro", sensitivity_at(table.truth, table.probabilities, weights, self._specificity), table)

    def facts(self, table: Table) -> dict[str, Any]:  # noqa: ARG002 - the interface's parameter
        """Return the specificity and where its threshold comes from."""
        return {"specificity": f"at least {self._specificity:g}", "threshold": "chosen on the scored images, for each label and resample"}


def _roc(label: str, truth: Array, probabilities: Array) -> Line:
    """Return sensitivity over 1 - specificity at every threshold, thinned evenly along the curve."""
    known = ~np.isnan(truth)
    truth, probabilities = truth[known], probabilities[known]
    order = np.argsort(-probabilities, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(probabilities[order])), len(order) - 1)
    right, wrong = np.cumsum(truth[order])[ends], np.cumsum(1 - truth[order])[ends]
    y, x = np.append(0.0, right / right[-1]), np.append(0.0, wrong / wrong[-1])
    length = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    near = np.searchsorted(length, np.linspace(0, length[-1], CURVE_POINTS))
    kept = np.unique(np.append(near.clip(max=len(x) - 1), [0, len(x) - 1])) if len(x) > CURVE_POINTS else np.arange(len(x))
    return Line(label=label, x=tuple(np.round(x[kept], 6).tolist()), y=tuple(np.round(y[kept], 6).tolist()))
