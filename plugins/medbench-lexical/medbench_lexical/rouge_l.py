"""ROUGE-L, equal to COCOEvalCap's to the last bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from medbench.types import Pair
from medbench_lexical.conventions import Texts, chosen, texts_of
from medbench_lexical.ngrams import numbered
from medbench_lexical.weighting import Array, Reduced, means

BETA = 1.2
_CHARACTERS = 0x110000


class RougeL:
    """Mean over samples of the F-score (beta 1.2) of the longest common subsequence of tokens.

    Precision and recall are each taken from the reference that is best for it. Tokens are what stands between single spaces,
    so an empty text has one empty token, and is equal to an empty reference.

    >>> from medbench.types import Sample, Text
    >>> sample = Sample(id="1", group="1", split="test", references=("the heart is normal in size",))
    >>> metric = RougeL(convention={"text": "lower-split@1"})
    >>> float(metric.measure([Pair(sample, Text(text="The heart is normal"))])[0, 0])
    0.7721518987341772
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None, train_references: Sequence[str] | None = None) -> None:
        self._convention = chosen(convention or {}, "coco-ptb@1")
        self._train_references = train_references

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return one F-score (0..1) per pair, shape (pairs, 1)."""
        return scores(texts_of(pairs, self._convention, self._train_references))[:, None]

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return the mean per resample, a fraction 0..1; NaN for a resample without samples."""
        return means(self.per_sample(rows), weights)

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the F-score of each sample."""
        return {"rouge-l": np.asarray(rows, dtype=np.float64)[:, 0]}

    def signature(self) -> dict[str, str]:
        """Return what defines the number beside its convention."""
        return {"rouge-l": "beta:1.2|references:max P, max R|mean over samples|as:pycocoevalcap-1.2"}


def scores(texts: Texts) -> Array:
    """Return the F-score of each sample."""
    sizes = np.array([len(references) for references in texts.references], dtype=np.int64)
    if len(sizes) == 0:
        return np.zeros(0)
    references = [text for sample in texts.references for text in sample]
    common = common_lengths(texts.hypotheses, references, sizes)
    ours, theirs = (np.array([1 + text.count(" ") for text in side]) for side in (texts.hypotheses, references))
    precision = np.maximum.reduceat(common / np.repeat(ours, sizes), np.cumsum(sizes) - sizes)
    recall = np.maximum.reduceat(common / theirs, np.cumsum(sizes) - sizes)
    made = np.zeros(len(sizes))
    top = (1 + BETA**2) * precision * recall
    np.divide(top, recall + BETA**2 * precision, out=made, where=(precision != 0) & (recall != 0))
    return made


def common_lengths(hypotheses: Sequence[str], references: Sequence[str], sizes: Any) -> Any:
    """Return the length of the longest common subsequence of each reference and its prediction, shape (references,).

    Tokens are what stands between single spaces. `sizes` tells how many references each prediction has; those of the first
    prediction come first.
    """
    coded = coded_texts([*hypotheses, *references])
    ours = [coded[index] for index in np.repeat(np.arange(len(hypotheses)), sizes).tolist()]
    return process.cpdist(ours, coded[len(hypotheses) :], scorer=LCSseq.similarity, dtype=np.int64)


def coded_texts(texts: Sequence[str]) -> list[Any]:
    """Return each text with one character for each token (a list of numbers, should Unicode be too small for the tokens)."""
    tokens = numbered(" ".join(texts).split(" "))
    bounds = pairwise(accumulate((1 + text.count(" ") for text in texts), initial=0))
    if int(tokens.max(initial=0)) >= _CHARACTERS:
        flat = tokens.tolist()
        return [flat[start:end] for start, end in bounds]
    coded = tokens.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return [coded[start:end] for start, end in bounds]
