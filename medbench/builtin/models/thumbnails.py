"""Small grey pictures as vectors: what the nearest-neighbour baseline sees of an image."""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from PIL.Image import Resampling

from medbench.errors import InputError
from medbench.images import decode
from medbench.types import Image

SCALE = 4000
"""Length of a vector. Whole-number entries and a length below 2**12 keep every partial sum of a dot product of two vectors
below 2**24, where float32 counts exactly: a similarity depends neither on the matrix library nor on the batch."""
MAX_SIZE = 128
"""Largest side of a thumbnail, in pixels: up to here rounding cannot lengthen a vector to 2**12 (4000 + 128 / 2 < 4096)."""

Unit = np.ndarray[Any, np.dtype[np.float32]]
Whole = np.ndarray[Any, np.dtype[np.int16]]
Key = tuple[str, str]


def content(image: Image) -> Key:
    """Return what tells two pictures apart: the digest of the bytes (the path where it is unknown) and the preset."""
    return (image.digest or image.path, image.preset)


class Thumbnails:
    """Turns images into vectors, keeping those of recent images.

    Args:
        size: side of the thumbnail in pixels; the aspect ratio is not kept.
        capacity: number of images whose vectors are kept.
    """

    def __init__(self, size: int, capacity: int = 4096) -> None:
        self._size = size
        self._capacity = capacity
        self._recent: OrderedDict[Key, Unit] = OrderedDict()

    def vectors(self, studies: Sequence[tuple[Image, ...]]) -> list[Whole | InputError]:
        """Return for each study a vector of shape (size * size,), or the error of its first image that cannot be decoded.

        A vector is the thumbnail less its mean, `SCALE` long, so that neither brightness nor contrast counts; a picture of
        one colour is the zero vector. Several images are averaged, each with the same weight. Each distinct image is
        decoded once.
        """
        seen = self._decode({content(image): image for study in studies for image in study})
        return [_together([seen[content(image)] for image in study]) for study in studies]

    def _decode(self, images: dict[Key, Image]) -> dict[Key, Unit | InputError]:
        fresh = [key for key in images if key not in self._recent]
        # Decoding silences warnings by swapping a list of the whole process, which threads may put back in the wrong order;
        # swapping it once more around all of them leaves it as it was.
        with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            made = dict(zip(fresh, pool.map(self._vector, (images[key] for key in fresh)), strict=True))
        seen = {key: made[key] if key in made else self._recent[key] for key in images}
        for key, vector in seen.items():
            if not isinstance(vector, InputError):
                self._recent[key] = vector
                self._recent.move_to_end(key)
        while len(self._recent) > self._capacity:
            self._recent.popitem(last=False)
        return seen

    def _vector(self, image: Image) -> Unit | InputError:
        try:
            small = decode(image, "L").resize((self._size, self._size), Resampling.BOX)
        except InputError as error:
            return error
        pixels = np.asarray(small, dtype=np.float64).ravel()
        return _unit(pixels - pixels.mean()).astype(np.float32)


def _together(vectors: Sequence[Unit | InputError]) -> Whole | InputError:
    pictures: list[Unit] = []
    for vector in vectors:
        if isinstance(vector, InputError):
            return vector
        pictures.append(vector)
    mean = pictures[0] if len(pictures) == 1 else _unit(np.sum(pictures, axis=0, dtype=np.float64))
    return np.rint(mean * SCALE).astype(np.int16)


def _unit(vector: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    length = float(np.sqrt(np.sum(vector * vector)))
    return vector / length if length > 1e-6 else np.zeros_like(vector)
