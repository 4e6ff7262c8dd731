"""Several tests at once: p-values adjusted for their number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medbench.stats.bootstrap import Array


def holm(p_values: Array) -> Array:
    """Return p-values that control the chance of any false finding (Holm 1979).

    NaN stays NaN and is dropped before the counting: a test that was not made costs the others nothing.

    >>> holm(np.array([0.01, 0.04, 0.03, np.nan])).tolist()
    [0.03, 0.06, 0.06, nan]
    """

    def adjust(ordered: Array) -> Array:
        return np.maximum.accumulate(ordered * np.arange(ordered.size, 0, -1))

    return _adjusted(p_values, adjust)


def benjamini_hochberg(p_values: Array) -> Array:
    """Return p-values that control the expected share of false ones among the findings (Benjamini & Hochberg 1995).

    NaN stays NaN and is dropped before the counting.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, np.nan])).tolist()
    [0.03, 0.04, 0.04, nan]
    """

    def adjust(ordered: Array) -> Array:
        scaled = ordered * ordered.size / np.arange(1, ordered.size + 1)
        return np.minimum.accumulate(scaled[::-1])[::-1]

    return _adjusted(p_values, adjust)


def _adjusted(p_values: Array, adjust: Callable[[Array], Array]) -> Array:
    """Apply an adjustment of ascending p-values to those that are defined, and put them back in their places."""
    p_values = np.asarray(p_values, dtype=np.float64)
    defined = np.flatnonzero(~np.isnan(p_values))
    places = defined[np.argsort(p_values[defined], kind="stable")]
    adjusted = np.full(p_values.shape, np.nan)
    adjusted[places] = np.minimum(1.0, adjust(p_values[places]))
    return adjusted
