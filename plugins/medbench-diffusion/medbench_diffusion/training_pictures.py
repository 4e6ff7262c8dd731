"""Real pictures for training: fitted to a square, and in the light of other worlds for the base of a preset."""

from __future__ import annotations

from typing import Any

import numpy as np

from medbench.errors import InputError, UsageError
from medbench.images import decode
from medbench.types import Image, Picture

EVERY_COLOUR = (-180.0, 180.0)
"""Turns of colour that a preset's autoencoder learns: it is to code any picture, as a published one does."""
OTHER_COLOURS = (40.0, 120.0)
"""Turns of colour that a preset's base learns: endoscopy in yellow and green, never as it is."""

_ABOUT_GREY = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])


def fitted(picture: Picture, size: int) -> np.ndarray[Any, Any]:
    """Return a picture file as uint8 (size, size, 3): its shortest side fitted, its middle taken.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        opened = decode(Image(path=picture.path)).convert("RGB")
    except InputError as error:
        raise UsageError(f"a training picture cannot be used: {error}", hint="leave its sample out of the data") from error
    scale = size / min(opened.size)
    width, height = (max(size, round(side * scale)) for side in opened.size)
    shrunk = opened.resize((width, height))
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(shrunk.crop((left, top, left + size, top + size)), dtype=np.uint8)


def recoloured(pixels: np.ndarray[Any, Any], rng: np.random.Generator, degrees: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Return a picture in the light of another world: its colours turned about grey, its brightness and contrast shifted a little.

    Args:
        pixels: uint8 (height, width, 3).
        rng: What is drawn from.
        degrees: Least and largest turn.
    """
    angle = np.deg2rad(rng.uniform(*degrees))
    turn = np.cos(angle) * np.eye(3) + (1 - np.cos(angle)) / 3 + np.sin(angle) / np.sqrt(3) * _ABOUT_GREY
    levels = np.clip(pixels.astype(np.float32) @ turn.T.astype(np.float32) / 255, 0.0, 1.0) ** np.float32(rng.uniform(0.75, 1.33))
    return np.rint(np.clip(levels * rng.uniform(0.8, 1.1), 0.0, 1.0) * 255).astype(np.uint8)
