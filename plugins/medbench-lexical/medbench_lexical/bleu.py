"""Corpus BLEU, equal to COCOEvalCap's to the last bit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.types import Pair
from medbench_lexical.conventions import Texts, chosen, texts_of
from medbench_lexical.ngrams import ORDERS, Counts, clipped, count
from medbench_lexical.weighting import Array, Reduced, sums

TINY, SMALL = 1e-15, 1e-9
"""What COCOEvalCap adds above and below each fraction, in place of smoothing."""


class Bleu:
    """BLEU-1 to BLEU-4 from n-gram counts summed over the corpus, with the closest reference length (the shorter one of two).

    No smoothing; the value of a short corpus is therefore tiny, and that of one sample (`per_sample`) is no metric by itself.

    >>> from medbench.types import Sample, Text
    >>> sample = Sample(id="1", group="1", split="test", references=("the heart is normal in size",))
    >>> metric = Bleu(convention={"text": "lower-split@1"})
    >>> rows = metric.measure([Pair(sample, Text(text="The heart is normal"))])
    >>> {name: float(values[0]) for name, (values, _) in metric.reduce(rows, [[1]]).items()}["bleu-4"]
    0.6065306592451
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None, train_references: Sequence[str] | None = None) -> None:
        self._convention = chosen(convention or {}, "coco-ptb@1")
        self._train_references = train_references

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return per pair: matches of orders 1 to 4, n-grams of orders 1 to 4, length, reference length. Shape (pairs, 10)."""
        return statistics(texts_of(pairs, self._convention, self._train_references))

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return corpus BLEU per resample, fractions 0..1; NaN for a resample without samples."""
        totals, samples = sums(rows, weights)
        values = np.where(samples[:, None] > 0, _scores(totals), np.nan)
        return {f"bleu-{n + 1}": (values[:, n], np.ones(len(rows), dtype=bool)) for n in range(ORDERS)}

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the corpus formula applied to each sample alone, as COCOEvalCap lists it."""
        values = _scores(np.asarray(rows, dtype=np.float64))
        return {f"bleu-{n + 1}": values[:, n] for n in range(ORDERS)}

    def signature(self) -> dict[str, str]:
        """Return what defines the number beside its convention."""
        return {"bleu": "corpus|order:4|length:closest|smooth:none (1e-15/1e-9)|as:pycocoevalcap-1.2"}


def statistics(texts: Texts) -> Array:
    """Return BLEU's sufficient statistics, shape (samples, 10)."""
    return statistics_of(count(texts))


def statistics_of(counts: Counts) -> Array:
    """Return BLEU's sufficient statistics from counts of four orders, shape (samples, 10)."""
    length = counts.length[counts.hypothesis]
    correct = [clipped(counts, order) for order in counts.orders]
    guessed = [np.maximum(0, length - order) for order in range(ORDERS)]
    return np.column_stack([*correct, *guessed, length, closest_lengths(counts)]).astype(np.float64)


def closest_lengths(counts: Counts) -> Any:
    """Return, per sample, the reference length nearest to the prediction's; of two as near, the shorter."""
    own = counts.length[counts.hypothesis[counts.sample]]
    reference = np.ones(len(counts.sample), dtype=bool)
    reference[counts.hypothesis] = False
    sample, length = counts.sample[reference], counts.length[reference]
    order = np.lexsort((length, np.abs(length - own[reference]), sample))
    first = np.r_[True, np.diff(sample[order]) != 0] if len(order) else np.zeros(0, dtype=bool)
    return length[order[first]]


def _scores(statistics: Array) -> Array:
    """Return BLEU-1..4 for rows of statistics, in the operations and the order in which COCOEvalCap does them."""
    correct, guessed, length, reference = statistics[:, :4], statistics[:, 4:8], statistics[:, 8], statistics[:, 9]
    products = np.cumprod((correct + TINY) / (guessed + SMALL), axis=1)
    # numpy's power and exp may differ from the C library's in the last bit.
    roots = np.array([[value ** (1.0 / (n + 1)) for n, value in enumerate(row)] for row in products.tolist()]).reshape(-1, ORDERS)
    ratio = (length + TINY) / (reference + SMALL)
    penalty = np.array([math.exp(1 - 1 / r) if r < 1 else 1.0 for r in ratio.tolist()])
    scores: Array = roots * penalty[:, None]
    return scores
