"""Decoding pictures, late: every pixel path is Pillow, so results do not depend on what else is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medbench.errors import InputError
from medbench.types import Image

if TYPE_CHECKING:
    from PIL import Image as Pil

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded (8,000 x 8,000): far above a radiograph, far below what exhausts memory."""


def decode(image: Image, mode: str = "RGB") -> Pil.Image:
    """Return the decoded picture in a Pillow mode (`RGB`, `L`).

    Raises:
        InputError: the file is missing, broken, too large or no picture; the message names the file.
    """
    from PIL import Image as Pil  # noqa: PLC0415 - loaded by those who decode

    if image.fault:
        raise InputError(f"{image.path}: {image.fault}")
    try:
        with Pil.open(image.path) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise InputError(f"{image.path}: {opened.width}x{opened.height} pixels is more than {MAX_PIXELS:,}")
            if image.preset == "blank":
                return Pil.new(mode, opened.size, 128 if mode == "L" else (128, 128, 128))
            return _flatten(opened).convert(mode)
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(f"{image.path}: no such file") from None
    except Exception as error:  # on broken bytes, decoders raise whatever their parsing trips over
        raise InputError(f"{image.path}: cannot be decoded ({error})") from error


def _flatten(opened: Pil.Image) -> Pil.Image:
    """Bring 16-bit pictures to 8 bits by their own range, and lay transparent ones on black."""
    from PIL import Image as Pil  # noqa: PLC0415 - loaded by those who decode

    if opened.mode.startswith("I") or opened.mode == "F":
        import numpy as np  # noqa: PLC0415 - loaded by those who decode

        pixels = np.asarray(opened, dtype=np.float64)
        low, high = float(pixels.min()), float(pixels.max())
        scaled = (pixels - low) * (255.0 / (high - low)) if high > low else np.zeros_like(pixels)
        return Pil.fromarray(scaled.astype(np.uint8))
    if opened.mode in {"RGBA", "RGBa", "LA", "La", "PA"} or "transparency" in opened.info:
        ground = Pil.new("RGBA", opened.size, (0, 0, 0, 255))
        return Pil.alpha_composite(ground, opened.convert("RGBA"))
    return opened
