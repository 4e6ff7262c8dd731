"""Which class is taken for which: recall and precision of each, and the table as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from medbench.builtin.metrics.classification import LabelMetric, Values
from medbench.builtin.metrics.classification_rows import Array, Table, from_rows
from medbench.errors import DataError
from medbench.figures import Figure, Matrix
from medbench.stats.labels import macro, ratio
from medbench.types import Pair

NEITHER = "not"
"""What stands before the name of a single label for its other kind."""


class Confusion(LabelMetric):
    """Of classes that exclude each other, or of one label and its absence: who is taken for whom.

    `recall` is the mean over classes of the share of each one's samples that are called so (balanced accuracy), `recall:CLASS`
    and `precision:CLASS` are each one's own. The most probable class is the decision; of a single label, 0.5 or more.
    The figure is the table of counts: truth down, decision across.
    """

    NAME = "confusion"
    UNDEFINED = "not seen in the data"

    def kept(self, table: Table) -> Array:
        """Return which labels occur.

        Raises:
            DataError: labels do not exclude each other.
        """
        if not table.exclusive and len(table.labels) > 1:
            raise DataError(
                f"metric confusion: the {len(table.labels)} labels do not exclude each other", hint="f1 and accuracy judge each label alone"
            )
        return np.asarray((table.truth == 1).any(axis=0))

    def scores(self, table: Table, weights: Array) -> Values:
        """Return `recall`, `recall:CLASS` and `precision:CLASS`."""
        names, true, called, known = _classes(table)
        right = weights @ (true & called).astype(np.float64)
        recall = ratio(right, weights @ true.astype(np.float64))
        precision = ratio(right, weights @ called.astype(np.float64))
        made: Values = {"recall": (macro(recall, np.asarray(true.any(axis=0))), known)}
        for at, name in enumerate(names):
            made[f"recall:{name}"] = recall[:, at], true[:, at]
            made[f"precision:{name}"] = precision[:, at], called[:, at]
        return made

    def facts(self, table: Table) -> dict[str, Any]:
        """Return how probabilities become decisions."""
        return {"decision": "the most probable class" if table.exclusive else "probability >= 0.5"}

    def figures(self, rows: Any, pairs: Sequence[Pair]) -> Iterator[Figure]:  # noqa: ARG002 - the interface's parameter
        """Yield the table of counts."""
        names, true, called, _ = _classes(from_rows(rows))
        counts = true.astype(np.float64).T @ called.astype(np.float64)
        yield Matrix(
            name="confusion",
            title="Truth and decision",
            values=tuple(tuple(float(count) for count in row) for row in counts),
            rows=names,
            columns=names,
            row_label="truth",
            column_label="decision",
            value_label="samples",
            counts=True,
            marked=tuple((at, at) for at in range(len(names))),
        )


def _classes(table: Table) -> tuple[tuple[str, ...], Array, Array, Array]:
    """Return the classes' names, which rows are of each, which are called so, both (rows, classes), and which rows are known."""
    known = np.asarray(table.known.any(axis=1))
    true, called = table.truth == 1, table.decided(0.5) == 1
    if table.exclusive:
        return table.labels, true, called & known[:, None], known
    (label,) = table.labels
    both_true = np.column_stack([~true[:, 0] & known, true[:, 0]])
    both_called = np.column_stack([~called[:, 0] & known, called[:, 0]])
    return (f"{NEITHER} {label}", label), both_true, both_called, known
