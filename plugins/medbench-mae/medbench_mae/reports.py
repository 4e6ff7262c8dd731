"""The reports of a fit: as vectors that were computed once, or as tokens whose states are computed each time; and which are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from medbench.interfaces import Example
from medbench.types import Image, Probabilities, Text
from medbench_mae.network import AttentionText, MeanText
from medbench_mae.texts import LanguageModel, Matrix, statistics

Pictured = tuple[str, ...]
"""The pictures of a request, by the digests of their files."""


class Reports:
    """What alignment needs of the reports.

    Args:
        model: The language model.
        train: Pairs of pictures and report.
        held: Likewise, held out.
        cache: Folder of computed vectors.
        kinds: Pictures -> the labels of their study, where pairs with the same labels count as the same; None: equal reports do.
    """

    def __init__(
        self,
        model: LanguageModel,
        train: Sequence[Example],
        held: Sequence[Example],
        cache: Path,
        *,
        kinds: Mapping[Pictured, Any] | None = None,
    ) -> None:
        self.model = model
        self._cache = cache
        self._train = [said(example) for example in train]
        texts = sorted({*self._train, *(said(example) for example in held)})
        self._row = {text: row for row, text in enumerate(texts)}
        self._kinds = kinds
        self._numbers: dict[Any, int] = {}
        if kinds is not None:
            for example in (*train, *held):
                self._numbers.setdefault(kinds[pictured(example)], len(self._numbers))
        self._matrix: Matrix | None = None

    def begin(self, side: MeanText | AttentionText) -> None:
        """Have the vectors ready, and the text's side on their scale; with `attention` there is nothing to prepare."""
        if not isinstance(side, MeanText) or self._matrix is not None:
            return
        self._matrix = self.model.matrix(list(self._row), self._cache)
        mean, deviation = statistics(self._matrix, [self._row[text] for text in self._train])
        side.mean.copy_(mean)
        side.deviation.copy_(deviation)

    def collate(self, texts: Sequence[str]) -> tuple[torch.Tensor, ...]:
        """Return the vectors of some reports, or their ids and mask."""
        if self._matrix is None:
            return self.model.tokens(texts)
        return (torch.from_numpy(self._matrix[[self._row[text] for text in texts]]),)

    def inputs(self, collated: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Return what the text's side takes, on the device of what was collated."""
        if self._matrix is not None:
            return collated
        ids, mask = collated
        return self.model.states(ids, mask), mask

    def kind_of(self, example: Example) -> int:
        """Return a number that two examples share if and only if they count as the same."""
        return self._row[said(example)] if self._kinds is None else self._numbers[self._kinds[pictured(example)]]


def said(example: Example) -> str:
    """Return the report of an example, its white space made single: line breaks tell nothing."""
    _, target = example
    return " ".join(target.text.split()) if isinstance(target, Text) else ""


def pictured(example: Example) -> Pictured:
    """Return the pictures of an example by their content."""
    images: tuple[Image, ...] = example[0].images
    return tuple(image.digest or image.path for image in images)


def kinds_of(examples: Sequence[Example]) -> dict[Pictured, tuple[tuple[str, float], ...]]:
    """Return, for the pictures of each example, all that is known of their labels."""
    return {
        pictured(example): tuple(sorted(zip(target.labels, target.values, strict=True)))
        for example in examples
        if isinstance(target := example[1], Probabilities)
    }
