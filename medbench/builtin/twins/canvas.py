"""A drawing surface for phantoms: soft-edged shapes in unit coordinates, added and blended as attenuation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from PIL import ImageDraw, ImageFilter

Array = NDArray[np.float32]
Points = Sequence[tuple[float, float]]

_FINE = 2
"""Shapes are drawn this many times larger and averaged down, so that thin lines keep their weight."""

_SHARP = 0.8
"""Blurs of fewer pixels than this are left to that averaging; wider ones are made on a coarser grid, down to this width."""

_t = np.linspace(0, 1, 6, endpoint=False)[:, None]
_BASIS = np.concatenate([2 * _t**2 - _t - _t**3, 2 - 5 * _t**2 + 3 * _t**3, _t + 4 * _t**2 - 3 * _t**3, _t**3 - _t**2], axis=1) / 2
"""Weights of four neighbouring points along a piece of Catmull-Rom curve, shape (6, 4)."""


class Canvas:
    """A square of attenuation values (0 black, 1 white) on which shapes are laid in coordinates from 0 to 1.

    The whole anatomy may stand a little shifted, scaled and turned: `place` holds that affine map.
    """

    def __init__(self, size: int, *, shift: tuple[float, float] = (0.0, 0.0), scale: float = 1.0, turn: float = 0.0) -> None:
        self.size = size
        self.pixels: Array = np.zeros((size, size), dtype=np.float32)
        cos, sin = scale * np.cos(turn), scale * np.sin(turn)
        self._linear = np.array([[cos, sin], [-sin, cos]])
        self._offset = np.array([0.5 + shift[0], 0.5 + shift[1]])

    def shape(self, points: Points, soft: float = 0.004, *, closed: bool = True) -> Array:
        """Return the mask (0 to 1) of a smooth outline through `points`; `soft` is the blur's sigma in parts of the side."""
        return self._mask(soft, polygons=[smooth(points, closed=closed)])

    def oval(self, x: float, y: float, width: float, height: float, soft: float = 0.004, *, turn: float = 0.0) -> Array:
        """Return the mask of an ellipse with half axes `width` and `height`."""
        return self._mask(soft, polygons=[oval_points(x, y, width, height, turn=turn)])

    def ovals(self, ovals: Iterable[tuple[float, float, float, float]], soft: float = 0.004) -> Array:
        """Return one mask of many ellipses (x, y, half width, half height)."""
        return self._mask(soft, polygons=[oval_points(*oval, count=12) for oval in ovals])

    def strokes(self, lines: Iterable[Points], width: float, soft: float = 0.003) -> Array:
        """Return the mask of smooth lines of a width."""
        return self._mask(soft, lines=_curves(lines), width=width)

    def add(self, mask: Array, amount: float) -> None:
        """Add attenuation where the mask is."""
        self.pixels += mask * np.float32(amount)

    def blend(self, mask: Array, value: float | Array) -> None:
        """Bring the pixels under the mask to a value."""
        self.pixels += mask * (np.float32(value) - self.pixels)

    def cloud(self, rng: np.random.Generator, cells: int) -> Array:
        """Return smooth noise of mean 0 and unit spread, with about `cells` bumps along a side."""
        coarse = rng.standard_normal((cells + 2, cells + 2), dtype=np.float32)
        return np.asarray(Pil.fromarray(coarse).resize((self.size, self.size), Pil.Resampling.BICUBIC), dtype=np.float32)

    def _mask(self, soft: float, *, polygons: Iterable[Any] = (), lines: Iterable[Any] = (), width: float = 0.0) -> Array:
        sigma = soft * self.size
        coarse = max(1, min(4, int(sigma / _SHARP)))
        side = -(-self.size // coarse)
        drawn = Pil.new("L", (side * _FINE, side * _FINE))
        pen = ImageDraw.Draw(drawn)
        for polygon in polygons:
            pen.polygon(self._pixels(polygon, side * _FINE), fill=255)
        for line in lines:
            pen.line(self._pixels(line, side * _FINE), fill=255, width=max(1, round(width * side * _FINE)))
        drawn = drawn.reduce(_FINE)
        if sigma > _SHARP:
            drawn = drawn.filter(ImageFilter.BoxBlur((math.sqrt(12 * (sigma / coarse) ** 2 + 1) - 1) / 2))
        if coarse > 1:
            drawn = drawn.resize((self.size, self.size), Pil.Resampling.BICUBIC)
        return np.asarray(drawn, dtype=np.float32) * np.float32(1 / 255)

    def _pixels(self, points: Any, side: int) -> list[float]:
        return (((points - 0.5) @ self._linear + self._offset) * side - 0.5).ravel().tolist()  # type: ignore[no-any-return]


def smooth(points: Any, *, closed: bool) -> NDArray[np.float64]:
    """Return Catmull-Rom curves through points: shape (…, n, 2) in, (…, more, 2) out."""
    given = np.asarray(points, dtype=np.float64)
    count = given.shape[-2]
    around = np.arange(-1, 3) + np.arange(count if closed else count - 1)[:, None]
    near = given[..., around % count if closed else np.clip(around, 0, count - 1), :]
    curve = (_BASIS @ near).reshape(*given.shape[:-2], -1, 2)
    return curve if closed else np.concatenate([curve, given[..., -1:, :]], axis=-2)


def _curves(lines: Iterable[Points]) -> list[NDArray[np.float64]]:
    """Smooth many lines, those of one length together."""
    by_length: dict[int, list[Points]] = {}
    for line in lines:
        by_length.setdefault(len(line), []).append(line)
    return [curve for same in by_length.values() for curve in smooth(same, closed=False)]


def oval_points(x: float, y: float, width: float, height: float, *, turn: float = 0.0, count: int = 32) -> NDArray[np.float64]:
    """Return points on an ellipse, shape (count, 2)."""
    cos, sin = math.cos(turn), math.sin(turn)
    axes = np.array([[width * cos, width * sin], [-height * sin, height * cos]])
    placed: NDArray[np.float64] = _circle(count) @ axes + np.array([x, y])
    return placed


@lru_cache
def _circle(count: int) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def expose(pixels: Array, rng: np.random.Generator, *, noise: float, low: float, high: float, gamma: float) -> NDArray[np.uint8]:
    """Return attenuation as 8-bit grey: values between `low` and `high` span the greys, bent by `gamma`, with grain."""
    grey = np.clip((pixels - np.float32(low)) * np.float32(1 / (high - low)), 0, 1) ** np.float32(gamma)
    grey += rng.standard_normal(grey.shape, dtype=np.float32) * np.float32(noise)
    rounded: NDArray[np.uint8] = (np.clip(grey, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return rounded
