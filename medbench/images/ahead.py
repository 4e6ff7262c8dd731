"""Decoding in threads ahead of whoever consumes the pictures: a model computes while the next ones are being read."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from medbench.errors import InputError
from medbench.images.decoding import decode
from medbench.types import Image

if TYPE_CHECKING:
    from PIL import Image as Pil

AHEAD = 4
"""Pictures per worker that may be waiting, decoded, for the consumer."""


def decode_ahead(
    images: Iterable[Image],
    workers: int = 0,
    *,
    mode: str = "RGB",
    prepare: Callable[[Pil.Image], Any] | None = None,
    ahead: int = 0,
    opaque: bool = False,
) -> Iterator[Any]:
    """Yield one decoded picture per image, in order, or the `InputError` of one that cannot be decoded.

    Args:
        images: What is decoded; consumed lazily, never more than `ahead` images before the one being yielded.
        workers: Threads (decoding frees Python's lock); 0: one for each core, at most 8.
        mode: Pillow mode of the pictures.
        prepare: What is done to a picture in its thread (resizing, say), so that large ones do not pile up.
        ahead: Pictures at most that wait or are being decoded; 0: four per worker.
        opaque: Refuse pictures that are transparent anywhere; see `decode`.
    """
    workers = workers or min(8, os.cpu_count() or 1)
    room = ahead or AHEAD * workers

    def made(image: Image) -> Any:
        try:
            picture = decode(image, mode, opaque=opaque)
            return prepare(picture) if prepare else picture
        except InputError as error:
            return error

    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    waiting: deque[Future[Any]] = deque()
    try:
        for image in images:
            waiting.append(pool.submit(made, image))
            if len(waiting) > room:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
