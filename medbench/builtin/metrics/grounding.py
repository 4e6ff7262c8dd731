"""How well a map says where a phrase is: contrast to noise, overlap with the boxes, and where its highest point lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from medbench.builtin.metrics.heat_cells import Cells, cells_of
from medbench.errors import DataError, PluginError, UsageError
from medbench.stats.labels import ratio
from medbench.types import HeatMap, Pair

Array = np.ndarray[Any, np.dtype[Any]]
Values = dict[str, tuple[Array, Array]]

THRESHOLDS = "0.1,0.2,0.3,0.4,0.5"
"""Those of BioViL's evaluation (Boecking et al., ECCV 2022, arXiv 2204.09817), of cosines."""


class _Mapped:
    """Measures maps against boxes; a subclass says what the numbers of one map are."""

    NAME: ClassVar[str]
    SCORES: ClassVar[tuple[str, ...]]

    def __init__(self, *, convention: Mapping[str, str] | None = None) -> None:
        del convention  # these metrics have one way of computing each score

    def of_one(self, cells: Cells) -> tuple[float, ...]:
        """Return the scores of one map, NaN where undefined."""
        raise NotImplementedError

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return the scores of each pair, in order, float64 (pairs, scores).

        Raises:
            PluginError: a prediction is no map.
            DataError: a sample has no box, or one without an area.
        """
        return np.array([self.of_one(_cells(pair, self.NAME)) for pair in pairs], dtype=np.float64).reshape(len(pairs), len(self.SCORES))

    def reduce(self, rows: Any, weights: Any) -> Values:
        """Return score name -> (mean over the maps where it is defined, mask of these)."""
        counts = np.asarray(weights, dtype=np.float64)
        known = ~np.isnan(rows)
        return {
            name: (ratio(counts[:, known[:, at]] @ rows[known[:, at], at], counts[:, known[:, at]].sum(axis=1)), known[:, at])
            for at, name in enumerate(self.SCORES)
        }

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the scores of each map."""
        return {name: rows[:, at] for at, name in enumerate(self.SCORES)}


class Cnr(_Mapped):
    """Contrast-to-noise ratio: the distance of the means inside and outside the boxes over the root of their summed variances.

    `cnr` is the published figure, an absolute value, which is high too for a map that is low where the phrase is; `signed` keeps
    the sign. Both are means over phrases. All boxes of a phrase count as one region. A map that is the same everywhere has
    contrast 0; where the boxes cover the whole map, or none of it, there is none.
    """

    NAME = "cnr"
    SCORES = ("cnr", "signed")

    def of_one(self, cells: Cells) -> tuple[float, ...]:
        """Return absolute and signed contrast."""
        inside, outside = cells.inside, cells.outside
        if not (inside.sum() > 0 and outside.sum() > 0):
            return np.nan, np.nan
        means = [np.average(cells.values, weights=part) for part in (inside, outside)]
        variances = [np.average((cells.values - mean) ** 2, weights=part) for mean, part in zip(means, (inside, outside), strict=True)]
        distance, noise = float(means[0] - means[1]), float(np.sqrt(sum(variances)))
        scale = float(np.abs(cells.values).max())
        if abs(distance) <= 1e-12 * scale:
            return 0.0, 0.0
        signed = distance / max(noise, 1e-9 * scale)
        return abs(signed), signed

    def signature(self) -> dict[str, Any]:
        """Return the definition."""
        return {"definition": "|mean inside - mean outside| / sqrt(variance inside + variance outside), outside of the map's crop ignored"}


class Miou(_Mapped):
    """Overlap of boxes and map: intersection over union where the map is above a threshold, averaged over the thresholds.

    What of a box lies outside the map's crop counts as missed.

    Args:
        convention: Not used.
        thresholds: In the map's own values, separated by commas.

    Raises:
        UsageError: a threshold is no number.
    """

    NAME = "miou"
    SCORES = ("miou",)

    def __init__(self, *, convention: Mapping[str, str] | None = None, thresholds: str = THRESHOLDS) -> None:
        super().__init__(convention=convention)
        try:
            self._thresholds = tuple(float(item) for item in thresholds.split(",") if item.strip())
        except ValueError as error:
            raise UsageError(f"metric miou: thresholds = {thresholds}", hint="numbers, separated by commas") from error
        if not self._thresholds:
            raise UsageError("metric miou: no thresholds", hint=f"thresholds={THRESHOLDS}")

    def of_one(self, cells: Cells) -> tuple[float, ...]:
        """Return the mean overlap."""
        overlaps = []
        for threshold in self._thresholds:
            above = cells.values > threshold
            both = float(cells.inside[above].sum())
            either = float(cells.box_area + cells.outside[above].sum())
            overlaps.append(both / either)
        return (float(np.mean(overlaps)),)

    def signature(self) -> dict[str, Any]:
        """Return the thresholds."""
        return {"thresholds": list(self._thresholds), "above": "value > threshold"}


class PointingGame(_Mapped):
    """Whether the highest point of the map lies in a box (Zhang et al., ECCV 2016); of several highest cells, the share that does.

    The point is the middle of the cell.
    """

    NAME = "pointing-game"
    SCORES = ("accuracy",)

    def of_one(self, cells: Cells) -> tuple[float, ...]:
        """Return 1, 0, or a share among ties."""
        return (float(cells.highest_in_box),)

    def signature(self) -> dict[str, Any]:
        """Return the definition."""
        return {"point": "the middle of the highest cell; ties count their share", "tolerance": "0 pixels"}


def _cells(pair: Pair, metric: str) -> Cells:
    if not isinstance(pair.value, HeatMap):
        raise PluginError(
            f"metric {metric} measures maps; the prediction for sample {pair.sample.id} is a {type(pair.value).__name__}",
            hint="a protocol whose card gives `heatmap` must yield HeatMap, or Failed, which is not measured",
        )
    boxes = pair.sample.boxes
    if not boxes or any(not (box.width > 0 and box.height > 0) for box in boxes):
        raise DataError(f"sample {pair.sample.id} has no box, or one without an area", hint="a task of this protocol needs boxes")
    return cells_of(pair.value, boxes)
