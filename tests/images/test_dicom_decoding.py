"""DICOM: golden values of real files, the two presets, and what is said of files that cannot be decoded."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from medbench.errors import InputError
from medbench.images import decode
from medbench.types import Image

pydicom = pytest.importorskip("pydicom", reason="the extra medbench[dicom]")

from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402 - after the check that it is there
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1, generate_uid  # noqa: E402 - after the check that it is there

from medbench.images.dicom import FACTS, MAX_BYTES, dicom_facts  # noqa: E402 - after the check that it is there

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
NAME = "Doe^Jane"


def grey(path, preset="display"):
    return np.asarray(decode(Image(path=str(path), preset=preset), "L"))


def made(path, pixels, *, signed=False, **tags):
    """Write a small DICOM file; `tags` are set as they are."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = tags.pop("syntax", ExplicitVRLittleEndian)
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["x"])
    data.SOPClassUID, data.SOPInstanceUID = data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.PatientBirthDate = NAME, "4711", "19500101"
    array = np.asarray(pixels)
    data.Rows, data.Columns = array.shape[:2]
    data.SamplesPerPixel = 3 if array.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if array.ndim == 3 else "MONOCHROME2"
    if array.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * array.dtype.itemsize
    data.PixelRepresentation = int(signed)
    data.PixelData = array.tobytes() + b"\0" * (array.nbytes % 2)
    for name, value in tags.items():
        setattr(data, name, value)
    data.HighBit = tags.get("HighBit", data.BitsStored - 1)
    if data.SamplesPerPixel == 1:
        data["PixelData"].VR = "OW"
    data.save_as(path, enforce_file_format=True)
    return path


GOLDEN = (
    ("CR1/6154", 22609, [255, 244, 220, 227, 183, 213, 163, 201, 178, 168, 138, 109, 86, 101, 110, 76]),
    ("CR2/6247", 30042, [146, 156, 134, 85, 64, 118, 90, 122, 174, 106, 161, 101, 128, 93, 139, 126]),
    ("CR3/6278", 38149, [97, 79, 66, 67, 88, 42, 85, 38, 56, 34, 16, 0, 13, 16, 28, 40]),
)
"""Real radiographs in MONOCHROME1, 12 bits: sum and first row of the 8-bit picture (pydicom 3.0.2)."""


@pytest.mark.parametrize(("name", "total", "first_row"), GOLDEN)
def test_real_radiographs_give_the_known_values(name, total, first_row):
    pixels = grey(BUNDLED / "dicomdirtests" / "77654033" / name, "raw_minmax")
    assert int(pixels.sum()) == total
    assert pixels[0].tolist() == first_row


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("CT_small.dcm", (128, 128)),
        ("693_J2KI.dcm", (512, 512)),
        ("MR_small.dcm", (64, 64)),
        ("MR_small_RLE.dcm", (64, 64)),
        ("MR_small_bigendian.dcm", (64, 64)),
        ("examples_overlay.dcm", (484, 300)),
        ("examples_rgb_color.dcm", (320, 240)),
        ("examples_palette.dcm", (800, 350)),
        ("examples_ybr_color.dcm", (320, 240)),
        ("ExplVR_BigEnd.dcm", (80, 60)),
        ("image_dfl.dcm", (512, 512)),
    ],
)
def test_real_files_of_every_kind_decode(name, size):
    for preset in ("display", "raw_minmax"):
        picture = decode(Image(path=str(BUNDLED / name), preset=preset))
        assert picture.size == size
        assert np.asarray(picture).std() > 5


def test_one_picture_in_five_encodings_is_one_picture():
    names = ("MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_jp2klossless.dcm")
    first, *others = [grey(BUNDLED / name) for name in names]
    assert all((first == other).all() for other in others)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", r"JPEG-LS .*: pip install 'medbench\[dicom-codecs\]'"),
        ("SC_rgb_jpeg_gdcm.dcm", r"JPEG Lossless .*: pip install 'medbench\[dicom-codecs\]'"),
        ("JPEG-lossy.dcm", "JPEG Extended, 12 bits .*: pip install pylibjpeg pylibjpeg-libjpeg"),
    ],
)
def test_codecs_that_are_not_there_are_named_with_their_remedy(name, remedy, monkeypatch):
    def no_codec(*_, **__):
        raise RuntimeError("Unable to decompress: no plugin")

    monkeypatch.setattr("pydicom.pixels.utils.pixel_array", no_codec)
    with pytest.raises(InputError, match=rf"{name}: {remedy}"):
        grey(BUNDLED / name)


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan.dcm", "badVR.dcm"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_files_and_files_without_image_are_input_errors(name):
    with pytest.raises(InputError, match=name):
        grey(BUNDLED / name)


