"""Where on a drawn film the spots are: found by drawing the same film without them."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from medbench.builtin.twins.chest import Chest, chest_film
from medbench.builtin.twins.writing import generator
from medbench.types import Box

_VISIBLE = 24
"""Grey levels by which a pixel must differ to belong to a finding."""

Names = tuple[str | int, ...]


def film_with_boxes(chest: Chest, size: int, names: Names, *, boxed: bool = True) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
    """Return a frontal film, shape (size, size), and boxes around its opacity and its nodule.

    Args:
        chest: what the film shows.
        size: pixels along a side.
        names: seed, and names of the film's random numbers.
        boxed: whether boxes are wanted; without, the film is drawn once only.
    """
    film = _draw(chest, size, names)
    if not boxed:
        return film, ()
    shown = [label for label in ("opacity", "nodule") if getattr(chest, label)]
    found = [box_between(film, chest, replace(chest, **{label: None}), names, label) for label in shown]
    return film, tuple(box for box in found if box)


def box_between(film: NDArray[np.uint8], chest: Chest, without: Chest, names: Names, label: str) -> Box | None:
    """Return the box around what `film`, which shows `chest`, would not show for `without`; None: nothing visible."""
    size = film.shape[0]
    if chest.nodule and chest.opacity != without.opacity:
        # a nodule draws on the random numbers after an opacity, and would move with it
        film, without = _draw(replace(chest, nodule=None), size, names), replace(without, nodule=None)
    return _around(film, _draw(without, size, names), label)


def _draw(chest: Chest, size: int, names: Names) -> NDArray[np.uint8]:
    return chest_film(chest, size, generator(int(names[0]), *names[1:]))


def _around(film: NDArray[np.uint8], without: NDArray[np.uint8], label: str) -> Box | None:
    ys, xs = np.nonzero(np.abs(film.astype(np.int16) - without) >= _VISIBLE)
    if not len(xs):
        return None
    left, top = int(xs.min()), int(ys.min())
    return Box(label=label, x=float(left), y=float(top), width=float(xs.max() - left + 1), height=float(ys.max() - top + 1))
