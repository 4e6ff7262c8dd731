"""chrF2 and chrF2++, equal to sacreBLEU's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from medbench.types import Pair
from medbench_lexical.conventions import raw_texts
from medbench_lexical.ngrams import Counts, counted
from medbench_lexical.weighting import Array, Reduced, sums

CHARACTERS, WORDS = 6, 2
BETA = 2
BLOCK = 256
"""Samples counted at a time: six orders of characters are a thousand numbers for every hundred words."""

_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class Chrf:
    """F2-score of character n-grams (orders 1 to 6, without white space); chrF++ has word n-grams (1 and 2) beside them.

    Corpus values come from counts summed over samples, and precision and recall averaged over orders. Of several references the
    one with the best score for the sample is taken.

    Args:
        convention: Not used: this metric has its own tokens.

    >>> from medbench.types import Sample, Text
    >>> sample = Sample(id="1", group="1", split="test", references=("No pleural effusion.",))
    >>> metric = Chrf()
    >>> rows = metric.measure([Pair(sample, Text(text="No effusion."))])
    >>> {name: round(float(values[0]), 6) for name, (values, _) in metric.reduce(rows, [[1]]).items()}
    {'chrf': 0.484083, 'chrf++': 0.507308}
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None) -> None:
        del convention

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return n-grams of prediction, of reference, and matches, for each order of both scores. Shape (pairs, 42)."""
        hypotheses, references = raw_texts(pairs)
        samples = zip(hypotheses, references, strict=True)
        blocks = [np.zeros((0, 3 * (2 * CHARACTERS + WORDS)))]
        while block := list(islice(samples, BLOCK)):
            blocks.append(_statistics([text for ours, theirs in block for text in (ours, *theirs)], [len(theirs) for _, theirs in block]))
        return np.concatenate(blocks)

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return corpus scores per resample, fractions 0..1 (sacreBLEU prints 0..100); NaN for a resample without samples."""
        totals, samples = sums(rows, weights)
        used = np.ones(len(rows), dtype=bool)
        return {name: (np.where(samples > 0, values, np.nan), used) for name, values in self.per_sample(totals).items()}

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the scores of each sample."""
        rows = np.asarray(rows, dtype=np.float64)
        return {"chrf": f_score(rows[:, : 3 * CHARACTERS]), "chrf++": f_score(rows[:, 3 * CHARACTERS :])}

    def signature(self) -> dict[str, str]:
        """Return sacreBLEU's signatures of the two scores."""
        rest = "space:no|as:sacrebleu-2.6.0"
        return {"chrf": f"case:mixed|eff:yes|nc:6|nw:0|{rest}", "chrf++": f"case:mixed|eff:yes|nc:6|nw:2|{rest}"}


def _statistics(texts: Sequence[str], n_references: Sequence[int]) -> Array:
    characters = _per_document(counted(["".join(text.split()) for text in texts], n_references, CHARACTERS))
    counts = counted([separated(text) for text in texts], n_references, WORDS)
    words = _per_document(counts)
    return np.hstack((_best(characters, counts), _best(np.hstack((characters, words)), counts)))


def separated(text: str) -> list[str]:
    """Return the words of a text, one punctuation mark at the end or else at the beginning of each set apart.

    >>> separated("(mild) effusion, left.")
    ['(mild', ')', 'effusion', ',', 'left', '.']
    """
    words: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in _PUNCTUATION:
            words += (word[:-1], word[-1])
        elif len(word) > 1 and word[0] in _PUNCTUATION:
            words += (word[0], word[1:])
        else:
            words.append(word)
    return words


def _per_document(counts: Counts) -> Array:
    """Return, for each order, n-grams of the prediction, of the document, and matches; shape (documents, 3 x orders)."""
    columns = []
    for number, order in enumerate(counts.orders):
        total = np.maximum(counts.length - number, 0)
        common = np.minimum(order.times[order.ours], order.times[order.theirs])
        matches = np.bincount(order.document[order.theirs], common, minlength=len(total))
        # An order that the reference has not does not count against the prediction.
        columns += [np.where(total > 0, total[counts.hypothesis[counts.sample]], 0), total, matches]
    return np.column_stack(columns).astype(np.float64)


def _best(statistics: Array, counts: Counts) -> Array:
    """Return the statistics of each sample's best reference, the first of equals."""
    is_reference = np.ones(len(counts.sample), dtype=bool)
    is_reference[counts.hypothesis] = False
    documents = np.flatnonzero(is_reference)
    order = np.lexsort((documents, -f_score(statistics[documents]), counts.sample[documents]))
    sample = counts.sample[documents[order]]
    return statistics[documents[order[np.r_[True, np.diff(sample) != 0]]]]


def f_score(statistics: Array) -> Array:
    """Return the F2-score for rows of (prediction, reference, match) counts, over the orders that both sides have."""
    ours, theirs, matches = (statistics[:, part::3] for part in range(3))
    both = (ours > 0) & (theirs > 0)
    orders = np.maximum(both.sum(axis=1), 1)
    precision = np.where(both, matches / np.maximum(ours, 1.0), 0.0).sum(axis=1) / orders
    recall = np.where(both, matches / np.maximum(theirs, 1.0), 0.0).sum(axis=1) / orders
    below = BETA**2 * precision + recall
    scores: Array = np.divide((1 + BETA**2) * precision * recall, below, out=np.zeros(len(statistics)), where=below > 0)
    return scores
