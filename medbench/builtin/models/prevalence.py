"""The baseline that gives every image the same probabilities: how frequent each label is in train."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.builtin.models.answers import not_fitted, read_weights, write_weights
from medbench.errors import DataError
from medbench.interfaces import Example, FitEvents
from medbench.types import Classify, Probabilities, Struct

FILE = "prevalence.json"


class LabelShares(Struct):
    """What `Prevalence` learns."""

    n_examples: int
    n_known: dict[str, int]
    """Label -> examples in which it is known."""
    shares: dict[str, float]
    """Label -> share of those that have it, 0 to 1."""


class Prevalence:
    """Gives each label the share of train examples that have it; examples in which it is masked do not count.

    Its AUROC is 0.5 by construction, its log loss and Brier score are what any model has to beat. A label that train never
    knows gets no probability at all.

    Args:
        weights: folder that `fit` wrote; empty: not fitted yet.

    Raises:
        DataError: `weights` is no folder of this model.
    """

    def __init__(self, *, weights: str = "") -> None:
        self._learnt = read_weights(weights, FILE, LabelShares) if weights else None
        self._given: dict[tuple[str, ...], Probabilities] = {}

    def fit(
        self,
        examples: Iterable[Example],
        validation: Iterable[Example],
        out: Path,
        seed: int,
        events: FitEvents | None,
    ) -> Mapping[str, Any]:
        """Count the labels of `examples` into `out` and return what was counted; `validation` is not needed.

        Raises:
            DataError: no example has a known label.
        """
        learnt = _counted(examples)
        write_weights(out, FILE, learnt)
        if events:
            events({"step": learnt.n_examples, "steps": learnt.n_examples})
        return {"n_examples": learnt.n_examples, "n_labels": len(learnt.shares)}

    def classify(self, requests: Sequence[Classify]) -> list[Probabilities]:
        """Return the shares of the labels that each request names, or of all that were learnt where it names none."""
        return [self._shares(request.labels) for request in requests]

    def facts(self) -> Mapping[str, Any]:
        """Return how much was counted, and the share of each label."""
        return {"n_examples": self._learnt.n_examples, "prevalence": dict(self._learnt.shares)} if self._learnt else {}

    def _shares(self, labels: tuple[str, ...]) -> Probabilities:
        if self._learnt is None:
            raise not_fitted("prevalence")
        if labels not in self._given:
            shares = self._learnt.shares
            known = tuple(label for label in labels or sorted(shares) if label in shares)
            self._given[labels] = Probabilities(labels=known, values=tuple(shares[label] for label in known))
        return self._given[labels]


def _counted(examples: Iterable[Example]) -> LabelShares:
    seen: dict[str, list[float]] = {}
    total = 0
    for request, target in examples:
        if not isinstance(request, Classify) or not isinstance(target, Probabilities):
            raise TypeError(f"prevalence is fitted on (Classify, Probabilities), not ({type(request).__name__}, {type(target).__name__})")
        total += bool(target.labels)
        for label, value in zip(target.labels, target.values, strict=True):
            seen.setdefault(label, []).append(value)
    if not total:
        raise DataError("no train example has a known label", hint="does the train split have labels, and images that can be read?")
    known = {label: len(values) for label, values in seen.items()}
    # fsum: the same share whatever the order of train, for targets between 0 and 1 too
    shares = {label: math.fsum(values) / len(values) for label, values in seen.items()}
    return LabelShares(n_examples=total, n_known=known, shares=shares)
