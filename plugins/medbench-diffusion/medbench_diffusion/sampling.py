"""Pictures for windows of requests: batches of one size, one generator for each picture, halved where memory ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from medbench_torch.devices import memory_guard

from medbench.errors import OutOfMemory
from medbench.types import Failed, Picture, Synthesize
from medbench_diffusion.pictures import encoded

Draw = Callable[[list[str], list[torch.Generator], int, int], Any]
"""(prompts, generators, width, height) -> float array (n, height, width, 3), 0 to 1."""


class Sampler:
    """Answers windows of requests.

    Args:
        draw: The pipeline, its settings in place.
        size: Pixels along a side where a request leaves it open.
        multiple: Width and height are multiples of it.
        batch: Pictures drawn together.
        said: What every picture says of how it was drawn.
    """

    def __init__(self, draw: Draw, *, size: int, multiple: int, batch: int, said: Mapping[str, object]) -> None:
        self._draw, self.size, self._multiple, self._said = draw, size, multiple, said
        self._batch = batch

    def __call__(self, requests: Sequence[Synthesize]) -> Iterator[tuple[int, Picture | Failed]]:
        """Yield (index, picture) batch by batch, so that a batch is kept before the next one is begun."""
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, request in enumerate(requests):
            width, height = request.width or self.size, request.height or self.size
            if request.images:
                yield index, Failed(kind="input", error="this model draws from text alone, and the request brings a picture")
            elif width % self._multiple or height % self._multiple or min(width, height) < self._multiple:
                yield index, Failed(kind="input", error=f"{width}×{height}: both sides must be multiples of {self._multiple} pixels")
            else:
                by_size.setdefault((width, height), []).append(index)
        for (width, height), indices in by_size.items():
            waiting = list(indices)
            while waiting:
                part = waiting[: self._batch]
                try:
                    pixels = self._drawn([requests[index] for index in part], width, height)
                except OutOfMemory:
                    if len(part) == 1:
                        raise
                    self._batch = (len(part) + 1) // 2
                    continue
                waiting = waiting[len(part) :]
                for index, picture in zip(part, pixels, strict=True):
                    yield index, self._finished(requests[index], picture)

    def _drawn(self, requests: Sequence[Synthesize], width: int, height: int) -> np.ndarray[Any, Any]:
        generators = [generator(request.seed) for request in requests]
        with memory_guard(), torch.inference_mode():
            return np.asarray(self._draw([request.prompt for request in requests], generators, width, height))

    def _finished(self, request: Synthesize, pixels: np.ndarray[Any, Any]) -> Picture | Failed:
        return encoded(pixels, {"prompt": request.prompt, "seed": request.seed, **self._said})


def generator(seed: int) -> torch.Generator:
    """Return one picture's own stream of noise: on the CPU whatever the device, so that nothing else enters into it."""
    return torch.Generator("cpu").manual_seed(seed % (1 << 63))
