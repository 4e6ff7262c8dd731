"""PeFoMed's training pictures: a random part of each, resized to the square, mirrored half the time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from medbench_torch.fit.pictures import read_picture
from medbench_torch.images import Pixels

from medbench.types import Image

if TYPE_CHECKING:
    from PIL import Image as Pil

AREA = (0.5, 1.0)
RATIO = (3 / 4, 4 / 3)
TRIES = 10


class Cropped:
    """Decodes and crops; safe in threads.

    Source: blip2_image_train of https://github.com/jinlHe/PeFoMed, which is torchvision's RandomResizedCrop and
    RandomHorizontalFlip. A mirrored radiograph has its heart on the other side; it is published so.

    Args:
        pixels: From picture to tower.
    """

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    def __call__(self, image: Image, rng: np.random.Generator) -> torch.Tensor:
        """Return the tensor of a random part of a picture.

        Raises:
            UsageError: the picture cannot be decoded.
        """
        from PIL import ImageOps

        picture = read_picture(image, opaque=True)
        part = picture.crop(box_of(picture, rng))
        return self._pixels(ImageOps.mirror(part) if rng.random() < 0.5 else part)


def box_of(picture: Pil.Image, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return a random box in pixels (left, top, right, bottom) of half to all of the area, between 3:4 and 4:3."""
    width, height = picture.size
    for _ in range(TRIES):
        area = width * height * rng.uniform(*AREA)
        ratio = math.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, top = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
            return left, top, left + across, top + down
    across, down = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down
