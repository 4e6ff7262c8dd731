"""Decoding ahead: order, bounds and errors; and plain pictures that are there to do harm."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image as Pil

from medbench.errors import InputError
from medbench.images import decode, decode_ahead
from medbench.types import Image


@pytest.fixture
def pictures(tmp_path):
    made = []
    for number in range(30):
        Pil.new("L", (4, 4), number).save(tmp_path / f"{number}.png")
        made.append(Image(path=str(tmp_path / f"{number}.png")))
    return made


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_pictures_come_in_order(pictures, workers):
    assert [p.getpixel((0, 0)) for p in decode_ahead(pictures, workers, mode="L")] == list(range(30))


def test_a_slow_picture_holds_its_place(pictures):
    def prepare(picture):
        time.sleep(0.03 if picture.getpixel((0, 0)) == 0 else 0)
        return picture.getpixel((0, 0))

    assert list(decode_ahead(pictures, 4, mode="L", prepare=prepare)) == list(range(30))


def test_what_cannot_be_decoded_is_yielded_in_its_place(pictures, tmp_path):
    (tmp_path / "5.png").write_bytes(b"x")
    found = list(decode_ahead(pictures, 2, mode="L"))
    assert [number for number, one in enumerate(found) if isinstance(one, InputError)] == [5]
    assert "5.png" in str(found[5])


def test_looking_ahead_is_bounded(pictures):
    taken = []
    running = decode_ahead((taken.append(image) or image for image in pictures), 2, mode="L", ahead=3)
    next(running)
    assert len(taken) == 4
    next(running)
    assert len(taken) == 5
    running.close()
    assert len(taken) == 5


def test_threads_end_with_the_consumer(pictures):
    running = decode_ahead(pictures, 3)
    next(running)
    assert any(thread.name.startswith("decode") for thread in threading.enumerate())
    running.close()
    assert not any(thread.name.startswith("decode") for thread in threading.enumerate())


def test_decoding_runs_in_several_threads(pictures):
    both = threading.Barrier(2, timeout=10)

    def prepare(picture):
        both.wait()
        return picture

    assert len(list(decode_ahead(pictures, 2, prepare=prepare))) == 30


def test_a_fault_in_preparing_is_not_hidden(pictures):
    def prepare(picture):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(decode_ahead(pictures, 2, prepare=prepare))


def test_nothing_gives_nothing():
    assert list(decode_ahead([], 2)) == []


# --- plain pictures ---------------------------------------------------------------------------------------------------


def test_cmyk_is_shown_in_its_colours(tmp_path):
    Pil.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "x.jpg", quality=95)
    picture = decode(Image(path=str(tmp_path / "x.jpg")))
    red, green, blue = picture.getpixel((8, 8))
    assert red > 240
    assert max(green, blue) < 20
    assert decode(Image(path=str(tmp_path / "x.jpg")), "L").mode == "L"


def test_16_bit_pictures_of_any_height_are_scaled_by_their_whole_range(tmp_path):
    values = np.arange(2048 * 1024, dtype=np.uint32).reshape(2048, 1024) % 50_001
    Pil.fromarray(values.astype(np.uint16)).save(tmp_path / "x.png", compress_level=1)
    found = np.asarray(decode(Image(path=str(tmp_path / "x.png")), "L"))
    assert (found == (values / 50_000 * 255).astype(np.uint8)).all()


def test_values_that_are_no_numbers_count_as_nothing(tmp_path):
    Pil.fromarray(np.array([[np.nan, np.inf, 0.0, 10.0]], dtype=np.float32)).save(tmp_path / "x.tif")
    assert np.asarray(decode(Image(path=str(tmp_path / "x.tif")), "L")).tolist() == [[0, 0, 0, 255]]


def _png(path, width, height):
    """Write a PNG whose header claims a size, with next to no data."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1000))),
        (b"IEND", b""),
    ]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize(("width", "height"), [(100_000, 100_000), (12_000, 9_000), (8_000, 8_001)])
def test_gigantic_pictures_are_refused_by_their_header(tmp_path, width, height):
    _png(tmp_path / "x.png", width, height)
    with pytest.raises(InputError, match=r"x\.png: .*64,000,000"):
        decode(Image(path=str(tmp_path / "x.png")))


def test_one_byte_and_half_a_picture_are_input_errors(tmp_path):
    (tmp_path / "one.jpg").write_bytes(b"\xff")
    Pil.effect_noise((64, 64), 50).save(tmp_path / "half.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "half.jpg").read_bytes()[:900])
    for name in ("one.jpg", "half.jpg"):
        with pytest.raises(InputError, match=name):
            decode(Image(path=str(tmp_path / name)))


def test_pipes_folders_and_loops_are_input_errors_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for name in ("pipe.png", "folder.png", "loop.png"):
        with pytest.raises(InputError, match=name):
            decode(Image(path=str(tmp_path / name)))


def test_files_that_would_start_a_program_are_not_pictures(tmp_path):
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EOF\n")
    with pytest.raises(InputError, match=r"x\.png: not a picture of a known kind"):
        decode(Image(path=str(tmp_path / "x.png")))


_LARGEST = """
import sys
from PIL import Image as Pil
from medbench.images import decode
from medbench.types import Image
picture = decode(Image(path=sys.argv[1]))
assert picture.size == (8000, 8000)
print(int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024)
"""


@pytest.mark.slow
def test_the_largest_picture_stays_below_a_gigabyte(tmp_path):
    Pil.new("P", (8000, 8000), 3).save(tmp_path / "x.png", compress_level=1, transparency=3)
    done = subprocess.run([sys.executable, "-c", _LARGEST, str(tmp_path / "x.png")], check=True, capture_output=True, text=True)
    assert float(done.stdout) < 1000
