"""Vectors of samples: which requests they come from, and matrices of those that could be had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from medbench.interfaces import OutputView
from medbench.types import Embed, Failed, Image, Output, Sample, Vector

Array = np.ndarray[Any, np.dtype[Any]]

Views = Literal["mean", "first", "together"]
"""What is embedded of a sample with several images: each by itself and averaged, the first, or all in one request."""


class Vectors(NamedTuple):
    """One row per item, and why some items have none."""

    matrix: Array
    """float32 (items, dimensions); rows without a vector are zero."""
    failed: dict[int, Failed]
    """Item -> why it has no vector."""

    @property
    def there(self) -> Array:
        """Which items have a vector, (items,)."""
        mask = np.ones(len(self.matrix), dtype=bool)
        mask[list(self.failed)] = False
        return mask


def image_requests(sample: Sample, views: Views) -> tuple[Embed, ...]:
    """Return what is asked about the images of a sample.

    >>> pair = Sample(id="1", group="1", split="test", images=(Image(path="a"), Image(path="b")))
    >>> [len(image_requests(pair, views)) for views in ("mean", "first", "together")]
    [2, 1, 1]
    """
    if views == "together" or len(sample.images) < 2:
        return (Embed(images=sample.images),)
    shown: tuple[Image, ...] = sample.images[:1] if views == "first" else sample.images
    return tuple(Embed(images=(image,)) for image in shown)


def text_request(text: str) -> Embed:
    """Return what is asked about a text."""
    return Embed(text=text)


def vectors_of(asked: Sequence[tuple[Embed, ...]], outputs: OutputView) -> Vectors:
    """Return one vector per item: of a single request as the model gives it, of several the mean of their unit vectors.

    An item fails when one of its requests failed, or gave no vector, numbers that are not finite, or another number of
    dimensions than the first one that could be had. Equal requests are looked up once.
    """
    seen: dict[Embed, Array | Failed] = {}
    dim = 0
    rows: list[Array | Failed] = []
    for requests in asked:
        parts: list[Array] = []
        fault: Failed | None = None
        for request in requests:
            if request not in seen:
                seen[request] = _read(outputs[request], dim)
            found = seen[request]
            if isinstance(found, Failed):
                fault = fault or found
            else:
                dim = dim or len(found)
                parts.append(found)
        rows.append(fault or (parts[0] if len(parts) == 1 else unit(unit(np.stack(parts)).mean(axis=0, keepdims=True))[0]))
    matrix = np.zeros((len(rows), dim), dtype=np.float32)
    failed: dict[int, Failed] = {}
    for at, row in enumerate(rows):
        if isinstance(row, Failed):
            failed[at] = row
        else:
            matrix[at] = row
    return Vectors(matrix, failed)


def unit(matrix: Array) -> Array:
    """Return the rows, each of length 1, float32; a zero row stays zero, so that its cosine with anything is 0.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).round(3).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    # scaled first: the squares of large or small numbers would leave the range of float32
    largest = np.abs(matrix).max(axis=1, keepdims=True, initial=0.0).astype(np.float64)
    scaled = np.divide(matrix, largest, out=np.zeros(matrix.shape), where=largest > 0)
    length = np.sqrt((scaled * scaled).sum(axis=1, keepdims=True))
    return np.asarray(np.divide(scaled, length, out=scaled, where=length > 0), dtype=np.float32)


class Temperature(NamedTuple):
    """What turns cosines into probabilities."""

    scale: float
    bias: float | None
    """Of a model trained on pairs by a sigmoid; None: it was trained by a softmax over candidates."""

    def probabilities(self, cosines: Array) -> Array:
        """Return the probability of each candidate, (queries, candidates): softmax over candidates, or a sigmoid of each."""
        logits = self.scale * np.asarray(cosines, dtype=np.float64)
        if self.bias is not None:
            return sigmoid(logits + self.bias)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def temperature(facts: Mapping[str, Any], stated: float) -> Temperature:
    """Return the temperature of a model: `logit_scale` (the factor itself, not its logarithm) and `logit_bias` of its facts.

    Args:
        facts: What the model stated after loading.
        stated: The factor that a run wants instead; 0: the model's own, 1 where it states none.

    >>> temperature({"logit_scale": 100.0}, 0.0), temperature({}, 0.0).scale
    (Temperature(scale=100.0, bias=None), 1.0)
    """
    scale, bias = facts.get("logit_scale"), facts.get("logit_bias")
    factor = stated or (float(scale) if scale is not None else 1.0)
    return Temperature(factor, float(bias) if bias is not None else None)


def sigmoid(logits: Array) -> Array:
    """Return 1 / (1 + exp(-x)), without overflow.

    >>> sigmoid(np.array([0.0, -1000.0, 1000.0])).tolist()
    [0.5, 0.0, 1.0]
    """
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1.0, small) / (1.0 + small))


def each_once(requests: Iterator[Embed]) -> Iterator[Embed]:
    """Yield equal requests once, in order of their first appearance."""
    return iter(dict.fromkeys(requests))


def _read(output: Output, dim: int) -> Array | Failed:
    if isinstance(output, Failed):
        return output
    if not isinstance(output, Vector):
        return Failed(kind="model", error=f"a {type(output).__name__} where a vector was asked for")
    values = output.array()
    if not len(values) or (dim and len(values) != dim):
        return Failed(kind="model", error=f"a vector of {len(values)} numbers" + (f" where others have {dim}" if dim else ""))
    if not np.isfinite(values).all():
        return Failed(kind="model", error="a vector with numbers that are not finite")
    return values
