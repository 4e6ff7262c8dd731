"""FID, its extrapolation and KID as metrics of two sets of pictures."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from medbench.errors import DataError, UsageError
from medbench.identity import safe_name
from medbench.interfaces import Reals
from medbench.types import Embed, Failed, Image, Output, Pair, Request, Vector
from medbench_imagegen.features import drawn_files, real_files
from medbench_imagegen.frechet import Moments, distance, extrapolated, frechet_distance, moments
from medbench_imagegen.kept import kept, manifest_of
from medbench_imagegen.kernels import kernel_distance
from medbench_imagegen.sets import Distances, Rows, measured

Array = np.ndarray[Any, np.dtype[Any]]

FULL_RANK = 2048
"""Below so many pictures the covariance of 2,048 features has no full rank, and the bias of FID is large."""


class Kid(Distances):
    """The kernel distance: unbiased, so the same at every n but for chance."""

    def values(self, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return `kid`."""
        return {"kid": kernel_distance(drawn, real)}


class Fid(Distances):
    """The Frechet distance, its extrapolation and KID; below 2,048 pictures FID stands last and says why."""

    def values(self, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return `kid`, `fid-inf`, `fid`; from 2,048 pictures on `fid`, `kid`."""
        kid = {"kid": kernel_distance(drawn, real)}
        if min(len(drawn), len(real)) >= FULL_RANK:
            return {"fid": frechet_distance(drawn, real), **kid}
        if min(len(drawn), len(real)) < 2:
            return {**kid, "fid-inf": float("nan"), "fid": float("nan")}
        return {**kid, "fid-inf": extrapolated(drawn, real), "fid": frechet_distance(drawn, real)}

    def reduce_sets(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return the values; the moments of the whole real set, where they take longer than reading them, are kept."""
        count, dimension = rows["real"].shape
        if len(real) < count or min(len(drawn), count) < max(FULL_RANK, dimension + 1):
            return super().reduce_sets(rows, drawn, real)
        known = kept(str(rows.get("manifest", "")), "moments", lambda: moments(rows["real"])._asdict())
        x, label = rows["drawn"][drawn], rows["label"]
        return {f"fid-{label}": distance(moments(x), Moments(**known)), f"kid-{label}": kernel_distance(x, rows["real"][real])}

    def reduce_part(self, rows: Rows, drawn: Array, real: Array, names: Sequence[str]) -> Mapping[str, float]:
        """Return those of the values that are asked for: a part of a large set is small, and would be extrapolated too."""
        x, y, label = rows["drawn"][drawn], rows["real"][real], rows["label"]
        made = {f"kid-{label}": kernel_distance, f"fid-inf-{label}": extrapolated, f"fid-{label}": frechet_distance}
        return {name: made[name](x, y) for name in names}

    def notes(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, str]:
        """Return the floors, the warning of few pictures, and what is unusual about them."""
        said, label, smallest = dict(super().notes(rows, drawn, real)), rows["label"], min(len(drawn), len(real))
        if smallest < FULL_RANK:
            few = f"fewer than {FULL_RANK:,} pictures ({smallest:,}): biased upwards, read kid and fid-inf first"
            said[f"fid-{label}"] = "; ".join(filter(None, (few, said.get(f"fid-{label}", ""))))
        return said


class EncoderFid(Fid):
    """The same on the embeddings of any model; its name stands in the scores' names.

    Args:
        convention: Unused.
        label: What the scores call the model; empty: its own name.
    """

    def __init__(self, convention: Mapping[str, str] | None = None, *, label: str = "") -> None:
        del convention
        self.identity = ""
        self._label = safe_name(label) if label else ""

    def bind(self, judge: str) -> None:
        """Take the identity of the model that will be asked: its name, a hyphen, a digest."""
        self.identity = judge
        self._label = self._label or judge.rpartition("-")[0]

    def measure(self, pairs: Sequence[Pair], reals: Reals) -> Generator[tuple[str, list[Request]], list[Output], Rows]:
        """Ask for the embeddings of all pictures, and return them as features.

        Raises:
            UsageError: the model could not embed a picture.
            DataError: its vectors are of several lengths, or not finite.
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
        lost = np.flatnonzero(~np.isfinite(stacked).all(axis=1))
        if len(lost):
            raise DataError(f"the encoder's vector of {[*drawn[0], *real[0]][lost[0]]} is not finite ({len(lost):,} are not)")
        n = len(drawn[0])
        return {
            **measured(pairs, reals),
            "drawn": stacked[:n],
            "real": stacked[n:],
            "label": np.array(self._label or "encoder"),
            "manifest": np.array(manifest_of(self.identity, real[1]) if self.identity else ""),
        }
