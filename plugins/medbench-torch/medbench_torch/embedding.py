"""Windows of embedding requests: pictures decoded ahead of the encoder, texts batched by length, one failure never another's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import torch

from medbench.errors import InputError
from medbench.images import decode_ahead
from medbench.types import Embed, Failed, Image, Vector
from medbench_torch.devices import memory_guard

if TYPE_CHECKING:
    from PIL import Image as Pil

Shown = tuple[torch.Tensor, ...]
"""The prepared pictures of one request."""


class Encoder(Protocol):
    """A loaded model as windows of requests need it."""

    mode: str
    """Pillow mode of the pictures it prepares: `RGB` or `L`."""

    def arranged(self, images: Sequence[Image]) -> tuple[Image, ...]:
        """Return the images of one request in the order in which they are encoded; raises InputError for those that it cannot take."""
        ...

    def prepare(self, picture: Pil.Image) -> torch.Tensor:
        """Return the pixels of one picture, on the CPU. Called in threads."""
        ...

    def encode_images(self, shown: Sequence[Shown]) -> torch.Tensor:
        """Return one raw vector for each request's pictures, (requests, dimensions)."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return one raw vector for each text, (texts, dimensions)."""
        ...


def embed_window(encoder: Encoder, requests: Sequence[Embed], batch_size: int, workers: int = 0) -> Iterator[tuple[int, Vector | Failed]]:
    """Yield (index, vector) for each request of a window as it becomes ready: texts first, the shortest of them first.

    Args:
        encoder: What encodes.
        requests: Each with images or a text; both or neither fails.
        batch_size: Requests that are encoded together.
        workers: Threads that decode pictures; 0: one for each core, at most 8.

    Raises:
        OutOfMemory: a batch does not fit.
    """
    texts: list[int] = []
    pictures: list[tuple[int, tuple[Image, ...]]] = []
    for number, request in enumerate(requests):
        try:
            if bool(request.images) is bool(request.text):
                raise InputError("an image and a text in one request" if request.text else "neither an image nor a text")
            if request.images:
                pictures.append((number, encoder.arranged(request.images)))
            else:
                texts.append(number)
        except InputError as error:
            yield number, Failed(kind="input", error=str(error))
    texts.sort(key=lambda number: len(requests[number].text))
    for start in range(0, len(texts), batch_size):
        chosen = texts[start : start + batch_size]
        with memory_guard(), torch.inference_mode():
            made = encoder.encode_texts([requests[number].text for number in chosen])
        yield from _vectors(chosen, made)
    yield from _of_pictures(encoder, pictures, batch_size, workers)


def _of_pictures(
    encoder: Encoder, pictures: Sequence[tuple[int, tuple[Image, ...]]], batch_size: int, workers: int
) -> Iterator[tuple[int, Vector | Failed]]:
    flat = (image for _, images in pictures for image in images)
    decoded = decode_ahead(flat, workers, mode=encoder.mode, prepare=encoder.prepare)
    waiting: list[tuple[int, Shown]] = []
    for number, images in pictures:
        parts = list(islice(decoded, len(images)))
        fault = next((part for part in parts if isinstance(part, InputError)), None)
        if fault is not None:
            yield number, Failed(kind="input", error=str(fault))
            continue
        waiting.append((number, tuple(parts)))
        if len(waiting) == batch_size:
            yield from _encoded(encoder, waiting)
            waiting = []
    if waiting:
        yield from _encoded(encoder, waiting)


def _encoded(encoder: Encoder, waiting: Sequence[tuple[int, Shown]]) -> Iterator[tuple[int, Vector]]:
    with memory_guard(), torch.inference_mode():
        made = encoder.encode_images([shown for _, shown in waiting])
    yield from _vectors([number for number, _ in waiting], made)


def _vectors(numbers: Sequence[int], made: torch.Tensor) -> Iterator[tuple[int, Vector]]:
    rows = made.detach().to("cpu", torch.float32).numpy().astype("<f4", copy=False)
    for number, row in zip(numbers, rows, strict=True):
        yield number, Vector(data=row.tobytes())