# --- presets ----------------------------------------------------------------------------------------------------------


def test_display_applies_the_window_and_raw_minmax_does_not(tmp_path):
    values = np.array([[0, 1000], [2000, 4000]], dtype=np.uint16)
    path = made(tmp_path / "x.dcm", values, WindowCenter=[1500, 9], WindowWidth=[1000, 9])
    assert grey(path, "raw_minmax").tolist() == [[0, 63], [127, 255]]
    assert grey(path, "display").tolist() == [[0, 0], [255, 255]]
    assert grey(path, "default").tolist() == grey(path, "display").tolist()


def test_monochrome1_is_turned_round_after_the_window(tmp_path):
    values = np.array([[0, 1000], [2000, 4000]], dtype=np.uint16)
    path = made(tmp_path / "x.dcm", values, WindowCenter=1000, WindowWidth=2000, PhotometricInterpretation="MONOCHROME1")
    assert grey(path).tolist() == [[255, 128], [0, 0]]
    assert grey(path, "raw_minmax").tolist() == [[255, 192], [128, 0]]


def test_windows_are_in_rescaled_values(tmp_path):
    values = np.array([[0, 1024], [1064, 2000]], dtype=np.uint16)
    path = made(tmp_path / "x.dcm", values, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=0, WindowWidth=2)
    assert grey(path).tolist() == [[0, 255], [255, 255]]


def test_a_sigmoid_window_is_soft(tmp_path):
    values = np.array([[0, 400, 500, 600, 1000]], dtype=np.uint16)
    path = made(tmp_path / "x.dcm", values, WindowCenter=500, WindowWidth=200, VOILUTFunction="SIGMOID")
    row = grey(path)[0].tolist()
    assert row == sorted(row)
    assert 0 < row[1] < row[2] < row[3] < 255


def test_an_unusable_window_counts_for_nothing(tmp_path):
    values = np.array([[0, 100], [200, 255]], dtype=np.uint16)
    path = made(tmp_path / "x.dcm", values, WindowCenter=100, WindowWidth=0)
    assert grey(path).tolist() == values.tolist()


def test_padding_is_black_and_does_not_set_the_range(tmp_path):
    values = np.array([[-2000, 0], [100, 255]], dtype=np.int16)
    for kind, expected in (("MONOCHROME2", [[0, 0], [100, 255]]), ("MONOCHROME1", [[0, 255], [155, 0]])):
        path = made(tmp_path / "x.dcm", values, signed=True, PhotometricInterpretation=kind)
        data = pydicom.dcmread(path)
        data.add_new("PixelPaddingValue", "SS", -2000)
        data.save_as(path)
        assert grey(path).tolist() == expected


@pytest.mark.parametrize(("signed", "kind"), [(False, np.uint16), (True, np.int16)])
def test_bits_above_the_stored_ones_are_dropped(tmp_path, signed, kind):
    low, high = (-2048, 2047) if signed else (0, 4095)
    values = np.array([[low, high], [0, 1]], dtype=kind)
    overlay = (values.view(np.uint16) & 0x0FFF) | np.array([[0x1000, 0], [0x8000, 0]], dtype=np.uint16)
    path = made(tmp_path / "x.dcm", overlay.view(kind), signed=signed, BitsStored=12)
    clean = made(tmp_path / "y.dcm", values, signed=signed)
    assert grey(path, "raw_minmax").tolist() == grey(clean, "raw_minmax").tolist()


def test_a_constant_picture_is_black(tmp_path):
    assert grey(made(tmp_path / "x.dcm", np.full((4, 4), 700, dtype=np.uint16))).tolist() == [[0] * 4] * 4


def test_the_first_of_several_frames_is_taken(tmp_path):
    frames = np.stack([np.array([[0, 255]]), np.array([[255, 0]])]).astype(np.uint8)
    path = made(tmp_path / "x.dcm", frames[0], NumberOfFrames=2, PixelData=frames.tobytes())
    assert grey(path).tolist() == [[0, 255]]


def test_colour_is_kept(tmp_path):
    colours = np.array([[[255, 0, 0], [0, 0, 200]]], dtype=np.uint8)
    path = made(tmp_path / "x.dcm", colours, WindowCenter=10, WindowWidth=2)
    assert np.asarray(decode(Image(path=str(path)))).tolist() == colours.tolist()


