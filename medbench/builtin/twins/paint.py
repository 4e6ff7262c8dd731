"""A colour surface for phantoms: masks of a grey canvas are painted on three planes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.canvas import Array, Canvas, expose

Colour = tuple[float, float, float]


class Painting:
    """Three planes of colour (0 to 1) and the canvas whose masks are painted on them."""

    def __init__(self, film: Canvas, ground: Colour) -> None:
        self.film = film
        self.planes: Array = np.empty((3, film.size, film.size), dtype=np.float32)
        self.planes[:] = np.array(ground, dtype=np.float32)[:, None, None]

    def blend(self, mask: Array, colour: Colour, amount: float = 1.0) -> None:
        """Bring the pixels under a mask to a colour."""
        share = mask * np.float32(amount)
        for plane, value in zip(self.planes, colour, strict=True):
            np.add(plane, share * (np.float32(value) - plane), out=plane)

    def shade(self, mask: Array, factor: float) -> None:
        """Make the pixels under a mask darker or lighter."""
        self.planes *= 1 + mask * np.float32(factor - 1)

    def mottle(self, rng: np.random.Generator, cells: int, amount: float) -> None:
        """Make the brightness uneven, with about `cells` bumps along a side."""
        self.planes *= 1 + np.float32(amount) * self.film.cloud(rng, cells)

    def finish(self, rng: np.random.Generator, *, noise: float, gain: float, gamma: float, light: Array | None = None) -> NDArray[np.uint8]:
        """Return 8-bit colour, shape (size, size, 3); what `light` leaves dark stays black."""
        planes = self.planes if light is None else self.planes * light
        grains = [expose(plane, rng, noise=noise, low=0.0, high=gain, gamma=gamma) for plane in planes]
        if light is not None:
            grains = [grain * (light > 0) for grain in grains]
        pixels: NDArray[np.uint8] = np.stack(grains, axis=-1).astype(np.uint8)
        return pixels
