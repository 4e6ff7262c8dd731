"""Statistics of a set of real pictures, computed once and kept in the user's cache by the digest of the set's manifest."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from medbench.errors import StorageError
from medbench.files import cache_folder, private_folder, write_whole
from medbench.identity import digest

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = Mapping[str, Array]

VERSION = "1"
"""Raised when the same features would give other statistics."""


def manifest_of(identity: str, digests: Sequence[str]) -> str:
    """Return the digest of a set of pictures as a network sees it."""
    return digest("set", VERSION, identity, *digests)


def kept(manifest: str, what: str, make: Callable[[], Arrays]) -> Arrays:
    """Return arrays that belong to a set: from the cache, or made and kept; a damaged file is made anew.

    Args:
        manifest: Digest of the set; empty: nothing is kept of it.
        what: Which of its statistics, and with which parameters.
        make: Computes them.
    """
    if not manifest:
        return make()
    path = cache_folder("statistics", f"{digest(manifest, what)}.npz")
    with (
        contextlib.suppress(OSError, ValueError, EOFError, zipfile.BadZipFile),
        np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file,
    ):
        return dict(file)
    made = make()
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **made)
    with contextlib.suppress(StorageError):  # an unwritable cache only means computing again
        write_whole(private_folder(path.parent) / path.name, buffer.getvalue())
    return made
