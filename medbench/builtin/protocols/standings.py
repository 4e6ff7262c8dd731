"""Where the right candidate of each query stands: counted block by block, never as one table of everything with everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

TIE = 1e-6
"""Cosines that lie no further apart are tied, since float32 tells them apart by chance; ties count against the right one."""
BLOCK_CELLS = 16_000_000
"""Largest block of similarities (queries x candidates): 64 MB, whatever their number."""
_CHUNK = 64


class Standings(NamedTuple):
    """One entry per query."""

    rank: Array
    """Rank of the best right candidate, 1 is best, int64 (queries,); other right ones are passed over."""
    strict: Array
    """Rank of the query's own partner among all others, int64 (queries,)."""
    top: Array
    """The nearest candidates, the nearest first, int64 (queries, k)."""


def standings(queries: Array, candidates: Array, own: Array, codes: Array, top: int) -> Standings:
    """Return ranks by cosine; a tie is settled against the right candidate, so a model that tells nothing apart is last.

    Args:
        queries: Unit vectors, float32 (queries, dimensions).
        candidates: Unit vectors, float32 (candidates, dimensions).
        own: Index of each query's own partner among the candidates, (queries,).
        codes: What each candidate stands for, whole numbers (candidates,): those with the partner's code are right as well.
        top: How many of the nearest candidates are named.

    >>> images, captions = np.eye(3, dtype=np.float32), np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1]], dtype=np.float32)
    >>> found = standings(images, captions, np.arange(3), np.array([0, 1, 1]), 1)
    >>> found.rank.tolist(), found.strict.tolist(), found.top.tolist()
    ([1, 2, 1], [1, 3, 2], [[0], [0], [1]])
    """
    alike = _Alike(codes)
    step = max(1, BLOCK_CELLS // max(1, len(candidates)))
    made = [
        _block(queries[start : start + step] @ candidates.T, own[start : start + step], alike, top)
        for start in range(0, len(queries), step)
    ]
    if not made:
        return Standings(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, min(top, len(candidates))), np.int64))
    return Standings(*(np.concatenate(parts) for parts in zip(*made, strict=True)))


def nearest(similar: Array, count: int) -> Array:
    """Return the columns of the `count` largest values of each row, largest first, equal ones in order, int64 (rows, count).

    >>> nearest(np.array([[0.1, 0.9, 0.5]]), 2).tolist()
    [[1, 2]]
    """
    rows, width = similar.shape
    count = min(count, width)
    if not count:
        return np.empty((rows, 0), np.int64)
    columns = _in_best_chunks(similar, count)
    values = similar if columns is None else np.take_along_axis(similar, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return order if columns is None else np.take_along_axis(columns, order, axis=1)


class _Alike:
    """Which candidates have the same code."""

    def __init__(self, codes: Array) -> None:
        self._order = np.argsort(codes, kind="stable")
        ordered = codes[self._order]
        self._starts = np.searchsorted(ordered, codes, side="left")
        self._ends = np.searchsorted(ordered, codes, side="right")

    def several(self, own: Array) -> Iterator[tuple[int, Array]]:
        """Yield (row, right candidates) where the partner is not the only right one."""
        for row in np.flatnonzero(self._ends[own] - self._starts[own] > 1):
            at = own[row]
            yield int(row), self._order[self._starts[at] : self._ends[at]]


def _block(similar: Array, own: Array, alike: _Alike, top: int) -> Standings:
    threshold = similar[np.arange(len(own)), own] - np.float32(TIE)
    rank = np.count_nonzero(similar >= threshold[:, None], axis=1).astype(np.int64)
    strict = rank.copy()
    for row, right in alike.several(own):
        best = similar[row, right].max() - np.float32(TIE)
        rank[row] = 1 + np.count_nonzero(similar[row] >= best) - np.count_nonzero(similar[row, right] >= best)
    return Standings(rank, strict, nearest(similar, top))


def _in_best_chunks(similar: Array, count: int) -> Array | None:
    """Return the columns among which the `count` largest of each row are, sorted; None: all of them.

    The largest values lie in the chunks with the largest maxima, so that long rows are read once and hardly sorted.
    """
    rows, width = similar.shape
    chunks = width // _CHUNK
    if chunks <= 2 * count:
        return None
    whole = chunks * _CHUNK
    maxima = similar[:, :whole].reshape(rows, chunks, _CHUNK).max(axis=2)
    best = np.sort(np.argpartition(-maxima, count - 1, axis=1)[:, :count], axis=1)
    inside = (best[:, :, None] * _CHUNK + np.arange(_CHUNK)).reshape(rows, -1)
    rest = np.broadcast_to(np.arange(whole, width), (rows, width - whole))
    return np.concatenate([inside, rest], axis=1)
