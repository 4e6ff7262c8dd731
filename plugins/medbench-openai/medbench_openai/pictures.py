"""From an image reference to the data URI that travels: decoded late, capped in size, without the file's metadata."""

from __future__ import annotations

import asyncio
import base64
import io
import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from medbench.images import decode
from medbench.types import Image

if TYPE_CHECKING:
    from PIL import Image as Pil

KEPT = 16
"""Encoded pictures that are kept for the next question about them."""


class Pictures:
    """Encodes pictures in threads, each once for all the questions in a row that show it.

    Args:
        max_side: Longest side in pixels; larger pictures are scaled down (Lanczos), none is scaled up.
        image_format: `jpeg` or `png`.
        quality: Of JPEG, 1 to 100.
        workers: Threads; 0: one for each core, at most 8.
    """

    def __init__(self, max_side: int, image_format: str, quality: int, workers: int = 0) -> None:
        self._max_side = max_side
        self._format = image_format
        self._quality = quality
        self._pool = ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1), thread_name_prefix="encode")
        self._made: OrderedDict[tuple[str, str, str], asyncio.Future[str]] = OrderedDict()

    async def uri(self, image: Image) -> str:
        """Return a picture as a data URI.

        Raises:
            InputError: it cannot be decoded.
        """
        name = (image.path, image.digest, image.preset)
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = asyncio.get_running_loop().run_in_executor(self._pool, self._encode, image)
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        # one of several calls that wait for a picture may be cancelled: the others still want it
        return await asyncio.shield(made)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _encode(self, image: Image) -> str:
        data = encoded(self._capped(decode(image)), self._format, self._quality)
        return f"data:image/{self._format};base64,{base64.b64encode(data).decode()}"

    def _capped(self, picture: Pil.Image) -> Pil.Image:
        from PIL import Image as Pil  # noqa: PLC0415 - decoding has loaded it

        longest = max(picture.size)
        if longest <= self._max_side:
            return picture
        size = tuple(max(1, round(side * self._max_side / longest)) for side in picture.size)
        return picture.resize(size, Pil.Resampling.LANCZOS)


def encoded(picture: Pil.Image, image_format: str, quality: int) -> bytes:
    """Return a picture as the bytes of a file: its pixels and nothing else."""
    buffer = io.BytesIO()
    options = {"quality": quality, "subsampling": 0} if image_format == "jpeg" else {}
    picture.save(buffer, format=image_format.upper(), **options)
    return buffer.getvalue()
