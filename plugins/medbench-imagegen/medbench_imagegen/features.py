"""Features of pictures, computed once per picture and network and kept in the user's cache as float32."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from medbench.errors import DataError, StorageError
from medbench.files import FileDigests, cache_folder
from medbench.identity import digest, safe_name
from medbench.interfaces import Reals
from medbench.store import Store
from medbench.types import Pair, Picture, Vector
from medbench_imagegen.pictures import open_picture

Array = np.ndarray[Any, np.dtype[Any]]

BATCH = 32


class Network(Protocol):
    """What turns pictures into features; it may say by `open(path)` how it wants them opened."""

    name: str
    """Part of the scores' names."""
    identity: str
    """Name, and the digest of its weights."""

    def features(self, pictures: Sequence[Array]) -> Array:
        """Return float32 features, shape (n, d), of RGB pictures (uint8, height x width x 3) or of what `open` gives."""
        ...


def features_of(paths: Sequence[str], digests: Sequence[str], network: Network) -> Array:
    """Return the features of picture files, float32 of shape (n, d).

    Files with one digest are one picture. What was computed before, in any run, is read from the cache, where every network
    has a folder of its own: memory-mapped segments, one for each process that wrote, each vector with a checksum.

    Raises:
        DataError: a file cannot be decoded, its features are not finite, or a kept vector is of another length.
        StorageError: the cache cannot be written.
    """
    keys = [digest("features", network.identity, made) for made in digests]
    if not keys:
        return np.empty((0, 0), dtype=np.float32)
    first = dict(zip(reversed(keys), reversed(paths), strict=True))
    folder = cache_folder("features", safe_name(network.identity))
    try:
        with Store(folder) as store:
            missing = [key for key in dict.fromkeys(keys) if key not in store]
            for start in range(0, len(missing), BATCH):
                part = missing[start : start + BATCH]
                for key, vector in zip(part, _computed([first[key] for key in part], network), strict=True):
                    store.append(key, Vector(data=np.ascontiguousarray(vector, dtype="<f4").tobytes()))
            vectors = [found.array() for key in keys if isinstance(found := store.get(key), Vector)]
            if len(vectors) < len(keys) or len({len(vector) for vector in vectors}) > 1:
                raise DataError(f"{folder}: holds something that is no feature of this network", hint="remove that folder: it is a cache")
            return np.stack(vectors)
    except StorageError as error:
        raise StorageError(error.message, hint="MEDBENCH_CACHE=DIR names another folder for features") from error


def _computed(paths: Sequence[str], network: Network) -> Array:
    """Return the features of some pictures."""
    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(getattr(network, "open", open_picture), paths))
    made = network.features(opened)
    lost = np.flatnonzero(~np.isfinite(made).all(axis=1))
    if len(lost):
        raise DataError(f"{paths[lost[0]]}: its features by {network.name} are not finite", hint="are the weights whole?")
    return made


def drawn_files(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    """Return the paths and digests of drawn pictures."""
    pictures = [pair.value for pair in pairs if isinstance(pair.value, Picture)]
    digests = [picture.digest for picture in pictures]
    paths = [picture.path for picture in pictures]
    return paths, digests if all(digests) else [facts.digest for facts in FileDigests().look_all(paths)]


def real_files(reals: Reals, *, train: bool = False) -> tuple[list[str], list[str]]:
    """Return the paths and digests of real pictures."""
    images = [sample.images[0] for sample in (reals.train if train else reals.evaluated)]
    return [image.path for image in images], [image.digest for image in images]
