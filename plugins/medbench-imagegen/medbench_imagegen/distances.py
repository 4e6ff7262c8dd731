"""FID, its extrapolation and KID as metrics of two sets of pictures."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from medbench.errors import DataError, UsageError
from medbench.identity import safe_name
from medbench.interfaces import Reals
from medbench.types import Embed, Failed, Image, Output, Pair, Request, Vector
from medbench_imagegen.features import black_ones, drawn_files, features_of, real_files
from medbench_imagegen.frechet import extrapolated, frechet_distance, halves_distance
from medbench_imagegen.kernels import Grams, full_kid, grams, subset_kid
from medbench_imagegen.networks import network
from medbench_imagegen.pictures import peculiarities

Array = np.ndarray[Any, np.dtype[Any]]
Rows = Mapping[str, Any]

FULL_RANK = 2048
"""Below so many pictures the covariance of 2,048 features has no full rank, and the bias of FID is large."""
LARGEST_PART = 500
"""A sub-sample takes at most so many pictures of the smaller side: its cost, not its worth, grows with more."""


class SetFeatures:
    """What every metric on features of two sets has in common.

    Args:
        convention: Unused: the network is part of the names.
        features: `auto`, `clean`, `legacy` or `small-v1`.
        weights: File of the network's weights; empty: by the environment.
    """

    TRAIN = False
    """Whether the pictures of the train split are needed too."""

    def __init__(self, convention: Mapping[str, str] | None = None, *, features: str = "auto", weights: str = "") -> None:
        del convention
        self._network = network(features, weights)
        self.identity = self._network.identity

    def measure(self, pairs: Sequence[Pair], reals: Reals) -> Rows:
        """Return float32 features: `drawn` (n, d), `real` (m, d), `train` (t, d; empty where not needed), `black` (n,)."""
        paths, digests = drawn_files(pairs)
        return {
            "drawn": features_of(paths, digests, self._network),
            "real": features_of(*real_files(reals), self._network),
            "train": features_of(*real_files(reals, train=True), self._network) if self.TRAIN else np.empty((0, 0), np.float32),
            "black": black_ones(paths),
            "label": np.array(self._network.name),
            "unusual": np.array(peculiarities(paths)),
        }

    def fraction(self, rows: Rows) -> float:
        """Return how large a part of both sets a sub-sample takes."""
        return min(0.5, LARGEST_PART / min(len(rows["drawn"]), len(rows["real"])))

    def flags(self, rows: Rows) -> Mapping[str, Any]:
        """Return which drawn pictures are black."""
        return {"empty": rows["black"]}

    def signature(self) -> Mapping[str, Any]:
        """Return which network it was."""
        return {"network": self.identity}

    def _said(self, rows: Rows) -> str:
        black = int(np.asarray(rows["black"]).sum())
        return "; ".join(filter(None, (f"{black} drawn pictures are black" if black else "", str(rows["unusual"]))))


class Kid(SetFeatures):
    """The kernel distance: unbiased, so the same at every n but for chance."""

    def reduce_sets(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return `kid-NETWORK`: by seeded subsets for the whole sets, from all pictures for a part of them."""
        return {f"kid-{rows['label']}": self._kid(rows, drawn, real)}

    def notes(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, str]:
        """Return what is unusual about the pictures."""
        del drawn, real
        return {f"kid-{rows['label']}": self._said(rows)}

    def _kid(self, rows: Rows, drawn: Array, real: Array) -> float:
        made = self._grams(rows)
        if len(drawn) == len(rows["drawn"]) and len(real) == len(rows["real"]):
            return subset_kid(made)
        return full_kid(made, drawn, real)

    def _grams(self, rows: Rows) -> Grams:
        """Return the kernel values of these rows, computed once for all their parts."""
        known = getattr(self, "_known", None)
        if known is None or known[0] is not rows:
            known = self._known = (rows, grams(rows["drawn"], rows["real"]))
        return known[1]


class Fid(Kid):
    """The Frechet distance, its extrapolation and KID; below 2,048 pictures FID stands last and says why."""

    def reduce_sets(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return `kid-NETWORK`, `fid-inf-NETWORK` (below 2,048 pictures), `fid-NETWORK`."""
        label = str(rows["label"])
        if min(len(drawn), len(real)) < 2:
            return {f"kid-{label}": float("nan"), f"fid-{label}": float("nan")}
        x, y = rows["drawn"][drawn], rows["real"][real]
        kid, fid = {f"kid-{label}": self._kid(rows, drawn, real)}, {f"fid-{label}": frechet_distance(x, y)}
        if min(len(rows["drawn"]), len(rows["real"])) >= FULL_RANK:
            return {**fid, **kid}
        return {**kid, f"fid-inf-{label}": extrapolated(x, y), **fid}

    def notes(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, str]:
        """Return the floor, the warning of few pictures, and what is unusual about them."""
        label, smallest = str(rows["label"]), min(len(drawn), len(real))
        floor = halves_distance(rows["real"][real])
        said = [f"floor {floor:.3g}: two halves of the {len(real):,} real pictures"] if np.isfinite(floor) else []
        if smallest < FULL_RANK:
            said.append(f"{smallest:,} pictures are fewer than {FULL_RANK:,}: biased upwards, read kid and fid-inf first")
        return {f"kid-{label}": self._said(rows), f"fid-{label}": "; ".join(said)}


class EncoderFid(Fid):
    """The same on the embeddings of any model; its name stands in the scores' names.

    Args:
        convention: Unused.
        label: What the scores call the model.
    """

    def __init__(self, convention: Mapping[str, str] | None = None, *, label: str = "encoder") -> None:
        del convention
        self.identity = ""
        self._label = safe_name(label)

    def measure(self, pairs: Sequence[Pair], reals: Reals) -> Generator[tuple[str, list[Request]], list[Output], Rows]:
        """Ask for the embeddings of all pictures, and return them as features.

        Raises:
            UsageError: the model could not embed a picture.
            DataError: its vectors are of several lengths.
        """
        drawn, real = drawn_files(pairs), real_files(reals)
        requests: list[Request] = [
            Embed(images=(Image(path=path, digest=made),))
            for paths, digests in (drawn, real)
            for path, made in zip(paths, digests, strict=True)
        ]
        vectors = yield "encoder", requests
        failed = next((vector for vector in vectors if isinstance(vector, Failed)), None)
        if failed is not None:
            raise UsageError(f"the encoder could not embed every picture: {failed.error}", hint="--judge a model that embeds images")
        arrays = [vector.array() for vector in vectors if isinstance(vector, Vector)]
        if len({len(array) for array in arrays}) != 1:
            raise DataError("the encoder's vectors are of several lengths")
        stacked = np.stack(arrays)
        n = len(drawn[0])
        return {
            "drawn": stacked[:n],
            "real": stacked[n:],
            "train": np.empty((0, 0), np.float32),
            "black": black_ones(drawn[0]),
            "label": np.array(self._label),
            "unusual": np.array(peculiarities(drawn[0])),
        }
