"""How well the probability of yes orders closed questions: an area under the ROC curve, where the model gives probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.builtin.metrics.vqa_rules import YES_NO
from medbench.builtin.metrics.vqa_text import plain
from medbench.stats.ranking import auroc
from medbench.types import Pair, Text

Array = np.ndarray[Any, np.dtype[Any]]

ROW = np.dtype([("truth", "f8"), ("yes", "f8"), ("covered", "f8")])


class ClosedAuc:
    """AUROC of the probability of yes against no, over the questions whose true answer is yes or no.

    The probabilities are those of the whole answers `yes` and `no` as the model's own distribution has them, normalised over
    the two; `covered` is the mean share of the model's mass that the two have (low: it would rather say something else).
    Answers without probabilities do not enter; where no answer has them there is no score.

    >>> from medbench.types import Sample
    >>> samples = [Sample(id=str(n), group="g", split="test", references=(truth,)) for n, truth in enumerate(("yes", "no"))]
    >>> values = [Text(text="yes", option_logprobs={"yes": -0.1 - n, "no": -2.0}, covered=0.9) for n in range(2)]
    >>> pairs = [Pair(sample, value) for sample, value in zip(samples, values, strict=True)]
    >>> float(ClosedAuc().reduce(ClosedAuc().measure(pairs), np.ones((1, 2)))["auroc"][0][0])
    1.0
    """

    def __init__(self, convention: Mapping[str, str] | None = None) -> None:
        del convention

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return a record per pair, NaN where it does not enter: `truth` (1: yes), `yes` (0 to 1), `covered` (0 to 1)."""
        rows = np.full(len(pairs), np.nan, dtype=ROW)
        for row, pair in zip(rows, pairs, strict=True):
            truth = plain(pair.sample.references[0]) if pair.sample.references else ""
            answer = pair.value if isinstance(pair.value, Text) else Text(text="")
            if truth in YES_NO and answer.option_logprobs.keys() >= YES_NO:
                row["truth"] = truth == "yes"
                row["yes"] = 1 / (1 + np.exp(np.clip(answer.option_logprobs["no"] - answer.option_logprobs["yes"], -700, 700)))
                row["covered"] = answer.covered
        return rows

    def reduce(self, rows: Array, weights: Array) -> Mapping[str, tuple[Array, Array]]:
        """Return `auroc` and `covered`; nothing where no answer has probabilities."""
        used = ~np.isnan(rows["yes"])
        if not used.any():
            return {}
        truth = np.where(used, rows["truth"], np.nan)[:, None]
        areas = auroc(truth, np.where(used, rows["yes"], 0.0)[:, None], weights)[:, 0]
        total = weights[:, used].sum(axis=1)
        covered = np.divide(weights[:, used] @ rows["covered"][used], total, out=np.full(len(weights), np.nan), where=total > 0)
        return {"auroc": (areas, used), "covered": (covered, used)}

    def per_sample(self, rows: Array) -> Mapping[str, Any]:
        """Return the probability of yes of every question that enters."""
        return {"probability-of-yes": rows["yes"]}
