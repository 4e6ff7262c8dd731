"""Contact sheets: many pictures on one page, for a look at what a dataset holds."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

from PIL import Image as Pil
from PIL import ImageDraw, ImageOps

MARGIN = 6
LINE = 12
"""Height of a caption line in pixels; Pillow's built-in font is used, so the page looks the same everywhere."""


def contact_sheet(images: Sequence[Pil.Image], columns: int, captions: Sequence[str] = (), *, side: int = 160) -> Pil.Image:
    """Return one page in colour with each picture fitted into a square of `side` pixels, its caption wrapped below.

    Args:
        images: pictures of any size and mode.
        columns: pictures in a row.
        captions: one for each picture, or none.
        side: largest side of a picture on the page, in pixels.

    Raises:
        ValueError: there are captions, but not one for each picture; or there is no column.
    """
    if columns < 1:
        raise ValueError(f"columns is {columns}, expected 1 or more")
    if captions and len(captions) != len(images):
        raise ValueError(f"{len(captions)} captions for {len(images)} pictures")
    wrapped = [textwrap.wrap(_printable(caption), max(8, side // 6)) for caption in captions] or [[]] * len(images)
    rows = [range(start, min(start + columns, len(images))) for start in range(0, len(images), columns)]
    heights = [side + LINE * max(len(wrapped[index]) for index in row) + MARGIN for row in rows]
    page = Pil.new("RGB", (min(columns, max(1, len(images))) * (side + MARGIN) + MARGIN, sum(heights) + MARGIN), (32, 32, 32))
    top = MARGIN
    for row, height in zip(rows, heights, strict=True):
        for index in row:
            _place(page, images[index], wrapped[index], (MARGIN + (index - row.start) * (side + MARGIN), top), side)
        top += height
    return page


def _place(page: Pil.Image, image: Pil.Image, lines: Sequence[str], corner: tuple[int, int], side: int) -> None:
    left, top = corner
    fitted = ImageOps.contain(image.convert(page.mode), (side, side))
    page.paste(fitted, (left + (side - fitted.width) // 2, top + (side - fitted.height) // 2))
    pen = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        pen.text((left, top + side + LINE * number), line, fill=(230, 230, 230))


def _printable(text: str) -> str:
    """Return the text in letters that Pillow's font has: without accents, and a question mark for what is not Latin."""
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return bare.encode("latin-1", "replace").decode("latin-1")
