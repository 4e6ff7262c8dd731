"""The kernel distance (KID) of two sets of features: one Gram matrix, and every subset a matrix product."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SUBSETS, SUBSET_SIZE = 100, 1000
"""As in clean-fid."""


class Grams(NamedTuple):
    """Kernel values within and between two sets."""

    drawn: Array
    real: Array
    between: Array


def grams(drawn: Array, real: Array) -> Grams:
    """Return the polynomial kernel (x.y / d + 1)^3 within and between two sets of features, in float64."""
    x, y = np.asarray(drawn, dtype=np.float64), np.asarray(real, dtype=np.float64)

    def kernel(a: Array, b: Array) -> Array:
        return (a @ b.T / a.shape[1] + 1) ** 3

    return Grams(kernel(x, x), kernel(y, y), kernel(x, y))


def subset_kid(made: Grams, seed: int = 0, subsets: int = SUBSETS, size: int = SUBSET_SIZE) -> float:
    """Return the mean over seeded subsets of equal size, as clean-fid computes it; NaN below two pictures a side.

    Source: Binkowski et al., ICLR 2018; clean-fid 0.1.35 `kernel_distance`, with a seed and in float64.
    """
    n, m = made.between.shape
    size = min(n, m, size)
    if size < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    chosen = [np.zeros((subsets, count)) for count in (n, m)]
    for row in range(subsets):
        for taken, count in zip(chosen, (n, m), strict=True):
            taken[row, rng.choice(count, size, replace=False)] = 1.0
    return float(np.mean(_mmd(made, *chosen, size, size)))


def full_kid(made: Grams, drawn: Array, real: Array) -> float:
    """Return the unbiased estimate from all pictures at these indices; NaN below two a side."""
    if min(len(drawn), len(real)) < 2:
        return float("nan")
    sides = [np.zeros((1, count)) for count in made.between.shape]
    sides[0][0, drawn] = sides[1][0, real] = 1.0
    return float(_mmd(made, *sides, len(drawn), len(real))[0])


def _mmd(made: Grams, drawn: Array, real: Array, n: int, m: int) -> Array:
    """Return the squared maximum mean discrepancy of each pair of rows of indicators, without the diagonals."""

    def within(kernel: Array, taken: Array, count: int) -> Array:
        inner: Array = ((taken @ kernel) * taken).sum(axis=1) - taken @ np.diag(kernel)
        return inner / (count * (count - 1))

    between = ((drawn @ made.between) * real).sum(axis=1) / (n * m)
    return within(made.drawn, drawn, n) + within(made.real, real, m) - 2 * between
