from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image as Pil

from medbench.errors import InputError
from medbench.files import FileDigests
from medbench.images import decode
from medbench.members import _Recent, array_shape, container_of, member_path, read_array
from medbench.types import Image


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def claimed(path, shape, kind="|u1", body=b""):
    """An archive whose array is said to be larger than its bytes."""
    raw = io.BytesIO()
    np.lib.format.write_array_header_1_0(raw, {"descr": kind, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("test_images.npy", raw.getvalue() + body)
    return path


def refused(path, part="test_images", number=0):
    with pytest.raises(InputError) as caught:
        decode(Image(path=member_path(str(path), part, number)))
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_pictures_of_an_archive_are_decoded_each_by_its_number(tmp_path):
    grey = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    colour = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    path = npz(tmp_path / "a.npz", grey=grey, colour=colour)
    for number in range(3):
        assert np.array_equal(np.asarray(decode(Image(path=member_path(str(path), "grey", number)), "L")), grey[number])
    assert np.array_equal(np.asarray(decode(Image(path=member_path(str(path), "colour", 1)))), colour[1])
    assert decode(Image(path=member_path(str(path), "grey", 0), preset="blank"), "L").getextrema() == (128, 128)
    assert array_shape(path, "colour") == (2, 4, 5, 3)
    assert np.array_equal(read_array(path, "grey"), grey)


def test_an_archive_that_changed_is_read_anew(tmp_path):
    path = npz(tmp_path / "a.npz", x=np.zeros((1, 2, 2), dtype=np.uint8))
    assert decode(Image(path=member_path(str(path), "x", 0)), "L").getextrema() == (0, 0)
    npz(path, x=np.full((1, 9, 9), 7, dtype=np.uint8))
    assert decode(Image(path=member_path(str(path), "x", 0)), "L").getextrema() == (7, 7)


def test_what_cannot_be_unpacked_is_an_input_error(tmp_path):
    path = npz(tmp_path / "a.npz", test_images=np.zeros((2, 3, 3), dtype=np.uint8), wide=np.zeros((2, 3, 3), dtype=np.int32))
    assert "no picture of that number" in refused(path, number=2)
    assert "cannot be unpacked" in refused(path, part="none")
    assert "holds int32" in refused(path, part="wide")
    assert "no such file" in refused(tmp_path / "none.npz")
    (tmp_path / "torn.npz").write_bytes(path.read_bytes()[:-30])
    assert "cannot be unpacked" in refused(tmp_path / "torn.npz")
    np.savez(tmp_path / "objects.npz", test_images=np.array([{"a": 1}], dtype=object))
    assert "Python objects" in refused(tmp_path / "objects.npz")


def test_a_bomb_is_refused_by_its_header(tmp_path):
    assert "more than" in refused(claimed(tmp_path / "bomb.npz", (100_000, 1000, 1000)))
    assert "ends after 9 of 400 bytes" in refused(claimed(tmp_path / "short.npz", (1, 20, 20), body=b"123456789"))


def test_members_are_known_by_their_container_and_name(tmp_path):
    path = npz(tmp_path / "a.npz", x=np.zeros((2, 2, 2), dtype=np.uint8))
    digests = FileDigests()
    first, second = (digests.look(tmp_path / member_path("a.npz", "x", number)) for number in (0, 1))
    assert len({first.digest, second.digest, digests.look(path).digest}) == 3
    assert FileDigests().look(tmp_path / member_path("a.npz", "x", 0)) == first
    assert digests.look(tmp_path / member_path("none.npz", "x", 0)).fault == "no such file"
    assert container_of("a#b/c.png") == "a#b/c.png"


def test_pictures_of_a_parquet_file_are_decoded(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    cells = []
    for grey in (10, 200, 60):
        raw = io.BytesIO()
        Pil.new("L", (4, 4), grey).save(raw, format="PNG")
        cells.append({"bytes": raw.getvalue(), "path": None})
    cells.append({"bytes": None, "path": "x.png"})
    path = tmp_path / "part.parquet"
    parquet.write_table(pa.table({"image": cells}), path, row_group_size=2)
    for number, grey in enumerate((10, 200, 60)):
        assert decode(Image(path=member_path(str(path), "image", number)), "L").getextrema() == (grey, grey)
    assert "holds no picture" in refused(path, "image", 3)
    assert "no picture of that number" in refused(path, "image", 4)
    assert "cannot be unpacked" in refused(path, "none", 0)
    path.write_bytes(path.read_bytes()[:-20])
    assert "cannot be unpacked" in refused(path, "image", 0)


def test_what_was_unpacked_is_kept_as_long_as_there_is_room():
    made = []

    def take(recent, name, size):
        return recent.get(name, lambda: made.append(name) or np.zeros(size, dtype=np.uint8))

    recent = _Recent(100)
    for name, size in (("a", 40), ("b", 40), ("a", 40), ("c", 40), ("a", 40), ("b", 40), ("large", 300), ("large", 300)):
        assert len(take(recent, name, size)) == size
    assert made == ["a", "b", "c", "b", "large"]
