"""What parent and child process say to each other: length-prefixed msgpack over pipes."""

from __future__ import annotations

from typing import IO, Any

import msgspec

from medbench import errors
from medbench.cards import ModelCard
from medbench.types import Answer, Loaded, Struct


class Begin(Struct):
    """Parent to child, first: what to load, and where this process finds its modules."""

    card: ModelCard
    options: dict[str, Any]
    path: list[str]


class Answers(Struct, tag="answers"):
    """Child to parent: some answers of the window."""

    answers: list[Answer]


class Done(Struct, tag="done"):
    """Child to parent: the window is answered."""


class Broken(Struct, tag="broken"):
    """Child to parent: the model cannot go on, for a reason that a person can act on."""

    kind: str
    message: str
    hint: str


FromChild = Loaded | Answers | Done | Broken

ERRORS: dict[str, type[errors.MedbenchError]] = {
    kind.__name__: kind for kind in (errors.UsageError, errors.DataError, errors.PluginError, errors.StorageError, errors.QuotaExhausted)
}

_encoder = msgspec.msgpack.Encoder()


def write_frame(pipe: IO[bytes], message: Any) -> None:
    """Write one message and flush it."""
    raw = _encoder.encode(message)
    left = memoryview(len(raw).to_bytes(8, "little") + raw)
    while left:  # an unbuffered pipe may take only a part
        left = left[pipe.write(left) :]
    pipe.flush()


def read_frame(pipe: IO[bytes]) -> bytes | None:
    """Read one message; None when the other side is gone."""
    head = _exactly(pipe, 8)
    return _exactly(pipe, int.from_bytes(head, "little")) if head else None


def _exactly(pipe: IO[bytes], count: int) -> bytes | None:
    parts: list[bytes] = []
    while count:
        part = pipe.read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
