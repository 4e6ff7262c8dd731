"""Training pictures: prepared once and kept while there is room, and varied a little each time they are seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from medbench.errors import InputError, UsageError
from medbench.images import decode
from medbench.types import Image

if TYPE_CHECKING:
    from PIL import Image as Pil

KEPT_BYTES = 256 << 20
"""Prepared pictures that are kept, so that small data is decoded once."""


class Pictures:
    """Prepared pictures of a fit, by the digest of their file. Safe in threads.

    Args:
        prepare: From a decoded picture (RGB) to its tensor.
        room: Bytes that are kept at most.
        opaque: Refuse pictures that are transparent anywhere.
    """

    def __init__(self, prepare: Callable[[Pil.Image], torch.Tensor], room: int = KEPT_BYTES, *, opaque: bool = False) -> None:
        self._prepare = prepare
        self._opaque = opaque
        self._kept: dict[tuple[str, str], torch.Tensor] = {}
        self._room = room

    def __call__(self, image: Image, rng: np.random.Generator | None = None) -> torch.Tensor:
        """Return the tensor of a picture, varied where a generator is given.

        Raises:
            UsageError: the picture cannot be decoded.
        """
        key = (image.digest or image.path, image.preset)
        made = self._kept.get(key)
        if made is None:
            made = self._prepare(read_picture(image, opaque=self._opaque))
            size = made.numel() * made.element_size()
            if size <= self._room:
                self._room -= size
                self._kept[key] = made
        return made if rng is None else augmented(made, rng)


def read_picture(image: Image, *, opaque: bool = False) -> Pil.Image:
    """Return a training picture decoded to RGB.

    Args:
        image: Where it is.
        opaque: Refuse one that is transparent anywhere.

    Raises:
        UsageError: it cannot be decoded.
    """
    try:
        return decode(image, opaque=opaque)
    except InputError as error:
        raise UsageError(f"a training picture cannot be used: {error}", hint="leave its sample out of the data") from error


def augmented(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return a picture moved, turned, zoomed and exposed a little otherwise, with noise; a mirror would turn left into right.

    Args:
        pixels: Normalised, float32 (channels, height, width).
        rng: What is drawn from.
    """
    # little: a heart that is zoomed by a tenth is another finding
    angle, zoom = rng.uniform(-0.02, 0.02), rng.uniform(0.98, 1.02)
    right, down = rng.uniform(-0.04, 0.04, 2)
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    where = torch.tensor([[[cosine, -sine, right], [sine, cosine, down]]], dtype=pixels.dtype)
    grid = functional.affine_grid(where, [1, *pixels.shape], align_corners=False)
    moved = functional.grid_sample(pixels.unsqueeze(0), grid, padding_mode="border", align_corners=False)[0]
    mean = moved.mean()
    noise = torch.from_numpy(rng.standard_normal(pixels.shape[-2:], dtype=np.float32)) * float(rng.uniform(0.0, 0.05))
    return (moved - mean) * float(rng.uniform(0.9, 1.1)) + mean + float(rng.uniform(-0.1, 0.1)) + noise
