"""Whether a figure, or a difference between systems, is another one in another subgroup."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import msgspec
import numpy as np

from medbench.stats.bootstrap import Array
from medbench.stats.multiplicity import holm
from medbench.stats.paired import Comparison, contrast

Figure = tuple[float, Array]
"""A figure on the sample itself, and its replicates (resamples,) under draws that all figures share."""


def gaps(levels: Mapping[str, Figure], level: float = 0.95) -> dict[tuple[str, str], Comparison]:
    """Return the difference between every two subgroups, p-values adjusted by Holm over all of them.

    "Significant here, not there" is no difference; this is. Subgroups of one resample vary together where a group has rows
    in both, which shared draws take into account.

    Args:
        levels: subgroup -> its figure.
        level: nominal coverage of each interval, between 0 and 1; intervals are not adjusted.

    Returns:
        (subgroup, another) -> the first minus the second, in the order of their names.

    >>> spread = np.linspace(-0.02, 0.02, 999)
    >>> found = gaps({"f": (0.8, 0.8 + spread), "m": (0.7, 0.7 - spread)})
    >>> {pair: (round(gap.difference, 2), round(gap.low, 3), round(gap.high, 3), gap.p) for pair, gap in found.items()}
    {('f', 'm'): (0.1, 0.062, 0.138, 0.002)}
    """
    pairs = list(itertools.combinations(sorted(levels), 2))
    found = [contrast((levels[a][0], levels[b][0]), (levels[a][1], levels[b][1]), level=level) for a, b in pairs]
    return _with_holm(dict(zip(pairs, found, strict=True)))


def interactions(one: Mapping[str, Figure], other: Mapping[str, Figure], level: float = 0.95) -> dict[tuple[str, str], Comparison]:
    """Return whether one system's lead over another differs between subgroups: the difference of differences.

    Args:
        one: subgroup -> figure of one system.
        other: subgroup -> figure of the other; subgroups that only one has do not enter.
        level: nominal coverage of each interval, between 0 and 1; intervals are not adjusted.

    Returns:
        (subgroup, another) -> (one - other in the first) - (one - other in the second); p-values adjusted by Holm.

    >>> spread = np.linspace(-0.02, 0.02, 999)
    >>> one = {"f": (0.9, 0.9 + spread), "m": (0.8, 0.8 + spread)}
    >>> other = {"f": (0.7, 0.7 + spread), "m": (0.7, 0.7 - spread)}
    >>> found = interactions(one, other)[("f", "m")]
    >>> round(found.difference, 3), round(found.low, 3), round(found.high, 3)
    (0.1, 0.062, 0.138)
    """
    found = {}
    for a, b in itertools.combinations(sorted(one.keys() & other.keys()), 2):
        cells = (one[a], other[a], one[b], other[b])
        found[a, b] = contrast([point for point, _ in cells], [values for _, values in cells], (1, -1, -1, 1), level)
    return _with_holm(found)


def _with_holm(found: dict[tuple[str, str], Comparison]) -> dict[tuple[str, str], Comparison]:
    adjusted = holm(np.array([np.nan if c.p is None else c.p for c in found.values()]))
    return {
        pair: c if c.p is None else msgspec.structs.replace(c, p=float(p), method=f"{c.method}; Holm over {len(found)}")
        for (pair, c), p in zip(found.items(), adjusted, strict=True)
    }
