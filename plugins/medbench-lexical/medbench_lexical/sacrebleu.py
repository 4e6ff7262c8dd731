"""Corpus BLEU on raw text, equal to sacreBLEU's default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.types import Pair
from medbench_lexical.bleu import statistics
from medbench_lexical.conventions import Texts, raw_texts
from medbench_lexical.thirteen import smoothed_bleu, tokenize_13a
from medbench_lexical.weighting import Array, Reduced, sums


class SacreBleu:
    """BLEU of the corpus on 13a tokens of the cased raw text, with exponential smoothing.

    Args:
        convention: Not used: the tokenizer is part of this metric.
        lowercase: Compare in lower case.

    >>> from medbench.types import Sample, Text
    >>> sample = Sample(id="1", group="1", split="test", references=("The heart is normal in size.",))
    >>> metric = SacreBleu()
    >>> rows = metric.measure([Pair(sample, Text(text="The heart is normal."))])
    >>> round(float(metric.reduce(rows, [[1]])["sacrebleu"][0][0]), 6)
    0.473988
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None, lowercase: bool = False) -> None:
        del convention
        self._lowercase = lowercase
        self._references = (0, 0)

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return per pair: matches of orders 1 to 4, n-grams of orders 1 to 4, length, reference length. Shape (pairs, 10)."""
        hypotheses, references = raw_texts(pairs)
        numbers = [len(texts) for texts in references]
        self._references = (min(numbers, default=0), max(numbers, default=0))
        made = Texts(tuple(map(self._tokens, hypotheses)), tuple(tuple(map(self._tokens, texts)) for texts in references))
        return statistics(made)

    def _tokens(self, text: str) -> str:
        return tokenize_13a(text.lower() if self._lowercase else text)

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return corpus BLEU per resample, a fraction 0..1 (sacreBLEU prints 0..100); NaN for a resample without samples."""
        totals, samples = sums(rows, weights)
        # Without a single match sacreBLEU does not smooth.
        values = np.where(totals[:, :4].any(axis=1), smoothed_bleu(totals, effective=False), 0.0)
        return {"sacrebleu": (np.where(samples > 0, values, np.nan), np.ones(len(rows), dtype=bool))}

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return sentence BLEU with effective order, as sacreBLEU gives it for single texts."""
        rows = np.asarray(rows, dtype=np.float64)
        return {"sacrebleu": np.where(rows[:, :4].any(axis=1), smoothed_bleu(rows, effective=True), 0.0)}

    def signature(self) -> dict[str, str]:
        """Return sacreBLEU's signature; the number of references is known once something was measured."""
        low, high = self._references
        references = str(high) if low == high else "var"
        case = "lc" if self._lowercase else "mixed"
        return {"sacrebleu": f"nrefs:{references}|case:{case}|eff:no|tok:13a|smooth:exp|as:sacrebleu-2.6.0"}
