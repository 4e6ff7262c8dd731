"""How much faster pictures are decoded in two threads than in one, and ahead of a consumer that computes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SIDE = 512
PICTURES = 120
RATIO = 1.7
ROUNDS = 20
"""Short and many: on a machine that others use too, some rounds of each kind then have the cores to themselves."""

Figure = tuple[str, float, str, str, str, bool]


def figures() -> Iterator[Figure]:
    """Yield the figures of decoding; the ratio is of the best rounds, taken in turn so that others disturb both alike."""
    from medbench.images import decode_ahead
    from medbench.types import Image

    with tempfile.TemporaryDirectory() as folder:
        images = [Image(path=str(path)) for path in _pictures(Path(folder))]
        best = dict.fromkeys((1, 2), float("inf"))
        for workers in list(best) * ROUNDS:
            start = time.perf_counter()
            assert sum(picture.size == (SIDE, SIDE) for picture in decode_ahead(images, workers)) == PICTURES
            best[workers] = min(best[workers], time.perf_counter() - start)
    ratio = best[1] / best[2]
    yield f"decoding {SIDE} px JPEG, 2 threads", ratio, "x", "one thread", f">= {RATIO:g}", ratio >= RATIO or (os.cpu_count() or 1) < 2
    yield f"decoding {SIDE} px JPEG", PICTURES / best[2], "images/s", "2 threads", "", True


def _pictures(folder: Path) -> Iterator[Path]:
    """Write grey-level noise over a smooth ground: as costly to decode as a film of that size."""
    import numpy as np
    from PIL import Image as Pil

    rng = np.random.default_rng(0)
    ground = np.add.outer(np.linspace(0, 160, SIDE), np.linspace(0, 60, SIDE))[..., None]
    for number in range(PICTURES):
        path = folder / f"{number}.jpg"
        pixels = ground + rng.normal(16, 8, (SIDE, SIDE, 1)) + np.zeros(3)
        Pil.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=88)
        yield path
