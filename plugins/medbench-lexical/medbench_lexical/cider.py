"""CIDEr as COCOEvalCap computes it, to within rounding (1e-12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.identity import digest
from medbench.types import Pair
from medbench_lexical.conventions import Texts, chosen, texts_of
from medbench_lexical.ngrams import Counts, Order, count
from medbench_lexical.weighting import Array, Reduced, means

SIGMA = 6.0


class Cider:
    """Mean over samples of ten times the TF-IDF cosine of n-grams, clipped, with a Gaussian penalty on the difference in length.

    The document frequencies are those of the references of all pairs measured together, and stay as they are over resamples and
    subgroups: the same reports score differently beside others, and one sample alone scores 0. `signature` names that corpus.
    "Length" counts bigrams, as in COCOEvalCap.

    >>> from medbench.types import Sample, Text
    >>> said = ("no effusion is seen", "the heart is large", "lungs are clear")
    >>> samples = [Sample(id=text, group=text, split="test", references=(text,)) for text in said]
    >>> metric = Cider(convention={"text": "lower-split@1"})
    >>> rows = metric.measure([Pair(sample, Text(text="no effusion is seen")) for sample in samples])
    >>> [round(float(value), 6) for value in rows[:, 0]]
    [10.0, 0.108581, 0.0]
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None, train_references: Sequence[str] | None = None) -> None:
        self._convention = chosen(convention or {}, "coco-ptb@1")
        self._train_references = train_references
        self._corpus: dict[str, str | int] = {}

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return one score (0..10) per pair, shape (pairs, 1)."""
        texts = texts_of(pairs, self._convention, self._train_references)
        bags = sorted(digest(*references) for references in texts.references)
        self._corpus = {"idf-corpus": digest(*bags), "idf-samples": len(pairs)}
        return scores(texts)[:, None]

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return the mean per resample, 0..10; NaN for a resample without samples."""
        return means(self.per_sample(rows), weights)

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the score of each sample."""
        return {"cider": np.asarray(rows, dtype=np.float64)[:, 0]}

    def signature(self) -> dict[str, str | int]:
        """Return what defines the number beside its convention; the corpus of the IDF is known once something was measured."""
        return {"cider": "CIDEr|order:4|sigma:6|clipped|stem:no|idf:references of the evaluated set|as:pycocoevalcap-1.2", **self._corpus}


def scores(texts: Texts) -> Array:
    """Return the score of each sample."""
    if not texts.hypotheses:
        return np.zeros(0)
    counts = count(texts)
    cosine = np.mean([_cosines(counts, order) for order in counts.orders], axis=0)
    bigrams = np.maximum(counts.length - 1, 0)
    delta = (bigrams[counts.hypothesis[counts.sample]] - bigrams).astype(np.float64)
    similar = cosine * np.e ** (-(delta**2) / (2 * SIGMA**2))
    n_references = np.bincount(counts.sample) - 1
    return np.bincount(counts.sample, similar, minlength=len(n_references)) / n_references * 10.0


def _cosines(counts: Counts, order: Order) -> Array:
    """Return the clipped cosine of each document with its prediction, for n-grams of one order; 0 for predictions themselves."""
    documents = len(counts.sample)
    sample = counts.sample[order.document]
    is_reference = counts.hypothesis[sample] != order.document
    # In one n-gram's entries the references of a sample stand together: each sample counts once.
    gram, owner = order.gram[is_reference], sample[is_reference]
    fresh = np.r_[True, (np.diff(gram) != 0) | (np.diff(owner) != 0)][: len(gram)]
    frequency = np.bincount(gram[fresh], minlength=int(order.gram.max(initial=-1)) + 1)
    idf = np.log(float(len(counts.hypothesis))) - np.log(np.maximum(1.0, frequency))
    weight = order.times * idf[order.gram]
    norm = np.sqrt(np.bincount(order.document, weight * weight, minlength=documents))
    ours, theirs = weight[order.ours], weight[order.theirs]
    dot = np.bincount(order.document[order.theirs], np.minimum(ours, theirs) * theirs, minlength=documents)
    both = norm * norm[counts.hypothesis[counts.sample]]
    cosines: Array = np.divide(dot, both, out=np.zeros(documents), where=both != 0)
    return cosines
