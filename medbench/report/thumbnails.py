"""Small pictures inside a page: thumbnails as data URIs, with boxes and heat maps laid over them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from medbench.errors import InputError
from medbench.types import Box, HeatMap, Image

if TYPE_CHECKING:
    from PIL import Image as Pil

SIDE = 320
"""Longest side of a thumbnail in pixels."""
QUALITY = 80

_BOX = (255, 176, 0)


class Thumbnail(NamedTuple):
    """A picture for a page, or why there is none."""

    uri: str
    caption: str
    width: int = 0
    height: int = 0
    fault: str = ""


def thumbnail(
    image: Image,
    *,
    caption: str = "",
    boxes: Sequence[Box] = (),
    heat: HeatMap | None = None,
    overlay: Image | None = None,
    side: int = SIDE,
) -> Thumbnail:
    """Return a small picture of an image reference.

    Args:
        image: What is decoded.
        caption: Said below it.
        boxes: Rectangles drawn on it, in pixels of the original.
        heat: A map laid over it.
        overlay: A picture of the same size laid over it half transparent.
        side: Longest side in pixels.
    """
    from PIL import Image as Pil  # noqa: PLC0415 - loaded by those who decode

    from medbench.images import decode  # noqa: PLC0415 - loaded by those who decode

    try:
        whole = decode(image)
        size = whole.size
        whole.thumbnail((side, side))
        if overlay is not None:
            whole = Pil.blend(whole, decode(overlay).resize(whole.size), 0.45)
        if heat is not None:
            whole = _under(whole, heat, size)
    except InputError as error:
        return Thumbnail(uri="", caption=caption, fault=str(error).rpartition("/")[2])
    for box in boxes:
        _outline(whole, box, size)
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=QUALITY)
    uri = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Thumbnail(uri=uri, caption=caption, width=whole.width, height=whole.height)


def _outline(small: Pil.Image, box: Box, size: tuple[int, int]) -> None:
    from PIL import ImageDraw  # noqa: PLC0415 - loaded by those who decode

    x, y = small.width / size[0], small.height / size[1]
    corners = (box.x * x, box.y * y, (box.x + box.width) * x, (box.y + box.height) * y)
    if corners[2] >= corners[0] and corners[3] >= corners[1]:
        ImageDraw.Draw(small).rectangle(corners, outline=_BOX, width=2)


def _under(small: Pil.Image, heat: HeatMap, size: tuple[int, int]) -> Pil.Image:
    """Return a picture with the hot parts of a map in orange over it, their strength the map's own range."""
    import numpy as np  # noqa: PLC0415 - listing and planning do without
    from PIL import Image as Pil  # noqa: PLC0415 - loaded by those who decode

    if len(heat.grid) != heat.rows * heat.columns:
        raise InputError(f"a heat map of {heat.rows} x {heat.columns} has {len(heat.grid)} values")
    grid: Any = np.nan_to_num(np.asarray(heat.grid, dtype=np.float64).reshape(heat.rows, heat.columns))
    span = float(grid.max() - grid.min())
    strength = (grid - grid.min()) / span if span > 0 else np.zeros_like(grid)
    x, y = small.width / size[0], small.height / size[1]
    left, top, width, height = heat.box
    place = (max(1, round(width * x)), max(1, round(height * y)))
    way = Pil.Resampling.NEAREST if heat.interpolation == "nearest" else Pil.Resampling.BILINEAR
    layer = Pil.fromarray((strength * 160).astype(np.uint8)).resize(place, way)
    mask = Pil.new("L", small.size)
    mask.paste(layer, (round(left * x), round(top * y)))
    return Pil.composite(Pil.new("RGB", small.size, (255, 110, 0)), small, mask)
