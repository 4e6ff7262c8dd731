from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from medbench_biovil import pixels
from medbench_biovil.pixels import crop_of, seen, seen_box, smoothed
from medbench_biovil.sizes import PUBLISHED
from PIL import Image as Pil
from scipy import ndimage


def film(height, width, seed=0, low=30, high=200):
    return Pil.fromarray(np.random.default_rng(seed).integers(low, high, (height, width), dtype=np.uint8))


@pytest.mark.parametrize("size", [(600, 520), (512, 700), (300, 500), (1024, 1024), (513, 511)])
def test_pixels_are_those_of_the_published_transforms(size):
    """Resize(512), CenterCrop(448), ToTensor of torchvision, written out: its rounding, its order."""
    picture = film(*size)
    values = np.asarray(picture, dtype=float)
    stretched = Pil.fromarray(((values - values.min()) / (values - values.min()).max() * 255).astype(np.uint8))
    width, height = stretched.size
    short, long = min(width, height), max(width, height)
    if short != 512:
        wanted = (512, int(512 * long / short)) if width <= height else (int(512 * long / short), 512)
        stretched = stretched.resize(wanted, Pil.Resampling.BILINEAR)
    width, height = stretched.size
    top, left = round((height - 448) / 2.0), round((width - 448) / 2.0)
    wanted = np.asarray(stretched, dtype=np.float32)[top : top + 448, left : left + 448] / 255
    made = seen(picture, PUBLISHED)
    assert made.shape == (1, 448, 448)
    assert np.array_equal(made[0].numpy(), wanted)


def test_the_whole_range_is_used_whatever_the_exposure():
    dark, bright = film(512, 512, low=0, high=60), film(512, 512, low=180, high=255)
    for picture in (dark, bright):
        made = seen(picture, PUBLISHED)
        assert made.min() < 0.01
        assert made.max() > 0.99


def test_grey_values_that_fill_the_range_already_are_left_as_they_are():
    values = np.resize(np.arange(256, dtype=np.uint8), (512, 512))
    made = (seen(Pil.fromarray(values), PUBLISHED)[0] * 255).round().to(torch.uint8).numpy()
    assert np.abs(made.astype(int) - values[32:480, 32:480].astype(int)).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(1024, 512), (300, 512), (700, 701), (2544, 3056)])
def test_the_box_is_where_the_crop_came_from(width, height):
    left, top, across, down = seen_box(width, height, PUBLISHED)
    assert across == pytest.approx(448 / 512 * min(width, height), rel=5e-3)
    assert down == pytest.approx(across, rel=5e-3)
    assert left + across / 2 == pytest.approx(width / 2, abs=width / 400)
    assert top + down / 2 == pytest.approx(height / 2, abs=height / 400)
    assert crop_of(width, height, PUBLISHED).size[0 if width <= height else 1] == 512


@pytest.mark.parametrize("shape", [(14, 14), (4, 4), (1, 3), (20, 15)])
def test_smoothing_is_scipys(shape):
    grid = np.random.default_rng(0).normal(size=shape)
    assert np.allclose(smoothed(grid, 1.5), ndimage.gaussian_filter(grid, 1.5), atol=1e-12)
    assert np.array_equal(smoothed(grid, 0.0), grid)


def test_doctests_hold():
    assert doctest.testmod(pixels).failed == 0
