"""Drawn pixels as PNG files that say what they were drawn from; the same picture is always the same bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medbench.types import Failed, Picture

if TYPE_CHECKING:
    import numpy as np

SOFTWARE = "medbench-diffusion"


def encoded(pixels: np.ndarray[Any, Any], said: Mapping[str, object]) -> Picture | Failed:
    """Return a picture as PNG with text chunks, or what stands for one whose numbers are none.

    Args:
        pixels: Float (height, width, 3), 0 to 1.
        said: What the chunks say: prompt, seed, steps …
    """
    import numpy as np

    if not np.isfinite(pixels).all():
        return Failed(kind="model", error=f"NaN: the picture of seed {said.get('seed')} has no finite pixels; dtype=float32 may help")
    made = Image.fromarray(np.rint(np.clip(pixels, 0.0, 1.0) * 255.0).astype(np.uint8))
    info = PngInfo()
    for name, value in {"Software": SOFTWARE, **said}.items():
        info.add_itxt(name, str(value))
    buffer = io.BytesIO()
    made.save(buffer, "PNG", pnginfo=info)
    return Picture(data=buffer.getvalue(), width=made.width, height=made.height)
