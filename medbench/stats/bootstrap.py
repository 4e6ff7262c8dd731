"""Draws whole groups with replacement, and turns the replicates of a figure into an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def draws(n_groups: int, resamples: int, seed: int, block: int) -> Iterator[Array]:
    """Yield resamples of `n_groups` groups with replacement, as counts.

    A group is what varies independently (a patient), so weights drawn once serve every row, metric and model: differences
    between them are then paired. Resample i is the same whatever `block` is.

    Args:
        n_groups: number of groups, 1 or more.
        resamples: number of resamples in all.
        seed: seed of the one generator (PCG64) behind all resamples.
        block: most resamples per yielded array, 1 or more.

    Yields:
        float64 arrays (<= block, n_groups) of whole numbers; every row sums to `n_groups`.

    Raises:
        ValueError: if `n_groups` or `block` is below 1.

    >>> next(draws(4, resamples=2, seed=0, block=2)).tolist()
    [[0.0, 1.0, 2.0, 1.0], [3.0, 1.0, 0.0, 0.0]]
    """
    if n_groups < 1 or block < 1:
        raise ValueError(f"there must be a group and a resample to a block: n_groups={n_groups}, block={block}")
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, block):
        counts = np.empty((min(block, resamples - start), n_groups))
        for row in counts:
            row[:] = np.bincount(generator.integers(0, n_groups, n_groups), minlength=n_groups)
        yield counts


def once(rows: int) -> Array:
    """Return the weights of the sample as it is: one resample, (1, rows), in which every row counts once.

    >>> once(3).tolist()
    [[1.0, 1.0, 1.0]]
    """
    return np.ones((1, rows))


def group_index(groups: Sequence[str], names: Sequence[str]) -> Array:
    """Return where each row's group stands among `names`.

    Args:
        groups: the group of each row.
        names: the sorted, unique names that weights are drawn for; groups without a row may be among them.

    Returns:
        int64 array (rows,), for `counts[:, index]`: the weights of the rows.

    Raises:
        KeyError: if a row's group is not among `names`.

    >>> group_index(["b", "a", "b"], ["a", "b", "c"]).tolist()
    [1, 0, 1]
    """
    place = {name: i for i, name in enumerate(names)}
    return np.fromiter((place[group] for group in groups), dtype=np.int64, count=len(groups))


def percentile_interval(replicates: Array, level: float = 0.95) -> tuple[float, float] | None:
    """Return the percentile interval of a figure's bootstrap replicates (Efron 1979), linearly interpolated.

    Args:
        replicates: the figure under each resample; NaN (undefined there, as AUROC without a positive) is dropped.
        level: nominal coverage, between 0 and 1.

    Returns:
        Low and high; None if fewer than two replicates, or fewer than half of them, are defined.

    Raises:
        ValueError: if `level` is not between 0 and 1.

    >>> percentile_interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    >>> percentile_interval(np.array([1.0, np.nan, np.nan]))
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level}")
    values = np.asarray(replicates, dtype=np.float64)
    defined = values[~np.isnan(values)]
    if defined.size < 2 or 2 * defined.size < values.size:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def replicate(statistic: Callable[[Array], Array], index: Array, *, resamples: int, seed: int, block: int = 128) -> Array:
    """Return a figure's value under each resample of the groups.

    Args:
        statistic: from weights (resamples, rows) to values (resamples,), as the functions of this package are.
        index: the group of each row, (rows,), numbered from 0.
        resamples: number of resamples.
        seed: seed of the draws.
        block: resamples that are held in memory at once.

    Returns:
        float64 array (resamples,).

    >>> values, index = np.array([1.0, 2.0, 6.0]), np.array([0, 1, 1])
    >>> replicate(lambda w: w @ values / w.sum(1), index, resamples=4, seed=0).tolist()
    [4.0, 3.0, 1.0, 1.0]
    """
    blocks = draws(int(index.max()) + 1, resamples, seed, block)
    return np.concatenate([np.asarray(statistic(counts[:, index])) for counts in blocks])
