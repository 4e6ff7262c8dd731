"""The mean of sentence BLEU without smoothing, which some projects print as "BLEU"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.types import Pair
from medbench_lexical.bleu import statistics_of
from medbench_lexical.conventions import chosen, texts_of
from medbench_lexical.ngrams import ORDERS, counted
from medbench_lexical.weighting import Array, Reduced, means


class SentenceBleu:
    """Mean over samples of BLEU-n of the single text: 0 as soon as one order has no match, so short answers score 0.

    Tokens are what stands between spaces. As NLTK's `sentence_bleu` without smoothing, except that where NLTK puts the smallest
    float in the place of a zero count (a score of about 1e-154), the score here is 0.

    >>> from medbench.types import Sample, Text
    >>> sample = Sample(id="1", group="1", split="test", references=("No pleural effusion. Heart normal.",))
    >>> metric = SentenceBleu(convention={"text": "lower-period@1"})
    >>> [round(float(value), 6) for value in metric.measure([Pair(sample, Text(text="no effusion. heart normal."))])[0]]
    [0.846482, 0.757116, 0.71395, 0.673182]
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None, train_references: Sequence[str] | None = None) -> None:
        self._convention = chosen(convention or {}, "lower-period@1")
        self._train_references = train_references

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return sentence BLEU-1 to BLEU-4 (0..1) per pair, shape (pairs, 4)."""
        texts = texts_of(pairs, self._convention, self._train_references)
        samples = zip(texts.hypotheses, texts.references, strict=True)
        documents = [[token for token in text.split(" ") if token] for ours, theirs in samples for text in (ours, *theirs)]
        return scores(statistics_of(counted(documents, [len(references) for references in texts.references])))

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return the means per resample, fractions 0..1; NaN for a resample without samples."""
        return means(self.per_sample(rows), weights)

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the scores of each sample."""
        rows = np.asarray(rows, dtype=np.float64)
        return {f"sentence-bleu-{n + 1}": rows[:, n] for n in range(ORDERS)}

    def signature(self) -> dict[str, str]:
        """Return what defines the number beside its convention."""
        return {"sentence-bleu": "mean of sentences|length:closest|smooth:none"}


def scores(statistics: Array) -> Array:
    """Return sentence BLEU-1..4 for rows of BLEU's statistics, shape (rows, 4)."""
    correct, guessed, length, reference = statistics[:, :4], statistics[:, 4:8], statistics[:, 8], statistics[:, 9]
    matched = np.cumprod(correct > 0, axis=1).astype(bool)
    logs = np.log(np.where(matched, correct, 1.0) / np.maximum(guessed, 1.0))
    roots = np.where(matched, np.exp(np.cumsum(logs, axis=1) / np.arange(1, ORDERS + 1)), 0.0)
    penalty = np.exp(np.minimum(0.0, 1 - reference / np.maximum(length, 1.0)))
    return roots * penalty[:, None]
