"""Features of pictures, computed once per picture and network and kept in the user's cache as float32."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from medbench.errors import DataError
from medbench.files import FileDigests, cache_folder
from medbench.identity import digest, safe_name
from medbench.interfaces import Reals
from medbench.store import Store
from medbench.types import Pair, Picture, Vector
from medbench_imagegen.networks import Network
from medbench_imagegen.pictures import is_black, open_picture

Array = np.ndarray[Any, np.dtype[Any]]

BATCH = 32


def features_of(paths: Sequence[str], digests: Sequence[str], network: Network) -> Array:
    """Return the features of picture files, float32 of shape (n, d).

    Files with one digest are one picture. What was computed before, in any run, is read from the cache.

    Raises:
        DataError: a file cannot be decoded, or a kept vector is of another length.
    """
    keys = [digest("features", network.identity, made) for made in digests]
    first = dict(zip(reversed(keys), reversed(paths), strict=True))
    with Store(cache_folder("features", safe_name(network.identity))) as store:
        missing = [key for key in dict.fromkeys(keys) if key not in store]
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            with ThreadPoolExecutor(2) as pool:
                opened = list(pool.map(open_picture, (first[key] for key in part)))
            for key, vector in zip(part, network.features(opened), strict=True):
                store.append(key, Vector(data=np.ascontiguousarray(vector, dtype="<f4").tobytes()))
        if not keys:
            return np.empty((0, 0), dtype=np.float32)
        return np.stack([_vector(store, key) for key in keys])


def _vector(store: Store, key: str) -> Array:
    found = store.get(key)
    if not isinstance(found, Vector):
        raise DataError(f"{store.folder}: holds something that is no feature", hint="remove that folder: it is a cache")
    return found.array().copy()


def digests_of_files(paths: Sequence[str]) -> list[str]:
    """Return the digests of files."""
    return [facts.digest for facts in FileDigests().look_all(paths)]


def drawn_files(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    """Return the paths and digests of drawn pictures."""
    pictures = [pair.value for pair in pairs if isinstance(pair.value, Picture)]
    digests = [picture.digest for picture in pictures]
    paths = [picture.path for picture in pictures]
    return paths, digests if all(digests) else digests_of_files(paths)


def real_files(reals: Reals, *, train: bool = False) -> tuple[list[str], list[str]]:
    """Return the paths and digests of real pictures."""
    images = [sample.images[0] for sample in (reals.train if train else reals.evaluated)]
    return [image.path for image in images], [image.digest for image in images]


def black_ones(paths: Sequence[str]) -> Array:
    """Return a boolean mask of the pictures with nothing to see."""
    with ThreadPoolExecutor(2) as pool:
        return np.fromiter(pool.map(lambda path: is_black(open_picture(path)), paths), dtype=bool, count=len(paths))
