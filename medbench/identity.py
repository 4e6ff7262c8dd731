"""Who is who: digests of files, keys of requests, identities of models and runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from medbench.types import Image, Request

LENGTH = 32
"""Hex digits kept of a SHA-256: 128 bits, ample against accidents and short enough to read."""

_encoder = msgspec.json.Encoder(order="deterministic")


def digest(*parts: bytes | str) -> str:
    """Return one digest of several parts; parts are length-prefixed, so ("ab", "c") differs from ("a", "bc")."""
    made = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        made.update(len(raw).to_bytes(8, "little"))
        made.update(raw)
    return made.hexdigest()[:LENGTH]


def digest_of(value: Any) -> str:
    """Return the digest of plain data (structs, dicts, lists), independent of the order of keys."""
    return digest(_encoder.encode(value))


def request_key(identity: str, request: Request) -> str:
    """Return the key of a request put to a model.

    Two requests share a key only where the model, the rendered prompt, the bytes and decode preset of every image and all
    parameters agree; where a file lies does not matter. Fields at their default are left out, so that a parameter added
    later does not disown what was computed before it existed.

    Raises:
        ValueError: an image was never indexed, so its content is unknown.
    """
    if request.images:
        for image in request.images:
            if not image.digest:
                raise ValueError(f"{image.path}: a request needs the digest of its image")
        request = msgspec.structs.replace(request, images=tuple(_content(image) for image in request.images))
    return hashlib.sha256(identity.encode() + b"\0" + _encoder.encode(request)).hexdigest()[:LENGTH]


def _content(image: Image) -> Image:
    return Image(role=image.role, preset=image.preset, digest=image.digest)


def safe_name(name: str) -> str:
    """Return a name that is safe as one folder on any disk.

    >>> safe_name("openai:gpt-4o"), safe_name("../x")
    ('openai-gpt-4o', 'x')
    """
    kept = "".join(c if c.isalnum() or c in "._-@+" else "-" for c in name)
    return kept.strip(".-")[:80] or "unnamed"


def sample_seed(seed: int, sample: str) -> int:
    """Return the seed of one sample (63 bits): a function of the run's seed and the id alone, never of order or batch."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{sample}".encode()).digest()[:8], "little") >> 1


def hash_order(names: Iterable[str]) -> list[str]:
    """Return names in the order of their hashes: a fixed shuffle that does not depend on how the data was listed."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def tree_digest(root: Path, file_digest: Any) -> str:
    """Return the digest of a file, or of a folder's relative paths and files; `file_digest` maps a path to its digest."""
    if root.is_file():
        return str(file_digest(root))
    # hidden files and folders are a downloader's notes, with the times of the download in them
    files = sorted(p for p in root.rglob("*") if p.is_file() and not any(part.startswith(".") for part in p.relative_to(root).parts))
    return digest(*(part for p in files for part in (p.relative_to(root).as_posix(), str(file_digest(p)))))
