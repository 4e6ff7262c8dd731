"""What every metric on features of two sets of pictures has in common: what it measures, and what is said beside a value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.interfaces import Reals
from medbench.types import Pair
from medbench_imagegen.features import Network, drawn_files, features_of, real_files
from medbench_imagegen.kept import kept, manifest_of
from medbench_imagegen.networks import network
from medbench_imagegen.pictures import Looks, black_ones, peculiarities

Array = np.ndarray[Any, np.dtype[Any]]
Rows = Mapping[str, Any]

LARGEST_PART = 600
"""A sub-sample takes at most so many pictures of the smaller side: its cost, not its worth, grows with more."""
REPEATS = 5
"""Over how many pairs of parts what is said beside a value is averaged, where parts are small."""


def part_of(drawn: Array, real: Array) -> float:
    """Return how large a part of both sets a sub-sample takes."""
    return min(0.5, LARGEST_PART / max(1, min(len(drawn), len(real))))


def measured(pairs: Sequence[Pair], reals: Reals) -> dict[str, Array]:
    """Return what any metric keeps of two sets of files: names, digests and looks of the drawn ones."""
    paths, digests = drawn_files(pairs)
    return {
        "names": np.array([pair.sample.id for pair in pairs], dtype=np.str_),
        "digests": np.array(digests, dtype=np.str_),
        "looks": features_of(paths, digests, Looks()),
        "real": np.zeros(len(reals.evaluated)),
    }


class PictureSets(ABC):
    """A metric of two sets of pictures, by what a network makes of each."""

    identity: str

    def flags(self, rows: Rows) -> Mapping[str, Any]:
        """Return which drawn pictures are black."""
        return {"empty": black_ones(rows["looks"])}

    def fraction(self, rows: Rows, drawn: Array, real: Array) -> float:
        """Return how large a part of both sets a sub-sample takes."""
        del rows
        return part_of(drawn, real)

    def signature(self) -> Mapping[str, Any]:
        """Return which network it was."""
        return {"network": self.identity}

    def unusual(self, rows: Rows, drawn: Array) -> str:
        """Return what is unusual about the drawn pictures, in words; of a subgroup nothing, which the whole has said."""
        if len(drawn) < len(rows["drawn"]):
            return ""
        return peculiarities(rows["looks"][drawn], list(rows["names"][drawn]), list(rows["digests"][drawn]))


class Distances(PictureSets):
    """Numbers of two sets of features; the same of two parts of the real set stand beside them.

    Args:
        convention: Unused: the network is part of the names.
        features: `auto`, `clean`, `legacy` or `small-v1`.
        weights: File of the network's weights; empty: by the environment.
    """

    LEAST = 2
    """Pictures of either side below which nothing is defined."""
    FIRST = "kid"
    """The value beside which it is said what is unusual about the pictures; empty: another metric of the task says it."""
    FORMAT = ".3g"

    def __init__(self, convention: Mapping[str, str] | None = None, *, features: str = "auto", weights: str = "") -> None:
        del convention
        self._network: Network = network(features, weights)
        self.identity = self._network.identity

    @abstractmethod
    def values(self, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return name, without that of the network -> value, of two sets of features."""

    def measure(self, pairs: Sequence[Pair], reals: Reals) -> Rows:
        """Return float32 features, `drawn` (n, d) and `real` (m, d), and what is known of the drawn files."""
        files, digests = real_files(reals)
        return {
            **measured(pairs, reals),
            "drawn": features_of(*drawn_files(pairs), self._network),
            "real": features_of(files, digests, self._network),
            "label": np.array(self._network.name),
            "manifest": np.array(manifest_of(self.identity, digests)),
        }

    def reduce_sets(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return the values of these pictures under names that end in the network's."""
        return {f"{name}-{rows['label']}": value for name, value in self.values(rows["drawn"][drawn], rows["real"][real]).items()}

    def notes(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, str]:
        """Return beside each value the same of two parts of the real set, and what is unusual about the pictures."""
        size, said = min(len(drawn), len(real) // 2), {self.FIRST: self.unusual(rows, drawn)} if self.FIRST else {}
        if size >= self.LEAST:
            floors, same = self._floors(rows, real, size), self._same_size(rows, drawn, real, size)
            for name in floors:
                if np.isfinite([floors[name], same[name]]).all():
                    floor, value = (format(found[name], self.FORMAT) for found in (floors, same))
                    text = f"at {size:,} and {size:,} pictures: real and real {floor}, drawn and real {value}"
                    said[name] = "; ".join(filter(None, (said.get(name, ""), text)))
        return {f"{name}-{rows['label']}": text for name, text in said.items() if text}

    def _floors(self, rows: Rows, real: Array, size: int) -> Mapping[str, float]:
        """Return the mean values between two disjoint parts of the real set, so many pictures each."""

        def make() -> Mapping[str, Array]:
            orders = [np.random.default_rng(seed).permutation(len(real)) for seed in range(_repeats(size))]
            features = rows["real"][real]
            return _means([self.values(features[order[:size]], features[order[size : 2 * size]]) for order in orders])

        whole = str(rows.get("manifest", "")) if len(real) == len(rows["real"]) else ""
        return {name: float(value) for name, value in kept(whole, f"{type(self).__name__} floor {size}", make).items()}

    def _same_size(self, rows: Rows, drawn: Array, real: Array, size: int) -> Mapping[str, float]:
        """Return the mean values between so many drawn and so many real pictures: what the floor is to be held against."""
        rngs = [np.random.default_rng(seed) for seed in range(_repeats(size))]
        parts = [(rows["drawn"][rng.permutation(drawn)[:size]], rows["real"][rng.permutation(real)[:size]]) for rng in rngs]
        return {name: float(value) for name, value in _means([self.values(*pair) for pair in parts]).items()}


def _repeats(size: int) -> int:
    return max(1, min(REPEATS, LARGEST_PART // size))


def _means(found: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    return {name: np.array(np.mean([values[name] for values in found])) for name in found[0]}
