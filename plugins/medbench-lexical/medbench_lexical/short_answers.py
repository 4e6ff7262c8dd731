"""Metrics of short answers: exact match, and F1 over bags of tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.types import Pair
from medbench_lexical.conventions import chosen, texts_of
from medbench_lexical.weighting import Array, Reduced, means


class ExactMatch:
    """Share of predictions whose tokens are those of one of the references, in order.

    >>> from medbench.types import Sample, Text
    >>> sample = Sample(id="1", group="1", split="test", references=("left lung", "the left lung"))
    >>> ExactMatch().measure([Pair(sample, Text(text=" Left  lung")), Pair(sample, Text(text="lung"))])[:, 0].tolist()
    [1.0, 0.0]
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None, train_references: Sequence[str] | None = None) -> None:
        self._convention = chosen(convention or {}, "lower-split@1")
        self._train_references = train_references

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return 1 or 0 per pair, shape (pairs, 1)."""
        texts = texts_of(pairs, self._convention, self._train_references)
        same = [
            any(ours.split() == text.split() for text in theirs) for ours, theirs in zip(texts.hypotheses, texts.references, strict=True)
        ]
        return np.array(same, dtype=np.float64).reshape(-1, 1)

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return the share per resample, a fraction 0..1; NaN for a resample without samples."""
        return means(self.per_sample(rows), weights)

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return 1 or 0 for each sample."""
        return {"exact-match": np.asarray(rows, dtype=np.float64)[:, 0]}


class TokenF1:
    """Means of F1, precision and recall of the bag of tokens against the reference with the best F1.

    A token counts as often as it occurs on both sides. Two empty texts agree; an empty one and another do not.

    >>> from medbench.types import Sample, Text
    >>> sample = Sample(id="1", group="1", split="test", references=("right lower lobe", "lower lobe on the right"))
    >>> TokenF1().measure([Pair(sample, Text(text="the right lower lung"))]).round(6).tolist()
    [[0.666667, 0.75, 0.6]]
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None, train_references: Sequence[str] | None = None) -> None:
        self._convention = chosen(convention or {}, "lower-split@1")
        self._train_references = train_references

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return F1, precision and recall (0..1) per pair, shape (pairs, 3)."""
        texts = texts_of(pairs, self._convention, self._train_references)
        rows = []
        for ours, theirs in zip(texts.hypotheses, texts.references, strict=True):
            bag = Counter(ours.split())
            rows.append(max(_agreement(bag, Counter(text.split())) for text in theirs))
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return the means per resample, fractions 0..1; NaN for a resample without samples."""
        return means(self.per_sample(rows), weights)

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the scores of each sample."""
        rows = np.asarray(rows, dtype=np.float64)
        return {name: rows[:, column] for column, name in enumerate(("f1", "precision", "recall"))}


def _agreement(ours: Counter[str], theirs: Counter[str]) -> tuple[float, float, float]:
    if not ours or not theirs:
        agreed = float(ours == theirs)
        return agreed, agreed, agreed
    common = (ours & theirs).total()
    precision, recall = common / ours.total(), common / theirs.total()
    return (2 * precision * recall / (precision + recall) if common else 0.0), precision, recall
