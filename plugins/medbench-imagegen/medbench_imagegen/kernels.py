"""The kernel distance (KID) of two sets of features: one Gram matrix, in blocks, and every subset a matrix product."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SUBSETS, SUBSET_SIZE = 100, 1000
"""As in clean-fid."""
BLOCK = 1024
"""Rows of the Gram matrix that are held at a time."""


def kernel_distance(drawn: Array, real: Array, seed: int = 0, subsets: int = SUBSETS, size: int = SUBSET_SIZE) -> float:
    """Return the mean over seeded subsets of equal size of the unbiased kernel distance; NaN below two pictures a side.

    The kernel is (x.y / d + 1)^3, in float64. With sets of one size that is no larger, every subset is the whole set.

    Args:
        drawn: Features, shape (n, d).
        real: Features, shape (m, d).
        seed: Seed of the subsets.
        subsets: How many.
        size: Pictures of each side in a subset, at most.

    Source: Binkowski et al., ICLR 2018; clean-fid 0.1.35 `kernel_distance`, which draws without a seed, in float32.
    """
    x, y = np.asarray(drawn, dtype=np.float64), np.asarray(real, dtype=np.float64)
    size = min(len(x), len(y), size)
    if size < 2:
        return float("nan")
    if len(x) == len(y) == size:
        subsets = 1
    rng = np.random.default_rng(seed)
    taken = [np.zeros((subsets, len(side))) for side in (x, y)]
    for row in range(subsets):
        for side in taken:
            side[row, rng.choice(side.shape[1], size, replace=False)] = 1.0
    within = np.zeros(subsets)
    for side, rows in zip((x, y), taken, strict=True):
        within += _sums(side, side, rows, rows) - rows @ _cubed((side * side).sum(axis=1), x.shape[1])
    return float(np.mean(within / (size * (size - 1)) - 2 * _sums(x, y, *taken) / size**2))


def _sums(one: Array, other: Array, rows: Array, columns: Array) -> Array:
    """Return, for each pair of indicators, the sum of the kernel over the pictures that they name."""
    total = np.zeros(len(rows))
    for start in range(0, len(one), BLOCK):
        part = slice(start, start + BLOCK)
        total += ((rows[:, part] @ _cubed(one[part] @ other.T, one.shape[1])) * columns).sum(axis=1)
    return total


def _cubed(products: Array, dimension: int) -> Array:
    """Return the kernel of inner products, in their own place."""
    products /= dimension
    products += 1
    products *= products * products
    return products
