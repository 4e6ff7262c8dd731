"""From an image reference to pixels: what kind of file it is, how large it may be, and how its values become 8 bits."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from medbench.errors import InputError
from medbench.members import container_of, open_picture
from medbench.types import Image

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image as Pil

    Numbers = np.ndarray[Any, np.dtype[Any]]
    Grey = np.ndarray[Any, np.dtype[np.uint8]]
    Mask = np.ndarray[Any, np.dtype[np.bool_]]

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded (8,000 x 8,000): far above a radiograph, far below what exhausts memory."""

LARGE = 16_000_000
"""Above so many pixels, threads decode one picture at a time."""

PRESETS = ("default", "blank", "raw_minmax", "display")
"""Known decode presets. `display` and `raw_minmax` say how DICOM values become grey, `default` is `display` there; pictures of
other kinds are decoded alike under all three."""

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
"""What Pillow may take a file for; some of the others would start programs."""

_DICOM = (".dcm", ".dicom")
_MAGIC = b"DICM"
_BLOCK = 1 << 20

_one_large = threading.Lock()


def decode(image: Image, mode: str = "RGB", *, opaque: bool = False) -> Pil.Image:
    """Return the decoded picture in a Pillow mode (`RGB`, `L`).

    DICOM files are known by their suffix or their magic; of several frames the first one is taken. 16-bit pictures are
    brought to 8 bits by their own range, transparent ones are laid on black.

    Args:
        image: Where it is.
        mode: Of the result.
        opaque: Refuse a picture of which any pixel is transparent. An alpha channel that hides nothing is no reason.

    Raises:
        InputError: the file is missing, broken, too large or no picture, or its preset is unknown; the message names the file.
    """
    if image.fault:
        raise InputError(f"{image.path}: {image.fault}")
    if image.preset not in PRESETS:
        raise InputError(f"{image.path}: no decode preset {image.preset}; known: {', '.join(PRESETS)}")
    try:
        if container_of(image.path) != image.path:
            with open_picture(image.path) as opened:
                return _shown(image, opened, mode, opaque=opaque)
        with _regular(image.path) as file:
            head = file.read(132)
            if head[128:] == _MAGIC or image.path.lower().endswith(_DICOM):
                from medbench.images.dicom import decode_dicom  # noqa: PLC0415 - pydicom is an extra

                return decode_dicom(image.path, image.preset, mode)
            file.seek(0)
            return _decode_plain(image, file, mode, opaque=opaque)
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(f"{image.path}: no such file") from None
    except Exception as error:  # on broken bytes, decoders raise whatever their parsing trips over
        raise InputError(f"{image.path}: cannot be decoded ({error})") from error


def require_decodable(path: str, width: int, height: int) -> None:
    """Refuse a picture that would exhaust memory.

    Raises:
        InputError: it has more than `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: {width}x{height} pixels is more than {MAX_PIXELS:,}")


def memory_guard(pixels: int) -> contextlib.AbstractContextManager[object]:
    """Return what to hold while a picture of so many pixels is decoded: threads take turns with large ones."""
    return _one_large if pixels > LARGE else contextlib.nullcontext()


def blank(mode: str, size: tuple[int, int]) -> Pil.Image:
    """Return an all-grey picture (128) of a size (width, height): the image-blind control."""
    from PIL import Image as Pil  # noqa: PLC0415 - loaded by those who decode

    return Pil.new(mode, size, 128 if mode == "L" else (128, 128, 128))


@contextlib.contextmanager
def _regular(path: str) -> Iterator[IO[bytes]]:
    """Open a regular file; a pipe or a device could be read for ever."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InputError(f"{path}: not a regular file")
        yield file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _decode_plain(image: Image, file: IO[bytes], mode: str, *, opaque: bool) -> Pil.Image:
    from PIL import Image as Pil  # noqa: PLC0415 - loaded by those who decode
    from PIL import UnidentifiedImageError  # noqa: PLC0415 - loaded by those who decode

    try:
        with Pil.open(file, formats=FORMATS) as opened:
            return _shown(image, opened, mode, opaque=opaque)
    except UnidentifiedImageError:
        raise InputError(f"{image.path}: not a picture of a known kind") from None
    except (Pil.DecompressionBombError, Pil.DecompressionBombWarning):
        raise InputError(f"{image.path}: cannot be decoded (more than {MAX_PIXELS:,} pixels)") from None


def _shown(image: Image, opened: Pil.Image, mode: str, *, opaque: bool) -> Pil.Image:
    require_decodable(image.path, *opened.size)
    if image.preset == "blank":
        return blank(mode, opened.size)
    with memory_guard(opened.width * opened.height):
        if opaque and _is_transparent(opened):
            raise InputError(f"{image.path}: part of the picture is transparent, and what lies behind it is not known")
        return _eight_bits(opened, mode)


def _is_transparent(opened: Pil.Image) -> bool:
    """Say whether any pixel lets something through."""
    if not opened.has_transparency_data:
        return False
    layer = opened if opened.mode in {"RGBA", "LA"} else opened.convert("RGBA")
    return any(layer.getchannel("A").histogram()[:255])


def _eight_bits(opened: Pil.Image, mode: str) -> Pil.Image:
    """Return a picture of any mode in `mode`."""
    from PIL import Image as Pil  # noqa: PLC0415 - loaded by those who decode

    if opened.mode.startswith("I") or opened.mode == "F":
        import numpy as np  # noqa: PLC0415 - loaded by those who decode

        return Pil.fromarray(stretch(np.asarray(opened))).convert(mode)
    if opened.mode in {"RGBA", "RGBa", "LA", "La", "PA"} or "transparency" in opened.info:
        layer = opened if opened.mode == "RGBA" else opened.convert("RGBA")
        ground = Pil.new("RGB", layer.size)
        ground.paste(layer, mask=layer)
        return ground if mode == "RGB" else ground.convert(mode)
    return opened.convert(mode)


def stretch(pixels: Numbers, ignored: Mask | None = None) -> Grey:
    """Return values as 8-bit grey, the lowest 0 and the highest 255; a constant picture is black.

    Args:
        pixels: numbers of any type, shape (height, width) or (height, width, channels); what is not finite counts as 0.
        ignored: mask of the same shape; what is under it does not set the range, and is cut to it.
    """
    import numpy as np  # noqa: PLC0415 - loaded by those who decode

    if pixels.dtype.kind == "f":
        pixels = np.nan_to_num(pixels, posinf=0.0, neginf=0.0)
    seen = pixels if ignored is None or ignored.all() else pixels[~ignored]
    low, high = float(seen.min()), float(seen.max())
    made = np.zeros(pixels.shape, dtype=np.uint8)
    if not high > low:
        return made
    rows = max(1, _BLOCK // max(1, pixels[0].size))
    for start in range(0, len(pixels), rows):
        block = (pixels[start : start + rows].astype(np.float64) - low) / (high - low)
        made[start : start + rows] = (np.clip(block, 0.0, 1.0) * 255.0).astype(np.uint8)
    return made
