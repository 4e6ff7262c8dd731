from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from medbench_torch.images import ASPECTS, Pixels, decoded, pad_square, pil_processor, side_of
from medbench_torch.weights import WeightsError
from PIL import Image as Pil
from transformers import CLIPImageProcessor, CLIPImageProcessorPil, Gemma3ImageProcessorPil, LlavaImageProcessorPil
from transformers.utils import is_torchvision_available

from medbench.errors import InputError, UsageError
from medbench.types import Image

SIZES = [(512, 400), (300, 701), (64, 64), (33, 200)]
SQUARE = {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}}


def picture(width, height):
    return Pil.fromarray(np.random.default_rng(width).integers(0, 255, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_padding_is_that_of_llava_bit_by_bit(size):
    theirs = LlavaImageProcessorPil(do_pad=True, **SQUARE)(picture(*size), return_tensors="pt").pixel_values[0]
    assert torch.equal(Pixels(CLIPImageProcessorPil(**SQUARE), "pad")(picture(*size)), theirs)


@pytest.mark.parametrize("size", SIZES)
def test_cropping_is_the_processors_own(size):
    processor = CLIPImageProcessorPil(**SQUARE)
    assert torch.equal(Pixels(processor, "crop")(picture(*size)), processor(picture(*size), return_tensors="pt").pixel_values[0])


def test_squashing_keeps_the_whole_picture():
    wide = Pil.fromarray(np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 50, axis=0).repeat(3, axis=2))
    processor = CLIPImageProcessorPil(**SQUARE)
    squashed, cropped = Pixels(processor, "squash")(wide), Pixels(processor, "crop")(wide)
    assert squashed.shape == (3, 56, 56)
    assert squashed[0, 0, 0] < cropped[0, 0, 0]
    assert squashed[0, 0, -1] > cropped[0, 0, -1]


def test_an_unknown_aspect_names_those_that_are_known():
    with pytest.raises(UsageError, match="aspect=stretch: not known") as caught:
        Pixels(CLIPImageProcessorPil(**SQUARE), "stretch")
    assert all(name in caught.value.hint for name in ASPECTS)


def test_pad_square_centres_and_fills():
    made = np.asarray(pad_square(Pil.new("RGB", (2, 5), (9, 9, 9)), (1, 2, 3)))
    assert made.shape == (5, 5, 3)
    assert made[0].tolist() == [[1, 2, 3], [9, 9, 9], [9, 9, 9], [1, 2, 3], [1, 2, 3]]


def test_a_folder_gives_the_pillow_processor(tmp_path):
    CLIPImageProcessorPil(**SQUARE).save_pretrained(tmp_path)
    made = pil_processor(tmp_path)
    assert type(made) is CLIPImageProcessorPil
    assert side_of(made) == 56


@pytest.mark.parametrize("name", ["CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil"])
def test_a_configuration_gives_the_pillow_processor_whatever_it_was_saved_with(name):
    assert type(pil_processor({"image_processor_type": name, **SQUARE})) is CLIPImageProcessorPil


def test_a_folder_without_configuration_is_refused_in_one_line(tmp_path):
    with pytest.raises(WeightsError, match=r"no preprocessor_config\.json or processor_config\.json"):
        pil_processor(tmp_path)


def test_a_configuration_of_no_known_processor_is_refused():
    with pytest.raises(WeightsError, match="NoSuchImageProcessor has no Pillow form"):
        pil_processor({"image_processor_type": "NoSuchImageProcessor"})


def test_a_broken_configuration_is_refused_in_one_line(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text("{torn")
    with pytest.raises(WeightsError, match="its image processor cannot be made") as caught:
        pil_processor(tmp_path)
    assert "\n" not in caught.value.message


def test_the_side_is_that_of_the_crop_or_of_the_resized_square():
    assert side_of(Gemma3ImageProcessorPil(size={"height": 28, "width": 28})) == 28
    assert side_of(CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 56, "width": 56})) == 56
    with pytest.raises(WeightsError, match="no square of fixed size"):
        side_of(CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 28}))


def test_pictures_are_decoded_in_order_and_a_broken_one_is_its_error(tmp_path):
    images = []
    for shade in (0, 100, 200):
        path = tmp_path / f"{shade}.png"
        Pil.new("L", (8, 8), shade).save(path)
        images.append(Image(path=str(path)))
    images.insert(1, Image(path=str(tmp_path / "absent.png")))
    made = list(decoded(images, 2, lambda opened: opened.getpixel((0, 0))))
    assert isinstance(made[1], InputError)
    assert [made[0], *made[2:]] == [(0, 0, 0), (100, 100, 100), (200, 200, 200)]


def test_transformers_finds_no_torchvision_and_others_do():
    pytest.importorskip("torchvision")
    assert not is_torchvision_available()
    assert CLIPImageProcessor(size={"shortest_edge": 8}).__class__.__name__ == "CLIPImageProcessorPil"
    assert importlib.util.find_spec("torchvision")
