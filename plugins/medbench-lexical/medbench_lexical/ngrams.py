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
    count: Ints


class Counts(NamedTuple):
    """Documents are numbered sample by sample: its prediction first, then its references."""

    sample: Ints
    """The sample of each document."""
    hypothesis: Ints
    """The document that is the prediction of each sample."""
    length: Ints
    """Tokens of each document."""
    orders: tuple[Order, ...]


class Matches(NamedTuple):
    """Entries of an order that hold the same n-gram for a prediction and for one of its references."""

    hypothesis: Ints
    reference: Ints
    """Indices into the order's arrays."""


@lru_cache(maxsize=1)
def count(texts: Texts) -> Counts:
    """Count the n-grams of orders 1 to 4.

    Tokens are what stands between white space. The last result is kept: metrics under one convention share it.
    """
    sizes = np.array([1 + len(references) for references in texts.references], dtype=np.int64)
    words = [text.split() for sample in zip(texts.hypotheses, texts.references, strict=True) for text in (sample[0], *sample[1])]
    tokens, length = numbered(words)
    sample = np.repeat(np.arange(len(sizes)), sizes)
    return Counts(sample, np.cumsum(sizes) - sizes, length, tuple(_orders(tokens, length)))


def numbered(documents: Sequence[Sequence[Any]]) -> tuple[Ints, Ints]:
    """Return all tokens as numbers, documents one after another, and the length of each document."""
    flat = list(chain.from_iterable(documents))
    number = {token: index for index, token in enumerate(dict.fromkeys(flat))}
    tokens = np.fromiter(map(number.__getitem__, flat), dtype=np.int64, count=len(flat))
    return tokens, np.fromiter(map(len, documents), dtype=np.int64, count=len(documents))


def _orders(tokens: Ints, length: Ints) -> Iterator[Order]:
    document = np.repeat(np.arange(len(length)), length)
    end = np.repeat(np.cumsum(length), length)
    start = np.arange(len(tokens))
    gram = tokens
    vocabulary = int(tokens.max(initial=0)) + 1
    for order in range(1, ORDERS + 1):
        if order > 1:
            inside = start + order <= end[start] if len(start) else np.zeros(0, dtype=bool)
            start, gram = start[inside], gram[inside]
            gram = gram * vocabulary + tokens[start + order - 1]
        gram, made = _grouped(gram, document[start])
        yield made


def _grouped(key: Ints, document: Ints) -> tuple[Ints, Order]:
    """Return consecutive numbers for the keys, and the entries of the order."""
    size = len(key)
    if size == 0:
        return key, Order(key, document, key)
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
    return back, Order(number[first], owner[first], np.diff(np.r_[first, size]))


def matches(counts: Counts, order: Order) -> Matches:
    """Return the pairs of entries in which a prediction shares an n-gram with one of its references."""
    sample = counts.sample[order.document]
    candidates = np.flatnonzero(counts.hypothesis[sample] == order.document)
    pairs = []
    for distance in range(1, len(order.gram)):
        candidates = candidates[candidates + distance < len(order.gram)]
        other = candidates + distance
        same = (order.gram[other] == order.gram[candidates]) & (sample[other] == sample[candidates])
        candidates = candidates[same]
        if len(candidates) == 0:
            break
        pairs.append((candidates, candidates + distance))
    if not pairs:
        return Matches(candidates[:0], candidates[:0])
    return Matches(*(np.concatenate(side) for side in zip(*pairs, strict=True)))


def clipped(counts: Counts, order: Order) -> Ints:
    """Return, per sample, how many n-grams of the prediction occur in a reference, none more often than in that reference."""
    pairs = matches(counts, order)
    best = np.zeros(len(order.gram), dtype=np.int64)
    np.maximum.at(best, pairs.hypothesis, order.count[pairs.reference])
    taken = np.minimum(order.count, best)
    return np.bincount(counts.sample[order.document], taken, minlength=len(counts.hypothesis)).astype(np.int64)
