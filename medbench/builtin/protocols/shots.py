"""Which examples a head gets: stratified draws of so many, the same for every model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medbench.builtin.protocols.embedding import Array
from medbench.errors import DataError
from medbench.identity import hash_order
from medbench.types import Sample

ALL = "all"


def truth_of(samples: Sequence[Sample], labels: Sequence[str]) -> Array:
    """Return 1, 0 or NaN (not known) of each sample and label, float64 (samples, labels)."""
    cells = [[np.nan if (value := sample.labels.get(label)) is None else value for label in labels] for sample in samples]
    return np.array(cells, dtype=np.float64).reshape(len(samples), len(labels))


def are_exclusive(truth: Array) -> bool:
    """Say whether every sample has exactly one of several labels.

    >>> are_exclusive(np.array([[1, 0], [0, 1]])), are_exclusive(np.array([[1, 0], [np.nan, 1]])), are_exclusive(np.array([[1]]))
    (True, False, False)
    """
    return truth.shape[1] > 1 and bool((truth.sum(axis=1) == 1).all())


def wanted_shots(stated: str | Sequence[int | str]) -> list[int | str]:
    """Return the numbers of examples that are asked for, ascending, `all` last.

    Raises:
        ValueError: something is neither a positive number nor `all`.

    >>> wanted_shots("all,25,10"), wanted_shots([10, "25", 10])
    ([10, 25, 'all'], [10, 25])
    """
    given = stated.split(",") if isinstance(stated, str) else stated
    named = [str(item).strip() for item in given if str(item).strip()]
    wrong = next((item for item in named if item != ALL and not (item.isdecimal() and int(item) > 0)), None)
    if wrong is not None or not named:
        raise ValueError(f"shots: {wrong or 'none'}; positive numbers and all")
    return [*sorted({int(item) for item in named if item != ALL}), *([ALL] if ALL in named else [])]


def strata(truth: Array) -> Array:
    """Return the stratum of each sample: its rarest label, or none, int64 (samples,).

    >>> strata(np.array([[1, 1], [1, 0], [1, np.nan], [0, 0]])).tolist()
    [1, 0, 0, -1]
    """
    there = truth == 1
    rarest_first = np.argsort(there.sum(axis=0), kind="stable")
    first = there[:, rarest_first].argmax(axis=1)
    return np.where(there.any(axis=1), rarest_first[first], -1)


def draw(samples: Sequence[Sample], stratum: Array, count: int, seed: str) -> Array:
    """Return the indices of `count` samples, sorted: every stratum in proportion, each at least once where there is room.

    A sample's place in the draw follows from seed and id alone, so a larger draw holds (up to rounding) the smaller one.

    Args:
        samples: What is drawn from.
        stratum: Which stratum each is of, (samples,).
        count: How many; at most as many as there are.
        seed: Seed of the draw.

    Raises:
        DataError: there are not so many samples.
    """
    if count > len(samples):
        raise DataError(f"{count} examples are asked for, and {len(samples)} are there")
    place = {name: at for at, name in enumerate(hash_order(f"{seed}\0{sample.id}" for sample in samples))}
    order = np.array([place[f"{seed}\0{sample.id}"] for sample in samples], dtype=np.int64)
    members = {int(value): np.flatnonzero(stratum == value) for value in np.unique(stratum)}
    shares = _shares({value: len(at) for value, at in members.items()}, count)
    chosen = [at[np.argsort(order[at])][: shares[value]] for value, at in members.items()]
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)


def _shares(sizes: Mapping[int, int], count: int) -> dict[int, int]:
    """Return how many of each stratum: one each, the largest first, then whoever lacks most of its proportion."""
    total = sum(sizes.values())
    given = dict.fromkeys(sizes, 0)
    for value in sorted(sizes, key=lambda value: (-sizes[value], value))[:count]:
        given[value] = 1
    ideal = {value: count * size / total for value, size in sizes.items()}
    whole = {value: min(sizes[value], max(given[value], int(ideal[value]))) for value in sizes}
    given = whole if sum(whole.values()) <= count else given
    while sum(given.values()) < count:
        open_ = [value for value in sizes if given[value] < sizes[value]]
        given[min(open_, key=lambda value: (given[value] - ideal[value], value))] += 1
    return given


def known_labels(truth: Array, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that any sample knows."""
    known = ~np.isnan(truth)
    return tuple(label for at, label in enumerate(labels) if known[:, at].any())