def test_the_blank_control_has_the_size_of_the_picture_and_needs_no_pixels(tmp_path):
    path = made(tmp_path / "x.dcm", np.zeros((3, 5), dtype=np.uint8))
    picture = decode(Image(path=str(path), preset="blank"))
    assert picture.size == (5, 3)
    assert set(np.asarray(picture).ravel().tolist()) == {128}


def test_dicom_is_known_by_its_magic_whatever_its_name(tmp_path):
    path = made(tmp_path / "x.png", np.array([[0, 255]], dtype=np.uint8))
    assert grey(path).tolist() == [[0, 255]]


def test_an_unknown_preset_is_refused(tmp_path):
    path = made(tmp_path / "x.dcm", np.array([[0, 255]], dtype=np.uint8))
    with pytest.raises(InputError, match=r"x\.dcm: no decode preset lung; known: default, blank, raw_minmax, display"):
        grey(path, "lung")


# --- nothing about the patient ----------------------------------------------------------------------------------------


def test_only_allowed_tags_are_told(tmp_path):
    path = made(tmp_path / "x.dcm", np.array([[0, 255]], dtype=np.uint8), ViewPosition="PA", Modality="DX")
    facts = dicom_facts(str(path))
    assert facts.keys() <= set(FACTS)
    assert (facts["ViewPosition"], facts["Modality"], facts["Rows"], facts["Columns"]) == ("PA", "DX", "1", "2")
    assert not any("Patient" in name or "Date" in name for name in FACTS)


def test_errors_never_quote_the_file(tmp_path):
    raw = made(tmp_path / "x.dcm", np.zeros((4, 4), dtype=np.uint16)).read_bytes()
    at = raw.index(b"Rows") if b"Rows" in raw else raw.index(bytes.fromhex("28001000"))
    broken = bytearray(raw)
    said = []
    for offset in range(at, at + 12):
        torn = broken.copy()
        torn[offset] ^= 0xFF
        (tmp_path / "y.dcm").write_bytes(torn)
        try:
            grey(tmp_path / "y.dcm")
        except InputError as error:
            said.append(str(error) + repr(error.__cause__))
    assert said
    assert not any(word in text for text in said for word in ("Doe", "Jane", "4711", "1950"))


# --- hostile files ----------------------------------------------------------------------------------------------------


def test_a_huge_frame_is_refused_before_it_is_decoded(tmp_path):
    path = made(tmp_path / "x.dcm", np.zeros((2, 2), dtype=np.uint8), Rows=60_000, Columns=60_000)
    with pytest.raises(InputError, match="60000x60000 pixels is more than 64,000,000"):
        grey(path)


def test_pixels_that_do_not_fit_the_size_are_an_input_error(tmp_path):
    path = made(tmp_path / "x.dcm", np.zeros((2, 2), dtype=np.uint8), Rows=200, Columns=200)
    with pytest.raises(InputError, match=r"x\.dcm: its pixels cannot be decoded"):
        grey(path)


def test_a_codec_that_is_claimed_but_not_there_is_an_input_error(tmp_path):
    path = made(tmp_path / "x.dcm", np.zeros((2, 2), dtype=np.uint8))
    raw = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", str(JPEGLosslessSV1).encode()[:19] + b"\0", 1)
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"x\.dcm"):
        grey(path)


def test_a_deflated_bomb_is_refused_without_being_inflated(tmp_path, monkeypatch):
    monkeypatch.setattr("medbench.images.dicom.MAX_BYTES", 1 << 20)
    source = (BUNDLED / "image_dfl.dcm").read_bytes()
    start = 132 + 12 + int(pydicom.filereader.read_file_meta_info(BUNDLED / "image_dfl.dcm").FileMetaInformationGroupLength)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflate.compress(bytes(64 << 20)) + deflate.flush()
    (tmp_path / "x.dcm").write_bytes(source[:start] + bomb)
    with pytest.raises(InputError, match="more than 1 MB when inflated"):
        grey(tmp_path / "x.dcm")
    assert MAX_BYTES > 1 << 20


@pytest.mark.parametrize("length", [0, 1, 100, 132, 140, 200, 400])
def test_truncated_files_are_input_errors(tmp_path, length):
    whole = made(tmp_path / "x.dcm", np.zeros((8, 8), dtype=np.uint8)).read_bytes()
    (tmp_path / "y.dcm").write_bytes(whole[:length])
    with pytest.raises(InputError, match=r"y\.dcm"):
        grey(tmp_path / "y.dcm")


def test_without_pydicom_the_extra_is_named(tmp_path, monkeypatch):
    path = made(tmp_path / "x.dcm", np.array([[0, 255]], dtype=np.uint8))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r"x\.dcm: DICOM needs pydicom: pip install 'medbench\[dicom\]'"):
        grey(path)
