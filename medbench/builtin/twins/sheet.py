"""Contact sheets: many pictures on one page, for a look at what a dataset holds."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Pil
from PIL import ImageDraw, ImageOps

MARGIN = 6
LINE = 12
"""Height of a caption line in pixels; Pillow's built-in font is used, so the page looks the same everywhere."""


def contact_sheet(images: Sequence[Pil.Image], columns: int, captions: Sequence[str] = (), *, side: int = 160) -> Pil.Image:
    """Return one grey page with each picture fitted into a square of `side` pixels, its caption wrapped below.

    Raises:
        ValueError: there are captions, but not one for each picture; or there is no column.
    """
    if columns < 1:
        raise ValueError(f"columns is {columns}, expected 1 or more")
    if captions and len(captions) != len(images):
        raise ValueError(f"{len(captions)} captions for {len(images)} pictures")
    wrapped = [textwrap.wrap(caption, max(8, side // 6)) for caption in captions]
    below = LINE * max((len(lines) for lines in wrapped), default=0)
    width, height = side + MARGIN, side + below + MARGIN
    page = Pil.new("L", (min(columns, max(1, len(images))) * width + MARGIN, -(-len(images) // columns) * height + MARGIN), 32)
    pen = ImageDraw.Draw(page)
    for index, image in enumerate(images):
        left, top = MARGIN + index % columns * width, MARGIN + index // columns * height
        fitted = ImageOps.contain(image.convert("L"), (side, side))
        page.paste(fitted, (left + (side - fitted.width) // 2, top + (side - fitted.height) // 2))
        for line, text in enumerate(wrapped[index] if wrapped else ()):
            pen.text((left, top + side + LINE * line), _printable(text), fill=230)
    return page


def preview(images: Sequence[Pil.Image], captions: Sequence[str], out: Path, *, columns: int = 6) -> None:
    """Write a contact sheet with captions as a PNG.

    Args:
        images: pictures of any size and mode.
        captions: one for each picture, or none.
        out: the file to write.
        columns: pictures in a row.
    """
    contact_sheet(images, columns, captions).save(out, format="PNG")


def _printable(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")
