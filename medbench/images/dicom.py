"""DICOM pixels under two named presets. Only an allowlist of tags is ever read: nothing about the patient enters memory."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pil

from medbench.errors import InputError
from medbench.images.decoding import blank, memory_guard, require_decodable, stretch

if TYPE_CHECKING:
    from medbench.images.decoding import Mask, Numbers

MAX_BYTES = 256 << 20
"""Largest file that is read, and largest content of a deflated one."""

FACTS = (
    *("Modality", "ViewPosition", "Laterality", "ImageLaterality", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"),
    *("PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleIntercept", "RescaleSlope", "RescaleType"),
)
"""Keywords of the tags that may be shown."""

_PIXELS = (
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData", "PlanarConfiguration", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ModalityLUTSequence", "VOILUTSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelAspectRatio"),
    *(f"{colour}PaletteColorLookupTable{part}" for colour in ("Red", "Green", "Blue", "Alpha") for part in ("Descriptor", "Data")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
)

_DEFLATED = "1.2.840.10008.1.2.1.99"
_PLUGINS = {
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.90": "pillow",
    "1.2.840.10008.1.2.4.91": "pillow",
    "1.2.840.10008.1.2.5": "pydicom",
}
"""Transfer syntax -> the one decoder that is used, whatever others are installed."""

_EXTRA = "pip install 'medbench[dicom-codecs]'"
_CODECS = {
    "1.2.840.10008.1.2.4.51": ("JPEG Extended, 12 bits", "pip install pylibjpeg pylibjpeg-libjpeg"),
    "1.2.840.10008.1.2.4.57": ("JPEG Lossless", _EXTRA),
    "1.2.840.10008.1.2.4.70": ("JPEG Lossless", _EXTRA),
    "1.2.840.10008.1.2.4.80": ("JPEG-LS", _EXTRA),
    "1.2.840.10008.1.2.4.81": ("JPEG-LS", _EXTRA),
}
"""Transfer syntaxes that need a codec of their own: what they are called, and what brings it."""


def decode_dicom(path: str, preset: str, mode: str) -> Pil.Image:
    """Return the first frame of a DICOM file in a Pillow mode.

    `display` (and `default`): modality transformation, then the first VOI LUT or window, padding left out of the range;
    `raw_minmax`: the stored values alone. Both stretch to 0..255 and then turn MONOCHROME1 round. Colour is taken as it is.

    Raises:
        InputError: the file is broken or too large, or needs a package that is not installed (the message names the extra).
    """
    data = _read(path, pixels=preset != "blank")
    try:
        size = int(data.Columns), int(data.Rows)
    except (AttributeError, TypeError, ValueError):
        raise InputError(f"{path}: a DICOM file without an image") from None
    require_decodable(path, *size)
    if preset == "blank":
        return blank(mode, size)
    with memory_guard(size[0] * size[1]):
        frame = _frame(path, data)
        try:
            return _picture(frame, data, preset).convert(mode)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - an odd tag may fail anywhere, and the error may quote it
            raise InputError(f"{path}: its values cannot be shown as a picture ({type(error).__name__})") from None


def dicom_facts(path: str) -> dict[str, str]:
    """Return keyword -> value of the tags that may be shown (`FACTS`), as far as the file has them.

    Raises:
        InputError: it is no DICOM file, or pydicom is not installed.
    """
    data = _read(path, pixels=False)
    return {name: str(data[name].value) for name in FACTS if name in data}


def _read(path: str, *, pixels: bool) -> Any:
    """Return the allowed tags of a file; what pydicom says of broken ones may quote them, so it is not passed on."""
    pydicom = _pydicom(path)
    if Path(path).stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: more than {MAX_BYTES >> 20} MB")
    try:
        _require_small_inside(path, pydicom)
        data = pydicom.dcmread(path, force=True, specific_tags=[*FACTS, *(_PIXELS if pixels else ())], stop_before_pixels=not pixels)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - on broken bytes, parsers raise whatever they trip over
        raise InputError(f"{path}: not a readable DICOM file ({type(error).__name__})") from None
    return data


def _pydicom(path: str) -> Any:
    try:
        import pydicom  # noqa: PLC0415 - an extra
    except ImportError:
        raise InputError(f"{path}: DICOM needs pydicom: pip install 'medbench[dicom]'") from None
    # a value that breaks its type's rules would be quoted in a warning, and it may be a name or a birthday
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    return pydicom


def _require_small_inside(path: str, pydicom: Any) -> None:
    """Refuse a deflated file whose content would exhaust memory."""
    if not _has_meta(path):
        return
    meta = pydicom.filereader.read_file_meta_info(path)
    if str(meta.get("TransferSyntaxUID", "")) != _DEFLATED:
        return
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    with Path(path).open("rb") as file:
        file.seek(132 + 12 + int(meta.FileMetaInformationGroupLength))
        while chunk := inflate.unconsumed_tail or file.read(1 << 16):
            total += len(inflate.decompress(chunk, 1 << 20))
            if total > MAX_BYTES:
                raise InputError(f"{path}: more than {MAX_BYTES >> 20} MB when inflated")


def _has_meta(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _frame(path: str, data: Any) -> Numbers:
    """Return the stored values of the first frame, shape (rows, columns) or (rows, columns, 3)."""
    from pydicom.pixels.utils import pixel_array  # noqa: PLC0415 - an extra

    syntax = _syntax(data)
    try:
        frame: Numbers = pixel_array(data, index=0, decoding_plugin=_PLUGINS.get(syntax, ""))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - on broken bytes, decoders raise whatever they trip over
        if syntax in _CODECS:
            name, remedy = _CODECS[syntax]
            raise InputError(f"{path}: {name} (transfer syntax {syntax}) cannot be decoded here: {remedy}") from None
        raise InputError(f"{path}: its pixels cannot be decoded ({type(error).__name__}, transfer syntax {syntax})") from None
    return frame


def _syntax(data: Any) -> str:
    """Return the transfer syntax, setting the one that the file's encoding implies where it names none."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian  # noqa: PLC0415 - an extra

    if "TransferSyntaxUID" not in data.file_meta:
        implicit, little = data.original_encoding
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    return str(data.file_meta.TransferSyntaxUID)


