"""How alike two questions are by their words: an inverted index with weights by rarity."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

_WORD = re.compile(r"[^\W_]+")

Scores = np.ndarray[Any, np.dtype[np.float32]]


class WordIndex:
    """Texts by their words; cosine of bags of words weighted by log((1 + texts) / (1 + texts with the word)).

    A word that all texts share (the wording of a prompt template) weighs nothing.

    Args:
        words: the vocabulary, in the order of the other arrays.
        starts: shape (words + 1,): where the postings of each word begin.
        texts: shape (postings,): the texts that have the word, by number.
        weights: shape (postings,), 0 to 1: the word's share in the unit vector of the text.
        size: number of texts.
    """

    def __init__(self, words: Sequence[str], starts: Any, texts: Any, weights: Any, size: int) -> None:
        self.words = tuple(words)
        self.starts, self.texts, self.weights, self.size = starts, texts, weights, size
        self._number = {word: number for number, word in enumerate(self.words)}

    @classmethod
    def of(cls, texts: Sequence[str]) -> WordIndex:
        """Return the index of distinct texts."""
        postings: dict[str, list[tuple[int, int]]] = {}
        for number, text in enumerate(texts):
            for word, times in _bag(text).items():
                postings.setdefault(word, []).append((number, times))
        words = sorted(postings)
        widths = np.array([len(postings[word]) for word in words], dtype=np.int64)
        starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(widths)])
        flat = np.array([pair for word in words for pair in postings[word]], dtype=np.int64).reshape(-1, 2)
        rarity = np.array([_rarity(len(texts), len(postings[word])) for word in words], dtype=np.float64)
        weights = flat[:, 1] * np.repeat(rarity, widths)
        lengths = np.sqrt(np.bincount(flat[:, 0], weights=weights * weights, minlength=len(texts)))
        lengths[lengths == 0] = 1.0
        return cls(words, starts, flat[:, 0].astype(np.int32), (weights / lengths[flat[:, 0]]).astype(np.float32), len(texts))

    def cosines(self, text: str) -> Scores:
        """Return the cosine of a text with each text of the index: shape (size,), 0 to 1.

        Words that the index lacks lengthen the text's vector: what is asked about unknown things is like nothing.
        """
        scores = np.zeros(self.size, dtype=np.float32)
        bag = {word: times * self._rarity_of(word) for word, times in _bag(text).items()}
        length = math.sqrt(sum(weight * weight for weight in bag.values()))
        # One order of words, so that sums are the same bits whichever way the text puts them.
        for word in sorted(word for word, weight in bag.items() if weight and word in self._number):
            found = slice(*self._span(word))
            scores[self.texts[found]] += np.float32(bag[word] / length) * self.weights[found]
        return scores

    def _span(self, word: str) -> tuple[int, int]:
        number = self._number[word]
        return int(self.starts[number]), int(self.starts[number + 1])

    def _rarity_of(self, word: str) -> float:
        if word not in self._number:
            return _rarity(self.size, 0)
        start, end = self._span(word)
        return _rarity(self.size, end - start)


def _bag(text: str) -> Counter[str]:
    return Counter(sorted(_WORD.findall(text.casefold())))


def _rarity(texts: int, with_word: int) -> float:
    return math.log((1 + texts) / (1 + with_word))
