"""Findings F1 of reports on a twin: the twin knows what its sentences state, so no labeller has to guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medbench.builtin.twins.said import FINDINGS, places, sentences, vocabulary
from medbench.errors import DataError
from medbench.stats.bootstrap import Array
from medbench.stats.classification import f1
from medbench.stats.labels import ratio
from medbench.types import Pair, Text

KNOWN = 2
"""Last columns of a row: sentences of the answer, and how many of them the twin could have written."""


class TwinFindings:
    """F1 of the findings that a report on a twin states, against those of its reference.

    A report states what its sentences state; a sentence counts where it is one of the twin's own, word for word but for case,
    line breaks and the mark of what was removed. Every other sentence states nothing (`known` says how many there are).
    `micro` and `macro` are over the nine findings, `located` over findings with their places, pooled.

    Args:
        convention: Not used.
    """

    def __init__(self, convention: Mapping[str, str] | None = None) -> None:
        del convention
        self._findings = np.array([[place.partition(",")[0] == finding for finding in FINDINGS] for place in places()])

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return one row per pair: what the reference states, what the answer states, and how many of its sentences are known.

        Raises:
            DataError: a reference is no report of a twin.
        """
        return np.array([_row(pair) for pair in pairs], dtype=np.int16).reshape(len(pairs), 2 * len(places()) + KNOWN)

    def reduce(self, rows: Array, weights: Array) -> dict[str, tuple[Array, Array]]:
        """Return `micro`, `macro`, `located`, `known` and each `finding:NAME` with the rows that enter them: all."""
        width = len(places())
        there, answered = (part.astype(np.float64) for part in (rows[:, :width], rows[:, width : 2 * width]))
        truth, said = ((part @ self._findings > 0).astype(np.float64) for part in (there, answered))
        everyone = np.ones(len(rows), dtype=bool)
        known = ratio(weights @ rows[:, -1], weights @ rows[:, -2])
        scores = {
            "micro": f1(truth, said, weights, "micro"),
            "macro": f1(truth, said, weights, "macro"),
            "located": f1(there, answered, weights, "micro"),
            "known": known,
        }
        each = f1(truth, said, weights, "none")
        scores |= {f"finding:{name}": each[:, number] for number, name in enumerate(FINDINGS)}
        used = {"known": rows[:, -2] > 0}
        return {name: (values, used.get(name, everyone)) for name, values in scores.items()}

    def per_sample(self, rows: Array) -> dict[str, Array]:
        """Return each report's own F1, NaN where neither side states a finding."""
        width = len(places())
        truth, said = (part @ self._findings > 0 for part in (rows[:, :width], rows[:, width : 2 * width]))
        both, either = (truth & said).sum(axis=1), truth.sum(axis=1) + said.sum(axis=1)
        return {"micro": np.divide(2.0 * both, either, out=np.full(len(rows), np.nan), where=either > 0)}


def _row(pair: Pair) -> list[int]:
    known = vocabulary()
    there = [sentence for text in pair.sample.references[:1] for sentence in sentences(text)]
    if not there or any(sentence not in known for sentence in there):
        raise DataError(
            f"twin-findings: the reference of {pair.sample.id} is no report of a twin",
            hint="it reads the findings of medbench's own twins; on real reports a clinical labeller does that",
        )
    answer = sentences(pair.value.text) if isinstance(pair.value, Text) else []
    sides = [frozenset().union(*(known.get(sentence, frozenset()) for sentence in text)) for text in (there, answer)]
    return [*(int(place in side) for side in sides for place in places()), len(answer), sum(sentence in known for sentence in answer)]