def _picture(frame: Numbers, data: Any, preset: str) -> Pil.Image:
    from pydicom.pixels.processing import apply_color_lut  # noqa: PLC0415 - an extra

    kind = str(data.get("PhotometricInterpretation", "MONOCHROME2"))
    if kind == "PALETTE COLOR":
        frame = apply_color_lut(frame, data)[..., :3]
        if frame.dtype.itemsize > 1:
            frame = frame >> 8
    if frame.ndim == 3:
        return Pil.fromarray(frame if frame.dtype == np.uint8 else stretch(frame))
    frame = _stored_bits(frame, data)
    padding = None
    if preset != "raw_minmax":
        padding = _padding(frame, data)
        frame = _windowed(frame, data)
    grey = stretch(frame, padding)
    if kind == "MONOCHROME1":
        grey = 255 - grey
    if padding is not None:
        grey[padding] = 0
    return Pil.fromarray(grey)


def _windowed(frame: Numbers, data: Any) -> Numbers:
    """Return the values for display: the VOI LUT wins over a window, the first of several windows counts; an unusable one none."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut  # noqa: PLC0415 - an extra

    frame = apply_modality_lut(frame, data)
    try:
        shown: Numbers = apply_voi_lut(frame, data, index=0)
    except (ValueError, TypeError, IndexError, NotImplementedError, AttributeError):
        return frame
    return shown


def _stored_bits(frame: Numbers, data: Any) -> Numbers:
    """Drop what stands above the stored bits (overlays, leftovers); signed values keep their sign."""
    stored, allocated = int(data.get("BitsStored", 0)), 8 * frame.dtype.itemsize
    if frame.dtype.kind not in "iu" or not 0 < stored < allocated or int(data.get("HighBit", stored - 1)) != stored - 1:
        return frame
    spare = allocated - stored
    return (frame << spare) >> spare


def _padding(frame: Numbers, data: Any) -> Mask | None:
    """Return where there is padding around the picture; None: nowhere, or everywhere."""
    if "PixelPaddingValue" not in data:
        return None
    one = int(data.PixelPaddingValue)
    other = int(data.get("PixelPaddingRangeLimit", one))
    mask = (frame >= min(one, other)) & (frame <= max(one, other))
    return mask if mask.any() and not mask.all() else None
