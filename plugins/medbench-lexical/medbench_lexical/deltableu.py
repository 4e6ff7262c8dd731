"""deltaBLEU as the organisers of MEDIQA-M3G 2024 scored it: BLEU in which some references are worth more than others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from medbench.errors import DataError
from medbench.types import Pair, Sample
from medbench_lexical.bleu import closest_lengths
from medbench_lexical.conventions import raw_texts
from medbench_lexical.ngrams import ORDERS, counted
from medbench_lexical.thirteen import TOKENIZERS, smoothed_bleu
from medbench_lexical.weighting import Array, Reduced, sums

WEIGHTS_FIELD = "reference_weights"
"""Column of `Sample.meta` that holds one weight for each reference, separated by spaces; without it all weigh 1."""


class DeltaBleu:
    """Corpus BLEU in which a match counts as much as the best reference that has the n-gram.

    As in the organisers' scorer: predictions are put in lower case and references are **not** (it prepares lower-cased
    references and then takes the others); n-grams of a prediction count with the largest weight of the sample's references;
    exponential smoothing; orders that no prediction has are left out. There, weights apply only when Chinese answers are among
    those scored; here they apply where the data carries them.

    Args:
        convention: Not used: the tokenizer is part of this metric.
        language: `zh` makes each Chinese character a token.

    >>> sample = Sample(id="1", group="1", split="test", references=("it is eczema", "psoriasis"), meta={"reference_weights": "0.9 0.6"})
    >>> metric = DeltaBleu()
    >>> from medbench.types import Text
    >>> rows = metric.measure([Pair(sample, Text(text="It is psoriasis"))])
    >>> round(float(metric.reduce(rows, [[1]])["deltableu"][0][0]), 6)
    0.627357
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None, language: Literal["en", "es", "zh"] = "en") -> None:
        del convention
        self._tokenizer = "zh" if language == "zh" else "13a"

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return per pair: weighted matches and n-grams of orders 1 to 4, length, reference length. Shape (pairs, 10).

        Raises:
            DataError: weights that are not numbers, not one for each reference, or none above zero.
        """
        tokens = TOKENIZERS[self._tokenizer]
        hypotheses, references = raw_texts(pairs)
        samples = zip(hypotheses, references, strict=True)
        documents = [tokens(text).split() for ours, theirs in samples for text in (ours.lower().rstrip(), *map(str.rstrip, theirs))]
        counts = counted(documents, [len(theirs) for theirs in references])
        weight = np.array([w for pair in pairs for w in (0.0, *weights_of(pair.sample))])
        largest = np.array([max(weights_of(pair.sample)) for pair in pairs])
        correct = []
        for order in counts.orders:
            most, worth = np.zeros(len(order.gram), dtype=np.int64), np.full(len(order.gram), -np.inf)
            np.maximum.at(most, order.ours, order.times[order.theirs])
            np.maximum.at(worth, order.ours, weight[order.document[order.theirs]])
            taken = np.where(most > 0, np.minimum(most, order.times) * np.where(most > 0, worth, 0.0), 0.0)
            correct.append(np.bincount(counts.sample[order.document], taken, minlength=len(pairs)))
        length = counts.length[counts.hypothesis]
        guessed = [largest * np.maximum(length - order, 0) for order in range(ORDERS)]
        return np.column_stack([*correct, *guessed, length, closest_lengths(counts)]).astype(np.float64)

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return deltaBLEU per resample, a fraction 0..1 (the scorer prints 0..100); NaN for a resample without samples."""
        totals, samples = sums(rows, weights)
        values = smoothed_bleu(totals, effective=True)
        return {"deltableu": (np.where(samples > 0, values, np.nan), np.ones(len(rows), dtype=bool))}

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the corpus formula applied to each sample alone."""
        return {"deltableu": smoothed_bleu(np.asarray(rows, dtype=np.float64), effective=True)}

    def signature(self) -> dict[str, str]:
        """Return what defines the number."""
        return {"deltableu": f"tok:{self._tokenizer}|case:prediction lower, references mixed|eff:yes|smooth:exp|as:MEDIQA-M3G-2024"}


def weights_of(sample: Sample) -> tuple[float, ...]:
    """Return the weight of each reference of a sample.

    Raises:
        DataError: they are not numbers, not one for each reference, or none is above zero.
    """
    written = sample.meta.get(WEIGHTS_FIELD)
    if written is None:
        return (1.0,) * len(sample.references)
    try:
        weights = tuple(float(weight) for weight in written.split())
    except ValueError:
        weights = ()
    if len(weights) != len(sample.references) or not max(weights) > 0:
        raise DataError(
            f"sample {sample.id}: {WEIGHTS_FIELD} = {written!r} for {len(sample.references)} references",
            hint="one number for each reference, separated by spaces, at least one above 0",
        )
    return weights


def reference_weight(*, physician: bool, rank: int, frequent: bool, complete: bool) -> float:
    """Return the weight that MEDIQA-M3G gives a reference answer, 0.6 to 1.

    Args:
        physician: The author's validation level begins with `md`.
        rank: The author's rank level, 0 when unknown; 4 and above count.
        frequent: The answer contains the most frequent answer (`contains_freq_ans` is 1).
        complete: `completeness` is 1, not 0.5.

    >>> reference_weight(physician=True, rank=5, frequent=True, complete=True)
    1.0
    >>> reference_weight(physician=False, rank=0, frequent=True, complete=False)
    0.7
    """
    return (6 + physician + (rank >= 4) + frequent + complete) / 10
