"""From a radiograph to what BioViL-T sees, and back from its patches to pixels of the radiograph."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from medbench.images.decoding import stretch

if TYPE_CHECKING:
    from PIL import Image as Pil

    from medbench_biovil.sizes import Sizes


class Crop(NamedTuple):
    """Where the centre crop lies."""

    size: tuple[int, int]
    """Width and height to which the whole picture is resized."""
    left: int
    top: int


def crop_of(width: int, height: int, sizes: Sizes) -> Crop:
    """Return how a picture of these pixels is resized (shorter side to `resize`) and where its crop begins, in resized pixels."""
    resize, crop = sizes.resize, sizes.crop
    size = (resize, int(resize * height / width)) if width <= height else (int(resize * width / height), resize)
    return Crop(size, round((size[0] - crop) / 2.0), round((size[1] - crop) / 2.0))


def seen(picture: Pil.Image, sizes: Sizes) -> torch.Tensor:
    """Return a grey picture as the network sees it, float32 (1, crop, crop) from 0 to 1; no mean, no deviation.

    Its values are stretched to 0 to 255, it is resized bilinearly and cropped in the centre, as hi-ml's own code does.
    """
    from PIL import Image as Pillow
    from PIL.Image import Resampling

    picture = Pillow.fromarray(stretch(np.asarray(picture)))
    crop = crop_of(*picture.size, sizes)
    if picture.size != crop.size and min(picture.size) != sizes.resize:
        picture = picture.resize(crop.size, Resampling.BILINEAR)
    cut = picture.crop((crop.left, crop.top, crop.left + sizes.crop, crop.top + sizes.crop))
    return torch.from_numpy(np.asarray(cut, dtype=np.float32) / 255.0)[None]


def seen_box(width: int, height: int, sizes: Sizes) -> tuple[float, float, float, float]:
    """Return what the network sees of a picture: left, top, width, height in its own pixels.

    >>> from medbench_biovil.sizes import PUBLISHED
    >>> seen_box(1024, 512, PUBLISHED)
    (288.0, 32.0, 448.0, 448.0)
    """
    crop = crop_of(width, height, sizes)
    across, down = width / crop.size[0], height / crop.size[1]
    return crop.left * across, crop.top * down, sizes.crop * across, sizes.crop * down


def smoothed(grid: np.ndarray, sigma: float) -> np.ndarray:
    """Return a map under a Gaussian of `sigma` cells, cut off at four of them, mirrored at the rim with the rim itself.

    Args:
        grid: float64, (rows, columns).
        sigma: In cells; 0: the map as it is.

    >>> smoothed(np.eye(3), 1.5).sum().round(9)
    np.float64(3.0)
    """
    if not sigma:
        return grid
    reach = int(4 * sigma + 0.5)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    bell /= bell.sum()
    for axis in (0, 1):
        wide = np.pad(grid, [(reach, reach) if at == axis else (0, 0) for at in (0, 1)], mode="symmetric")
        grid = np.apply_along_axis(np.convolve, axis, wide, bell, "valid")
    return grid
