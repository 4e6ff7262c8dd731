"""Truth and probability of each label, found by name: from pairs to one table, to rows that describe themselves, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from medbench.errors import DataError, PluginError
from medbench.types import Pair, Probabilities

Array = np.ndarray[Any, np.dtype[Any]]


class Table(NamedTuple):
    """Truth and probabilities with one column per label, and what holds for the whole sample they come from."""

    labels: tuple[str, ...]
    truth: Array
    """1, 0 or NaN (masked), float64 (rows, labels)."""
    probabilities: Array
    """0 to 1, NaN where the truth is, float64 (rows, labels)."""
    exclusive: bool
    """Whether the labels are classes that exclude each other: in the whole sample every row has exactly one of them."""
    kept: Array
    """Which labels have a value in the whole sample, (labels,): the others enter no mean."""

    @property
    def known(self) -> Array:
        """Which truths are known, (rows, labels)."""
        return ~np.isnan(self.truth)

    @property
    def any_known(self) -> Array:
        """Which rows have a known truth among the labels that have a value, (rows,)."""
        return np.asarray((self.known & self.kept).any(axis=1))

    def decided(self, threshold: float) -> Array:
        """Return 1 or 0 for each cell: at or above the threshold; of classes, the most probable one, the first of equals.

        What is masked is 0. Where no class has any probability (an answer that names none), none is decided.

        >>> table = Table(("a", "b"), np.array([[1.0, 0.0]]), np.array([[0.3, 0.2]]), True, np.array([True, True]))
        >>> table.decided(0.5).tolist(), table._replace(exclusive=False).decided(0.5).tolist()
        ([[1.0, 0.0]], [[0.0, 0.0]])
        """
        if self.exclusive:
            best = self.probabilities.argmax(axis=1)
            chosen = (np.arange(len(self.labels)) == best[:, None]) & (self.probabilities > 0)
            return np.asarray(chosen, dtype=np.float64)
        return np.asarray(self.probabilities >= threshold, dtype=np.float64)


def read_pairs(pairs: Sequence[Pair], metric: str) -> Table:
    """Return the table of the labels that samples and predictions both have, in the predictions' order.

    Raises:
        DataError: no label of the samples is predicted, a known one is not, or a truth is neither 1 nor 0 nor masked.
        PluginError: a prediction has no probabilities, or one that is not within 0 and 1.
    """
    values = [_probabilities(pair, metric) for pair in pairs]
    labels = _common(pairs, values)
    truth = _cells([pair.sample.labels for pair in pairs], labels)
    given = _cells([dict(zip(value.labels, value.values, strict=True)) for value in values], labels)
    masked = np.isnan(truth)
    if (found := _first(~masked & (truth != 0) & (truth != 1), pairs, labels, truth)) is not None:
        sample, label, value = found
        raise DataError(f"sample {sample}: the label {label} is {value:g}", hint="1, 0, or masked")
    if (found := _first(~masked & np.isnan(given), pairs, labels, given)) is not None:
        sample, label, _ = found
        raise DataError(
            f"sample {sample}: no probability for {label}, which other predictions have", hint="predict the same labels throughout"
        )
    if (found := _first(~masked & ((given < 0) | (given > 1)), pairs, labels, given)) is not None:
        sample, label, value = found
        raise PluginError(f"metric {metric}: sample {sample}: the probability of {label} is {value:g}", hint="a number from 0 to 1")
    exclusive = len(labels) > 1 and bool((truth.sum(axis=1) == 1).all())  # a row with a masked cell sums to NaN
    return Table(labels, truth, np.where(masked, np.nan, given), exclusive, np.ones(len(labels), dtype=bool))


def to_rows(table: Table) -> Array:
    """Return one record per row: `facts` (JSON bytes), `truth` and `probability` (float64, one cell per label).

    Names and what holds for the whole sample stand in every row, so that any part of the rows can be read by itself.
    """
    facts = {"labels": table.labels, "exclusive": table.exclusive, "kept": [int(kept) for kept in table.kept]}
    written = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()
    cells = (np.float64, (len(table.labels),))
    rows = np.empty(len(table.truth), dtype=[("facts", f"S{len(written)}"), ("truth", *cells), ("probability", *cells)])
    rows["facts"], rows["truth"], rows["probability"] = written, table.truth, table.probabilities
    return rows


def from_rows(rows: Any) -> Table:
    """Return the table of what `to_rows` gave, or of any part of it; at least one row."""
    facts = json.loads(bytes(rows["facts"][0]))
    truth, probabilities = np.ascontiguousarray(rows["truth"]), np.ascontiguousarray(rows["probability"])
    return Table(tuple(facts["labels"]), truth, probabilities, facts["exclusive"], np.array(facts["kept"], dtype=bool))


def _probabilities(pair: Pair, metric: str) -> Probabilities:
    value = pair.value
    if not isinstance(value, Probabilities):
        raise PluginError(
            f"metric {metric} measures probabilities; the prediction for sample {pair.sample.id} is a {type(value).__name__}",
            hint="a protocol whose card gives `probabilities` must yield Probabilities, or Failed, which is not measured",
        )
    if not len(value.labels) == len(value.values) == len(set(value.labels)):
        raise PluginError(
            f"metric {metric}: sample {pair.sample.id} has {len(value.values)} probabilities for {len(set(value.labels))} labels",
            hint="one for each label",
        )
    return value


def _common(pairs: Sequence[Pair], values: Sequence[Probabilities]) -> tuple[str, ...]:
    known = {label for pair in pairs for label in pair.sample.labels}
    predicted = dict.fromkeys(label for labels in dict.fromkeys(value.labels for value in values) for label in labels)
    labels = tuple(label for label in predicted if label in known)
    if not labels:
        raise DataError(
            f"no label of the samples is predicted: they have {_listed(sorted(known))}, the predictions {_listed(list(predicted))}",
            hint="--columns prob:LABEL=COLUMN says which column of a predictions file is for which label",
        )
    return labels


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _cells(given: Sequence[Mapping[str, float | None]], labels: Sequence[str]) -> Array:
    """Return (rows, labels); NaN for what is not there."""
    cells = [[np.nan if (value := row.get(label)) is None else value for label in labels] for row in given]
    return np.array(cells, dtype=np.float64).reshape(len(given), len(labels))


def _first(wrong: Array, pairs: Sequence[Pair], labels: Sequence[str], cells: Array) -> tuple[str, str, float] | None:
    """Return sample, label and value of the first cell that is wrong."""
    if not wrong.any():
        return None
    row, column = np.argwhere(wrong)[0]
    return pairs[row].sample.id, labels[column], float(cells[row, column])
