"""Counts of n-grams of predictions and references, as arrays: one pass serves BLEU, CIDEr and their kin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from medbench_lexical.conventions import Texts

Ints = np.ndarray[Any, np.dtype[np.int64]]
ORDERS = 4


class Order(NamedTuple):
    """The n-grams of one order: one entry per (n-gram, document), sorted by n-gram and then document."""

    gram: Ints
    document: Ints
    times: Ints
    ours: Ints
    """Entries of predictions that share their n-gram with a reference of the sample, once for each such reference …"""
    theirs: Ints
    """… and the entries of those references."""


class Counts(NamedTuple):
    """Documents are numbered sample by sample: its prediction first, then its references."""

    sample: Ints
    """The sample of each document."""
    hypothesis: Ints
    """The document that is the prediction of each sample."""
    length: Ints
    """Tokens of each document."""
    orders: tuple[Order, ...]


@lru_cache(maxsize=1)
def count(texts: Texts) -> Counts:
    """Count the n-grams of orders 1 to 4 of tokens between white space.

    The last result is kept: metrics under one convention share it.
    """
    words = [text.split() for sample in zip(texts.hypotheses, texts.references, strict=True) for text in (sample[0], *sample[1])]
    return counted(words, [len(references) for references in texts.references])


def counted(documents: Sequence[Sequence[Any]], n_references: Sequence[int], orders: int = ORDERS) -> Counts:
    """Count the n-grams of tokenized documents: of each sample its prediction, then its references.

    >>> counts = counted(["abab", "ab", "bab"], [2], orders=2)
    >>> [clipped(counts, order).tolist() for order in counts.orders]
    [[3], [2]]
    """
    sizes = 1 + np.array(n_references, dtype=np.int64)
    tokens = numbered(list(chain.from_iterable(documents)))
    length = np.fromiter(map(len, documents), dtype=np.int64, count=len(documents))
    sample = np.repeat(np.arange(len(sizes)), sizes)
    hypothesis = np.cumsum(sizes) - sizes
    return Counts(sample, hypothesis, length, tuple(_orders(tokens, length, sample, hypothesis, orders)))


def numbered(tokens: Sequence[Any]) -> Ints:
    """Return each token's number; equal tokens have equal numbers, in the order in which they first occur."""
    number = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return np.fromiter(map(number.__getitem__, tokens), dtype=np.int64, count=len(tokens))


def _orders(tokens: Ints, length: Ints, sample: Ints, hypothesis: Ints, orders: int) -> Iterator[Order]:
    document = np.repeat(np.arange(len(length)), length)
    end = np.repeat(np.cumsum(length), length)
    start = np.arange(len(tokens))
    gram = tokens
    vocabulary = int(tokens.max(initial=0)) + 1
    for order in range(1, orders + 1):
        if order > 1:
            inside = start + order <= end[start] if len(start) else np.zeros(0, dtype=bool)
            start, gram = start[inside], gram[inside]
            gram = gram * vocabulary + tokens[start + order - 1]
        gram, entries = _grouped(gram, document[start])
        owner = sample[entries[1]]
        yield Order(*entries, *_matches(entries[0], owner, hypothesis[owner] == entries[1]))


def _grouped(key: Ints, document: Ints) -> tuple[Ints, tuple[Ints, Ints, Ints]]:
    """Return consecutive numbers for the keys; and gram, document and count of each entry."""
    size = len(key)
    if size == 0:
        return key, (key, document, key)
    if int(key.max()) < (1 << 62) // size:
        # Sorting values that carry their position is several times faster than sorting positions by value.
        packed = np.sort(key * size + np.arange(size))
        position = packed % size
    else:
        position = np.argsort(key, kind="stable")
    ordered, owner = key[position], document[position]
    new_gram = np.r_[True, ordered[1:] != ordered[:-1]]
    first = np.flatnonzero(new_gram | np.r_[True, owner[1:] != owner[:-1]])
    number = np.cumsum(new_gram) - 1
    back = np.empty(size, dtype=np.int64)
    back[position] = number
    return back, (number[first], owner[first], np.diff(np.r_[first, size]))


def _matches(gram: Ints, sample: Ints, ours: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[Ints, Ints]:
    """Return the pairs of entries in which a prediction shares an n-gram with one of its references.

    Within an n-gram's entries a sample's prediction is followed by those of its references that have it.
    """
    found = [np.zeros((2, 0), dtype=np.int64)]
    candidates = np.flatnonzero(ours)
    distance = 1
    while len(candidates):
        candidates = candidates[candidates + distance < len(gram)]
        other = candidates + distance
        candidates = candidates[(gram[other] == gram[candidates]) & (sample[other] == sample[candidates])]
        found.append(np.stack((candidates, candidates + distance)))
        distance += 1
    ours_at, theirs_at = np.concatenate(found, axis=1)
    return ours_at, theirs_at


def clipped(counts: Counts, order: Order) -> Ints:
    """Return, per sample, how many n-grams of the prediction occur in a reference, none more often than in that reference."""
    best = np.zeros(len(order.gram), dtype=np.int64)
    np.maximum.at(best, order.ours, order.times[order.theirs])
    taken = np.minimum(order.times, best)
    return np.bincount(counts.sample[order.document], taken, minlength=len(counts.hypothesis)).astype(np.int64)
