"""The digest of what a model is fitted on: by content, not by where files lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from medbench.interfaces import Example
from medbench.types import Image, Request

_encoder = msgspec.msgpack.Encoder(order="deterministic")


def data_digest(examples: Mapping[str, Iterable[Example]]) -> str:
    """Return the digest of all examples with their tasks, in order; pictures count by their own digest, not by their path."""
    seen = hashlib.sha256()
    for task in sorted(examples):
        seen.update(_encoder.encode(task))
        for request, output in examples[task]:
            seen.update(_encoder.encode((_content(request), output)))
    return seen.hexdigest()[:32]


def _content(request: Request) -> Request:
    images = getattr(request, "images", ())
    if not images:
        return request
    kept = tuple(
        Image(path="" if image.digest else image.path, role=image.role, preset=image.preset, digest=image.digest) for image in images
    )
    return msgspec.structs.replace(request, images=kept)
