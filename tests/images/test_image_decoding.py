"""Decoding: what comes out of every kind of file, and what is said of those that are none."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest
from PIL import Image as Pil

from medbench.errors import InputError
from medbench.images import MAX_PIXELS, decode, decode_ahead
from medbench.types import Image


def saved(path, picture, **options):
    picture.save(path, **options)
    return Image(path=str(path))


def grey(values, mode="L"):
    return Pil.fromarray(np.asarray(values, dtype={"L": np.uint8, "I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))


def test_an_8_bit_picture_comes_as_it_is(tmp_path):
    picture = decode(saved(tmp_path / "x.png", grey([[0, 100], [200, 255]])), "L")
    assert np.asarray(picture).tolist() == [[0, 100], [200, 255]]
    assert decode(Image(path=str(tmp_path / "x.png"))).mode == "RGB"


@pytest.mark.parametrize(("mode", "suffix"), [("I;16", "png"), ("I", "tif"), ("F", "tif")])
def test_deep_pictures_are_brought_to_8_bits_by_their_own_range(tmp_path, mode, suffix):
    picture = decode(saved(tmp_path / f"x.{suffix}", grey([[1000, 2000], [3000, 3000]], mode)), "L")
    assert np.asarray(picture).tolist() == [[0, 127], [255, 255]]


def test_a_deep_picture_of_one_value_is_black(tmp_path):
    assert np.asarray(decode(saved(tmp_path / "x.png", grey([[500, 500]], "I;16")), "L")).tolist() == [[0, 0]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_black(tmp_path, mode):
    clear = Pil.new(mode, (2, 1), (255, 255, 255, 0) if mode == "RGBA" else (255, 0))
    clear.putpixel((1, 0), (10, 10, 10, 255) if mode == "RGBA" else (10, 255))
    assert np.asarray(decode(saved(tmp_path / "x.png", clear), "L")).tolist() == [[0, 10]]


def test_a_transparent_colour_of_a_palette_is_black(tmp_path):
    picture = Pil.new("P", (2, 1))
    picture.putpalette([255, 255, 255, 40, 40, 40])
    picture.putpixel((1, 0), 1)
    assert np.asarray(decode(saved(tmp_path / "x.png", picture, transparency=0), "L")).tolist() == [[0, 40]]


@pytest.mark.parametrize(("mode", "clear", "solid"), [("RGBA", (9, 9, 9, 254), (9, 9, 9, 255)), ("LA", (9, 0), (9, 255))])
def test_where_pictures_must_be_opaque_an_alpha_that_hides_something_is_refused(tmp_path, mode, clear, solid):
    picture = Pil.new(mode, (2, 1), solid)
    assert np.asarray(decode(saved(tmp_path / "x.png", picture), "L", opaque=True)).tolist() == [[9, 9]]
    picture.putpixel((1, 0), clear)
    image = saved(tmp_path / "x.png", picture)
    with pytest.raises(InputError, match=r"x\.png: part of the picture is transparent"):
        decode(image, opaque=True)
    assert decode(Image(path=image.path, preset="blank"), opaque=True).size == (2, 1)
    (failed,) = decode_ahead([image], 1, opaque=True)
    assert isinstance(failed, InputError)


def test_where_pictures_must_be_opaque_a_transparent_colour_counts_where_it_is_used(tmp_path):
    picture = Pil.new("P", (2, 1))
    picture.putpalette([40, 40, 40, 255, 255, 255])
    assert np.asarray(decode(saved(tmp_path / "x.png", picture, transparency=1), "L", opaque=True)).tolist() == [[40, 40]]
    with pytest.raises(InputError, match="is transparent"):
        decode(saved(tmp_path / "y.png", picture, transparency=0), opaque=True)
    assert np.asarray(decode(saved(tmp_path / "z.png", grey([[7, 7]])), "L", opaque=True)).tolist() == [[7, 7]]


def test_a_colour_space_that_cannot_be_converted_is_an_input_error(tmp_path):
    image = saved(tmp_path / "x.tif", Pil.frombytes("LAB", (1, 1), bytes([255, 128, 128])))
    with pytest.raises(InputError, match=r"x\.tif: cannot be decoded \(conversion from LAB to RGB"):
        decode(image, "L")


def test_a_blank_picture_is_grey_and_of_the_same_size(tmp_path):
    image = saved(tmp_path / "x.png", grey([[0, 1, 2]]))
    blank = decode(Image(path=image.path, preset="blank"))
    assert blank.mode == "RGB"
    assert np.asarray(blank).tolist() == [[[128] * 3] * 3]


def test_a_known_fault_is_said_without_opening_the_file():
    with pytest.raises(InputError, match=r"gone\.png: an empty file"):
        decode(Image(path="gone.png", fault="an empty file"))


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"gone\.png: no such file"):
        decode(Image(path="gone.png"))


def test_a_picture_that_would_exhaust_memory_is_refused_before_it_is_decoded(tmp_path):
    image = saved(tmp_path / "x.png", Pil.new("1", (MAX_PIXELS // 4000, 4001)))
    with pytest.raises(InputError, match="16000x4001 pixels is more than 64,000,000"):
        decode(image)


def test_a_bomb_is_refused_too(tmp_path, monkeypatch):
    image = saved(tmp_path / "x.png", Pil.new("1", (100, 100)))
    monkeypatch.setattr(Pil, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InputError, match=r"x\.png: cannot be decoded"):
        decode(image)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "gif", "bmp"])
def test_damaged_bytes_give_a_picture_or_an_input_error_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (16, 16), dtype=np.uint8)
    Pil.fromarray(noise).save(path)
    whole = path.read_bytes()
    rng = random.Random(suffix)
    refused = 0
    for _ in range(150):
        broken = bytearray(whole[: rng.randrange(len(whole) + 1)] if rng.random() < 0.3 else whole)
        for _ in range(rng.randrange(1, 4)):
            if broken:
                broken[rng.randrange(min(len(broken), 120))] = rng.randrange(256)
        path.write_bytes(broken)
        with contextlib.suppress(InputError):
            decode(Image(path=str(path)))
            continue
        refused += 1
    assert refused > 20
