"""The baseline encoder without weights: the pixels of a small grey thumbnail are the vector."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from PIL.Image import Resampling

from medbench.errors import InputError, UsageError
from medbench.images import decode
from medbench.types import Embed, Failed, Image, Vector

MAX_SIZE = 256


class RawPixels:
    """Embeds images alone: grey values from 0 to 1 of a square thumbnail, row by row; several images are averaged.

    Args:
        size: Side of the thumbnail in pixels, 1 to 256; the aspect ratio is not kept. Pictures of that size are taken as they
            are, so PneumoniaMNIST's lose nothing at the default.

    Raises:
        UsageError: `size` is not within its range.
    """

    def __init__(self, *, size: int = 28) -> None:
        if not 1 <= size <= MAX_SIZE:
            raise UsageError(f"raw-pixels: size = {size}", hint=f"1 to {MAX_SIZE}")
        self._size = size

    def facts(self) -> Mapping[str, Any]:
        """Return the length of a vector."""
        return {"dim": self._size**2}

    def embed(self, requests: Sequence[Embed]) -> Iterator[Vector | Failed]:
        """Yield a vector of `size` x `size` numbers for each request; one without an image, or with one that is broken, fails."""
        # decoding silences warnings by swapping a list of the whole process: once more around all threads leaves it as it was
        with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            yield from pool.map(self._vector, requests)

    def _vector(self, request: Embed) -> Vector | Failed:
        if not request.images:
            return Failed(kind="input", error="raw-pixels embeds images, not texts")
        try:
            mean = np.mean([self._pixels(image) for image in request.images], axis=0)
        except InputError as error:
            return Failed(kind="input", error=str(error))
        return Vector(data=mean.astype("<f4").tobytes())

    def _pixels(self, image: Image) -> np.ndarray[Any, np.dtype[np.float64]]:
        grey = decode(image, "L")
        if grey.size != (self._size, self._size):
            grey = grey.resize((self._size, self._size), Resampling.BOX)
        return np.asarray(grey, dtype=np.float64).ravel() / 255.0
