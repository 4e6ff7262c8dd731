"""Metrics of short answers: exact match, and F1 over bags of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.types import Pair
from medbench_lexical.conventions import chosen, texts_of
from medbench_lexical.ngrams import Counts, count
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
        return agreement(count(texts))

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return the means per resample, fractions 0..1; NaN for a resample without samples."""
        return means(self.per_sample(rows), weights)

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the scores of each sample."""
        rows = np.asarray(rows, dtype=np.float64)
        return {name: rows[:, column] for column, name in enumerate(("f1", "precision", "recall"))}


def agreement(counts: Counts) -> Array:
    """Return F1, precision and recall (0..1) of each prediction and the reference it agrees with best, shape (samples, 3)."""
    unigrams = counts.orders[0]
    shared = np.minimum(unigrams.times[unigrams.ours], unigrams.times[unigrams.theirs])
    common = np.bincount(unigrams.document[unigrams.theirs], shared, minlength=len(counts.sample))
    ours, theirs = counts.length[counts.hypothesis[counts.sample]], counts.length
    alike = (ours == 0) & (theirs == 0)
    precision, recall = (np.where(alike, 1.0, common / np.maximum(length, 1)) for length in (ours, theirs))
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros(len(both)), where=both > 0)
    reference = np.ones(len(counts.sample), dtype=bool)
    reference[counts.hypothesis] = False
    known = np.column_stack([f1, precision, recall])[reference]
    sample = counts.sample[reference]
    order = np.lexsort((*known.T[::-1], sample))
    return known[order[np.searchsorted(sample, np.arange(len(counts.hypothesis)), "right") - 1]]
