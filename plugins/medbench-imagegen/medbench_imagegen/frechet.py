"""The Frechet distance of two sets of features, without a matrix square root."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SMALL = 1024
"""Up to so many pictures of the smaller side one thread is as quick as several."""
PARTS = {0.4: 8, 0.6: 4, 1.0: 1}
"""Share of both sets -> of how many such parts the distance is averaged, for its extrapolation: small parts cost little."""


class Moments(NamedTuple):
    """A set of features as far as the distance is concerned."""

    mean: Array
    """Shape (d,)."""
    rows: Array
    """Shape (k, d) with k <= d: `rows.T @ rows` is the covariance (with n - 1)."""


def moments(features: Array) -> Moments:
    """Return mean and covariance of features, the latter as rows: the centred features themselves, or a Cholesky factor.

    Args:
        features: Shape (n, d), n >= 2.
    """
    mean = np.asarray(features).mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        return Moments(mean, np.full((1, len(mean)), np.nan))
    centred = features - mean
    centred /= np.sqrt(len(centred) - 1)
    return Moments(mean, centred if len(centred) <= len(mean) else _factor(centred))


def _factor(centred: Array) -> Array:
    """Return no more than d rows with the same covariance: a triangle where it has full rank, else scaled eigenvectors.

    numpy multiplies, since it sees that the product is symmetric and computes a half; torch decomposes, since the LAPACK that
    comes with it takes half the time of numpy's at this size.
    """
    import torch

    covariance = torch.from_numpy(centred.T @ centred)
    factor, fault = torch.linalg.cholesky_ex(covariance)
    noise = len(covariance) * np.finfo(np.float64).eps * covariance.diagonal().max()
    if not fault and factor.diagonal().min() ** 2 > noise:
        triangle: Array = factor.T.numpy()
        return triangle
    values, vectors = torch.linalg.eigh(covariance)  # features that do not vary, or that depend on each other
    there = values > noise
    scaled: Array = (vectors[:, there] * values[there].sqrt()).T.numpy()
    return scaled


def frechet_distance(one: Array, other: Array) -> float:
    """Return the squared Frechet distance of two normal distributions fitted to features; NaN where one is not finite.

    Exact with fewer pictures than features and with more; `sqrtm` of a singular product, as in clean-fid, is off by 1e-5 and a
    hundred times slower.

    Args:
        one: Features, shape (n, d), n >= 2.
        other: Features, shape (m, d), m >= 2.

    Source: Heusel et al., NeurIPS 2017; covariances with n - 1, as in clean-fid.
    """
    return distance(moments(one), moments(other))


def distance(one: Moments, other: Moments) -> float:
    """Return the distance of two sets whose moments are known.

    With covariances A'A and B'B the trace of the root of their product is the nuclear norm of AB'. Where both have full rank it
    is had from the symmetric eigenvalues of AB'BA', which takes a third of the time and loses nothing that matters.
    """
    difference = one.mean - other.mean
    spread = float(np.einsum("ij,ij->", one.rows, one.rows) + np.einsum("ij,ij->", other.rows, other.rows))
    if not np.isfinite(spread + difference.sum()):
        return float("nan")
    return float(max(0.0, difference @ difference + spread - 2 * _root(one.rows, other.rows)))


def _root(one: Array, other: Array) -> float:
    """Return the nuclear norm of `one @ other.T`."""
    import torch

    with _threads(1 if min(len(one), len(other)) <= SMALL else torch.get_num_threads()):
        product = one @ other.T
        if product.shape == (one.shape[1], one.shape[1]):
            return float(torch.linalg.eigvalsh(torch.from_numpy(product @ product.T)).clip(min=0).sqrt().sum())
        return float(torch.linalg.svdvals(torch.from_numpy(product)).sum())


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch compute with so many threads: those of small matrices wait for each other longer than they work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def extrapolated(one: Array, other: Array, seed: int = 0) -> float:
    """Return the distance that infinitely many pictures would give: the bias of the distance falls about as 1/n.

    A line is fitted to the mean distances of random parts of both sets over 1/n; the real set shrinks along. May be below zero.

    Source: Chong and Forsyth, CVPR 2020 (FID-infinity), who shrink the drawn set alone, from tens of thousands of pictures.
    """
    rng = np.random.default_rng(seed)

    def mean(share: float, times: int) -> float:
        sizes = [max(2, round(share * len(side))) for side in (one, other)]
        parts = [[side[rng.permutation(len(side))[:size]] for side, size in zip((one, other), sizes, strict=True)] for _ in range(times)]
        return float(np.mean([frechet_distance(*pair) for pair in parts]))

    return float(np.polyfit([1 / share for share in PARTS], [mean(share, times) for share, times in PARTS.items()], 1)[1])
