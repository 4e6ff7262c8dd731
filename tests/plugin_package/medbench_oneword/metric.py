"""How often the first word of an answer is the first word of its reference, and how long answers are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.types import Pair, Text

COLUMNS = ("first-word", "length")

Array = np.ndarray[Any, np.dtype[Any]]


class FirstWord:
    """Compares first words, whatever their case; an answer without a word is wrong.

    Args:
        convention: Family -> name, for metrics whose card names conventions; this one has none.

    >>> from medbench.types import Sample
    >>> sample = Sample(id="1", group="1", split="test", references=("Right lung",))
    >>> FirstWord().measure([Pair(sample, Text(text=answer)) for answer in ("right side.", "the right lung")]).tolist()
    [[1.0, 2.0], [0.0, 3.0]]
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None) -> None:
        self.convention = dict(convention or {})

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return one row per pair, in order: right (0 or 1) and number of words."""
        return np.array([_row(pair) for pair in pairs], dtype=np.float64).reshape(-1, len(COLUMNS))

    def reduce(self, rows: Array, weights: Array) -> dict[str, tuple[Array, Array]]:
        """Return score name -> (weighted means of shape (resamples,), mask of the rows that enter: all of them).

        Args:
            rows: What `measure` returned, shape (rows, 2).
            weights: How often each row counts, shape (resamples, rows); a mean over no weight is NaN.
        """
        total = weights.sum(axis=1, dtype=np.float64)
        means = np.full((len(weights), len(COLUMNS)), np.nan)
        np.divide(weights @ rows, total[:, None], out=means, where=total[:, None] > 0)
        everyone = np.ones(len(rows), dtype=bool)
        return {name: (means[:, at], everyone) for at, name in enumerate(COLUMNS)}

    def per_sample(self, rows: Array) -> dict[str, Array]:
        """Return score name -> the value of each sample, for `medbench samples`."""
        return {name: rows[:, at] for at, name in enumerate(COLUMNS)}


def _row(pair: Pair) -> tuple[float, float]:
    assert isinstance(pair.value, Text)  # the card takes nothing else
    said, truth = _words(pair.value.text), _words(pair.sample.references[0])
    right = bool(truth) and said[:1] == truth[:1]
    return float(right), float(len(said))


def _words(text: str) -> list[str]:
    return re.findall(r"[\w-]+", text.lower())
