"""ROUGE-1, -2, -L and -Lsum, equal to those of the rouge-score package (without its bootstrap)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.types import Pair
from medbench_lexical.conventions import raw_texts
from medbench_lexical.ngrams import Counts, counted
from medbench_lexical.porter import stem
from medbench_lexical.rouge_l import common_lengths
from medbench_lexical.weighting import Array, Reduced, means

NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")

_WORD = re.compile("[a-z0-9]+")


class RougeScore:
    """Means over samples of the F1 of unigrams, bigrams, the longest common subsequence, and its union over lines (Lsum).

    Tokens are runs of a-z and 0-9 of the text in lower case. Of several references the best one is taken, for each score apart.

    Args:
        convention: Not used: the tokenizer is part of this metric.
        stem: Stem words of more than three letters (Porter, NLTK's variant).

    >>> from medbench.types import Sample, Text
    >>> sample = Sample(id="1", group="1", split="test", references=("Small left effusions. Heart size normal.",))
    >>> row = RougeScore(stem=True).measure([Pair(sample, Text(text="The heart size is normal, small effusion."))])[0]
    >>> [round(float(value), 6) for value in row]
    [0.769231, 0.181818, 0.461538, 0.461538]
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None, stem: bool = False) -> None:
        del convention
        self._stem = stem

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return the four F1 (0..1) per pair, shape (pairs, 4)."""
        hypotheses, references = raw_texts(pairs)
        if not pairs:
            return np.zeros((0, len(NAMES)))
        sizes = np.array([len(texts) for texts in references], dtype=np.int64)
        ours = [self._tokens(text) for text in hypotheses]
        theirs = [[self._tokens(text) for text in texts] for texts in references]
        samples = zip(ours, theirs, strict=True)
        counts = counted([tokens for one, others in samples for tokens in (one, *others)], sizes.tolist(), orders=2)
        longest = self._longest(ours, [tokens for others in theirs for tokens in others], sizes)
        lines = self._lines(hypotheses, references, longest)
        first = np.cumsum(sizes) - sizes
        return np.column_stack([np.maximum.reduceat(values, first) for values in (*_by_ngrams(counts), longest, lines)])

    def _tokens(self, text: str) -> list[str]:
        words = _WORD.findall(text.lower())
        return [stem(word) if len(word) > 3 else word for word in words] if self._stem else words

    def _longest(self, ours: Sequence[Sequence[str]], theirs: Sequence[Sequence[str]], sizes: Any) -> Array:
        """Return the F1 of the longest common subsequence for each reference."""
        common = common_lengths([" ".join(tokens) for tokens in ours], [" ".join(tokens) for tokens in theirs], sizes)
        our_length = np.repeat([len(tokens) for tokens in ours], sizes)
        their_length = np.array([len(tokens) for tokens in theirs])
        return _f1(np.where((our_length > 0) & (their_length > 0), common, 0), our_length, their_length)

    def _lines(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], longest: Array) -> Array:
        """Return ROUGE-Lsum for each reference; where both texts are one line it is ROUGE-L."""
        made = longest.copy()
        flat = ((one, other) for one, others in zip(hypotheses, references, strict=True) for other in others)
        for index, texts in enumerate(flat):
            one, other = ([line for line in text.split("\n") if line] for text in texts)
            if len(one) > 1 or len(other) > 1:
                made[index] = union_f1([self._tokens(line) for line in one], [self._tokens(line) for line in other])
        return made

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return the means per resample, fractions 0..1; NaN for a resample without samples."""
        return means(self.per_sample(rows), weights)

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the scores of each sample."""
        rows = np.asarray(rows, dtype=np.float64)
        return {name: rows[:, column] for column, name in enumerate(NAMES)}

    def signature(self) -> dict[str, str]:
        """Return what defines the number."""
        return {"rouge-score": f"F1|tok:[a-z0-9]+|stem:{'porter-nltk' if self._stem else 'no'}|mean over samples|as:rouge-score-0.1.2"}


def _by_ngrams(counts: Counts) -> list[Array]:
    """Return the F1 of n-grams for each reference, one array for each order."""
    is_reference = np.ones(len(counts.sample), dtype=bool)
    is_reference[counts.hypothesis] = False
    made = []
    for number, order in enumerate(counts.orders):
        total = np.maximum(counts.length - number, 0)
        common = np.minimum(order.times[order.ours], order.times[order.theirs])
        matches = np.bincount(order.document[order.theirs], common, minlength=len(total))
        made.append(_f1(matches, total[counts.hypothesis[counts.sample]], total)[is_reference])
    return made


def _f1(matches: Any, ours: Any, theirs: Any) -> Array:
    precision, recall = matches / np.maximum(ours, 1), matches / np.maximum(theirs, 1)
    below = precision + recall
    scores: Array = np.divide(2 * precision * recall, below, out=np.zeros(len(below)), where=below > 0)
    return scores


def union_f1(ours: Sequence[Sequence[str]], theirs: Sequence[Sequence[str]]) -> float:
    """Return the F1 of the words of reference lines that are in a longest common subsequence with some line of the prediction.

    A word counts no more often than it occurs on either side.
    """
    our_left, their_left = (Counter(word for line in lines for word in line) for lines in (ours, theirs))
    n_ours, n_theirs = our_left.total(), their_left.total()
    if not n_ours or not n_theirs:
        return 0.0
    hits = 0
    for line in theirs:
        for index in sorted({index for other in ours for index in common_places(line, other)}):
            word = line[index]
            if our_left[word] > 0 and their_left[word] > 0:
                hits += 1
                our_left[word] -= 1
                their_left[word] -= 1
    return 2 * hits / (n_ours + n_theirs)


def common_places(line: Sequence[str], other: Sequence[str]) -> list[int]:
    """Return where in `line` the words of a longest common subsequence stand; of several the one rouge-score finds.

    >>> common_places("a b a".split(), "b a b".split())
    [0, 1]
    """
    lengths = [[0] * (len(other) + 1)]
    for word in line:
        above, row = lengths[-1], [0]
        for column, another in enumerate(other):
            row.append(above[column] + 1 if word == another else max(above[column + 1], row[column]))
        lengths.append(row)
    places = []
    i, j = len(line), len(other)
    while i and j:
        if line[i - 1] == other[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif lengths[i][j - 1] > lengths[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places[::-1]
