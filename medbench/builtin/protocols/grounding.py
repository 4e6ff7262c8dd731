"""Phrase grounding: an image and a phrase in, a map of where in the image the phrase is out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from medbench.errors import DataError
from medbench.interfaces import OutputView
from medbench.types import Failed, Ground, HeatMap, Output, Prediction, Sample, Struct, Value


class GroundingParams(Struct):
    """What a task or a run may set."""

    prompt: str = "{phrase}"
    """How the phrase is put; `{phrase}` stands for it."""

    def __post_init__(self) -> None:
        """Refuse a template without the phrase."""
        if "{phrase}" not in self.prompt:
            raise ValueError("prompt: without {phrase} the phrase is never put")


class Grounding:
    """One `Ground` per sample: its first image and its phrase. A map whose numbers do not fit its shape has failed."""

    Params = GroundingParams

    def requests(self, samples: Sequence[Sample], params: GroundingParams) -> Iterator[Ground]:
        """Yield one request per sample, in order.

        Raises:
            DataError: a sample has no image or no phrase.
        """
        return (_request(sample, params) for sample in samples)

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: GroundingParams) -> Iterator[Prediction]:
        """Yield one map per sample, in order; raises as `requests` does."""
        return (Prediction(sample=sample.id, value=_value(outputs[_request(sample, params)])) for sample in samples)


def _request(sample: Sample, params: GroundingParams) -> Ground:
    if not sample.images or not sample.prompt.strip():
        raise DataError(
            f"sample {sample.id} has no {'image' if not sample.images else 'phrase'}",
            hint="a task of this protocol needs images and phrases",
        )
    return Ground(images=sample.images[:1], phrase=params.prompt.replace("{phrase}", sample.prompt))


def _value(output: Output) -> Value:
    if not isinstance(output, HeatMap):
        return output
    left, top, width, height = output.box
    if output.rows < 1 or output.columns < 1 or len(output.grid) != output.rows * output.columns:
        return Failed(kind="model", error=f"{len(output.grid)} cells for a map of {output.rows} x {output.columns}")
    if not (width > 0 and height > 0 and np.isfinite([left, top, width, height]).all()):
        return Failed(kind="model", error=f"a map over the box {output.box}, which has no area")
    if not np.isfinite(output.grid).all():
        return Failed(kind="model", error="a map with numbers that are not finite")
    return output
