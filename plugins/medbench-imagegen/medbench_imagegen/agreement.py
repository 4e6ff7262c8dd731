"""CLIP-score: how well a drawn picture agrees with its prompt, as an encoder of pictures and texts sees it."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from medbench.errors import UsageError
from medbench.types import Embed, Failed, Image, Output, Pair, Request, Vector
from medbench_imagegen.features import drawn_files

Array = np.ndarray[Any, np.dtype[Any]]

WEIGHT = 2.5


class ClipScore:
    """Cosine of picture and prompt, and CLIP-score: 2.5 times the cosine, not below 0.

    Args:
        convention: Unused.
        prefix: Stands before every prompt. The paper's captions got `A photo depicts `; a prompt is no caption, and gets none.

    Source: Hessel et al., EMNLP 2021.
    """

    def __init__(self, convention: Mapping[str, str] | None = None, *, prefix: str = "") -> None:
        del convention
        self._prefix = prefix

    def measure(self, pairs: Sequence[Pair]) -> Generator[tuple[str, list[Request]], list[Output], Array]:
        """Ask for the vectors of all pictures and prompts; return the cosine of each pair, shape (n,), NaN where one failed.

        Raises:
            UsageError: the model gives vectors of different lengths to pictures and texts, or none at all.
        """
        paths, digests = drawn_files(pairs)
        pictures: list[Request] = [Embed(images=(Image(path=path, digest=made),)) for path, made in zip(paths, digests, strict=True)]
        prompts: list[Request] = [Embed(text=f"{self._prefix}{pair.sample.prompt}") for pair in pairs]
        vectors = yield "encoder", [*pictures, *prompts]
        for side, what in ((vectors[: len(pairs)], "picture"), (vectors[len(pairs) :], "prompt")):
            if all(isinstance(vector, Failed) for vector in side):
                said = f"the encoder embedded no {what}: {getattr(side[0], 'error', '')}"
                raise UsageError(said, hint="--judge a model that embeds pictures and texts")
        return np.array([_cosine(one, other) for one, other in zip(vectors[: len(pairs)], vectors[len(pairs) :], strict=True)])

    def reduce(self, rows: Array, weights: Array) -> Mapping[str, tuple[Array, Array]]:
        """Return `cosine` and `clip-score`: weighted means over the pairs that could be embedded."""
        used = ~np.isnan(rows)
        total = weights[:, used].sum(axis=1)

        def mean(values: Array) -> Array:
            made: Array = np.divide(weights[:, used] @ values[used], total, out=np.full(len(weights), np.nan), where=total > 0)
            return made

        return {"cosine": (mean(rows), used), "clip-score": (mean(WEIGHT * np.clip(rows, 0, None)), used)}

    def per_sample(self, rows: Array) -> Mapping[str, Any]:
        """Return both for every pair."""
        return {"cosine": rows, "clip-score": WEIGHT * np.clip(rows, 0, None)}

    def flags(self, rows: Array) -> Mapping[str, Any]:
        """Return which pairs could not be embedded."""
        return {"unscored": np.isnan(rows)}

    def signature(self) -> Mapping[str, Any]:
        """Return the weight, and what stood before the prompts."""
        return {"weight": WEIGHT, "prefix": self._prefix}


def _cosine(one: Output, other: Output) -> float:
    if not isinstance(one, Vector) or not isinstance(other, Vector):
        return float("nan")
    x, y = one.array().astype(np.float64), other.array().astype(np.float64)
    if len(x) != len(y):
        raise UsageError(
            f"the encoder gives {len(x)} numbers for a picture and {len(y)} for a text", hint="--judge a model that aligns both"
        )
    length = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / length) if length else float("nan")
