"""What protocols of one request and one prediction per sample have in common."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from medbench.identity import sample_seed
from medbench.interfaces import Example, OutputView
from medbench.types import Generate, Prediction, Sample, Struct, Text


class GenerationParams(Struct):
    """What a task or a run may set about how text is generated."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    seed: int = 0
    """The run's seed; each sample gets its own from it. Only a positive temperature uses it."""


class PerSample(ABC):
    """One `Generate` per sample; the prediction is the text as the model wrote it, or its failure."""

    @abstractmethod
    def request(self, sample: Sample, params: Any) -> Generate:
        """Return what is asked about one sample."""

    def requests(self, samples: Sequence[Sample], params: Any) -> Iterator[Generate]:
        """Yield one request per sample, in order."""
        return (self.request(sample, params) for sample in samples)

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: Any) -> Iterator[Prediction]:
        """Yield one prediction per sample, in order."""
        return (Prediction(sample=sample.id, value=outputs[self.request(sample, params)]) for sample in samples)

    def examples(self, samples: Sequence[Sample], params: Any) -> Iterator[Example]:
        """Yield the very requests that would be asked, each with the reference as target."""
        return ((self.request(sample, params), Text(text=sample.references[0])) for sample in samples if sample.references)


def placeholders(template: str) -> list[str]:
    """Return the names that stand in braces.

    >>> placeholders('Look at the {view} view. {indication} Answer as {"findings": "..."}')
    ['view', 'indication']
    """
    return re.findall(r"\{(\w+)\}", template)


def noise_seed(sample: Sample, params: GenerationParams) -> int:
    """Return the seed of a sample's sampling noise; 0 where nothing is sampled, so that greedy requests stay equal across seeds."""
    return sample_seed(params.seed, sample.id) if params.temperature else 0
