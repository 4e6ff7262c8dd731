"""A small memory of what was computed before, bounded in entries, oldest out first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Results by key; a memory of `size` entries forgets the oldest.

    >>> squares = Memory(2)
    >>> [squares.get(n, lambda n: n * n) for n in (1, 2, 3)]
    [1, 4, 9]
    >>> squares.take([1, 2, 3])
    {2: 4, 3: 9}
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: dict[K, V] = {}
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[K], V]) -> V:
        """Return what is known for the key, or make it."""
        try:
            return self._known[key]
        except KeyError:
            made = make(key)
            self.keep({key: made})
            return made

    def take(self, keys: Iterable[K]) -> dict[K, V]:
        """Return what is known for these keys."""
        known = self._known
        return {key: known[key] for key in dict.fromkeys(keys) if key in known}

    def keep(self, entries: Mapping[K, V]) -> None:
        """Remember these, and forget the oldest beyond the size."""
        with self._lock:
            self._known.update(entries)
            excess = len(self._known) - self._size
            if excess > 0:
                for key in list(self._known)[:excess]:
                    del self._known[key]
