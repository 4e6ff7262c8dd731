"""The outputs of one model on disk: append-only segments, one per process, never lost and never torn apart."""

from __future__ import annotations

import hashlib
import mmap
import os
import time
import uuid
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec

from medbench.files import private_folder, storage, write_whole
from medbench.identity import LENGTH, request_key
from medbench.locks import try_lock
from medbench.types import Failed, Output, Picture, Request, Vector

SYNC_SECONDS = 1.0
"""A power cut costs at most the outputs of so many seconds; a killed process costs nothing that was appended."""

_HEAD, _SUM, _OUTPUT, _TAIL = b'{"key":"', b'","sum":"', b'","output":', b"}\n"
_SUM_AT = len(_HEAD) + LENGTH
_OUTPUT_AT = _SUM_AT + len(_SUM) + 8
_BODY_AT = _OUTPUT_AT + len(_OUTPUT)
_FAILED = b'{"type":"failed"'
_VECTOR = b'{"type":"vector"'

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Output] = msgspec.json.Decoder(Output)


class _Place(msgspec.Struct, frozen=True, gc=False):
    """Where an output stands: the segment, and the output itself as it is written."""

    segment: str
    body: bytes


class Store:
    """All outputs that a model gave, by request key.

    `runs/outputs/<model identity>/` holds, for each process that wrote, `<start>-<process>.jsonl` (one checked line per
    output) and, where vectors were stored, a raw float32 segment beside it; pictures are files. Later lines stand over
    earlier ones, except that a `Failed` never replaces an output.
    """

    def __init__(self, folder: Path, *, fresh: bool = False, note: Callable[[str], None] | None = None) -> None:
        self.folder = private_folder(folder)
        self._note = note or (lambda _: None)
        self._known: dict[str, _Place] = {}
        self._read_to: dict[str, int] = {}
        self._maps: dict[str, mmap.mmap] = {}
        self._writer: _Writer | None = None
        if fresh:
            self._read_to = {path.name: path.stat().st_size for path in self._segments()}
        else:
            self.refresh(opening=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def get(self, key: str) -> Output:
        """Return an output.

        Raises:
            KeyError: there is none under that key.
        """
        place = self._known[key]
        output = _decoder.decode(place.body)
        if isinstance(output, Vector):
            return msgspec.structs.replace(output, data=self._vector(place.segment, output))
        if isinstance(output, Picture):
            return msgspec.structs.replace(output, path=str(self.folder / output.path))
        return output

    def failed(self, key: str) -> str:
        """Return the kind of failure kept under a key; empty: it is not a failure."""
        place = self._known.get(key)
        if place is None or not place.body.startswith(_FAILED):
            return ""
        output = _decoder.decode(place.body)
        return output.kind if isinstance(output, Failed) else ""

    def missing(self, keys: Iterable[str], *, retry_failed: bool = False) -> list[str]:
        """Return the keys that are still to be asked: unknown ones, transient failures, and all failures on request."""
        return [key for key in keys if self._wanted(key, retry_failed)]

    def append(self, key: str, output: Output) -> None:
        """Keep an output: handed to the operating system before this returns, on the disk within a second.

        Raises:
            StorageError: the disk is full or refuses; what was appended before is kept.
        """
        with storage(self.folder):
            if self._writer is None:
                self._writer = _Writer(self.folder)
            place = self._writer.append(key, output)
        self._keep(key, place)
        self._read_to[place.segment] = self._writer.size

    def refresh(self, *, opening: bool = False) -> None:
        """Read what other processes appended since the last look."""
        for path in self._segments():
            start = self._read_to.get(path.name, 0)
            if path.stat().st_size > start and not (self._writer and path.name == self._writer.name):
                self._read_segment(path, start, opening=opening)

    def write_facts(self, facts: dict[str, Any]) -> None:
        """Keep what was known after loading the model."""
        write_whole(self.folder / "facts.json", msgspec.json.format(_facts_encoder.encode(facts), indent=2) + b"\n")

    def read_facts(self) -> dict[str, Any]:
        """Return what was known after loading the model; empty when it never was."""
        path = self.folder / "facts.json"
        facts: dict[str, Any] = msgspec.json.decode(path.read_bytes()) if path.is_file() else {}
        return facts

    def close(self) -> None:
        """Bring everything to the disk."""
        if self._writer:
            with storage(self.folder):
                self._writer.close()
            self._writer = None
        self._maps.clear()  # a map goes with the last view of it, which a caller may still hold

    def _segments(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    def _wanted(self, key: str, retry_failed: bool) -> bool:
        place = self._known.get(key)
        if place is None:
            return True
        if not place.body.startswith(_FAILED):
            return False
        return retry_failed or self.failed(key) == "transient"

    def _keep(self, key: str, place: _Place) -> None:
        known = self._known.get(key)
        if known is None or not place.body.startswith(_FAILED) or known.body.startswith(_FAILED):
            self._known[key] = place

    def _read_segment(self, path: Path, start: int, *, opening: bool) -> None:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read()
            end = content.rfind(b"\n") + 1
            damaged = 0
            for line in content[:end].split(b"\n")[:-1]:
                parsed = _parse(line)
                if parsed and self._whole(path, *parsed):
                    self._keep(parsed[0], _Place(segment=path.name, body=parsed[1]))
                else:
                    damaged += 1
            self._read_to[path.name] = start + end
            if opening and damaged:
                self._note(f"{damaged} damaged line{'s' if damaged > 1 else ''} in {path.name} left out; asked again")
            if opening and end < len(content) and try_lock(file):
                os.truncate(path, start + end)
                self._note(f"the last line of {path.name} was torn by an interruption and is left out; asked again")

    def _whole(self, path: Path, key: str, body: bytes, checksum: bytes) -> bool:
        data = b""
        if body.startswith(_VECTOR):
            output = _decoder.decode(body)
            assert isinstance(output, Vector)
            vectors = path.with_suffix(".f32")
            if not vectors.is_file() or vectors.stat().st_size < output.offset + 4 * output.dim:
                return False
            data = bytes(self._vector(path.name, output))
        return checksum == _checksum(key.encode(), body, data)

    def _vector(self, segment: str, output: Vector) -> memoryview:
        """Return a view of the memory-mapped segment, mapped anew when it has grown past the map."""
        if not output.dim:
            return memoryview(b"")  # an empty file cannot be mapped
        end = output.offset + 4 * output.dim
        mapped = self._maps.get(segment)
        if mapped is None or len(mapped) < end:
            with (self.folder / segment).with_suffix(".f32").open("rb") as file:
                mapped = self._maps[segment] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return memoryview(mapped)[output.offset : end]


class _Writer:
    """The segment of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        stem = f"{time.time_ns():016x}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.name = f"{stem}.jsonl"
        self.size = 0
        self._lines: BinaryIO = (folder / self.name).open("xb", buffering=0)
        self._vectors: BinaryIO | None = None
        self._synced = time.monotonic()
        try_lock(self._lines)

    def append(self, key: str, output: Output) -> _Place:
        data = b""
        if isinstance(output, Vector):
            data = bytes(output.data)
            output = Vector(offset=self._append_vector(data), dim=len(data) // 4)
        elif isinstance(output, Picture):
            output = self._write_picture(key, output)
        body = _encoder.encode(output)
        line = b"".join((_HEAD, key.encode(), _SUM, _checksum(key.encode(), body, data), _OUTPUT, body, _TAIL))
        self._write(self._lines, line)
        self.size += len(line)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()
        return _Place(segment=self.name, body=body)

    def sync(self) -> None:
        if self._vectors:
            os.fsync(self._vectors.fileno())
        os.fsync(self._lines.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        self.sync()
        if self._vectors:
            self._vectors.close()
        self._lines.close()

    def _append_vector(self, data: bytes) -> int:
        if self._vectors is None:
            self._vectors = (self.folder / self.name).with_suffix(".f32").open("xb", buffering=0)
        offset = self._vectors.tell()
        self._write(self._vectors, data)
        return offset

    def _write_picture(self, key: str, picture: Picture) -> Picture:
        suffix = ".png" if picture.data.startswith(b"\x89PNG") else ".jpg"
        relative = Path("pictures") / f"{key}{suffix}"
        private_folder(self.folder / "pictures")
        write_whole(self.folder / relative, picture.data)
        made = hashlib.sha256(picture.data).hexdigest()[:LENGTH]
        return Picture(path=relative.as_posix(), width=picture.width, height=picture.height, digest=made)

    @staticmethod
    def _write(file: BinaryIO, data: bytes) -> None:
        """Write all of it: an unbuffered file may take only a part when the disk runs full."""
        written = file.write(data)
        while written < len(data):
            written += file.write(data[written:])


class Outputs:
    """The outputs of one model in one run, looked up by request."""

    def __init__(self, store: Store, identity: str, faults: dict[str, Failed], facts: dict[str, Any]) -> None:
        self._store = store
        self._identity = identity
        self._faults = faults
        self.facts = facts

    def __getitem__(self, request: Request) -> Output:
        key = request_key(self._identity, request)
        if key in self._faults:
            return self._faults[key]
        try:
            return self._store.get(key)
        except KeyError:
            return Failed(kind="transient", error="not answered")


_facts_encoder = msgspec.json.Encoder(order="deterministic")


def _checksum(*parts: bytes) -> bytes:
    made = 0
    for part in parts:
        made = zlib.crc32(part, made)
    return b"%08x" % made


def _parse(line: bytes) -> tuple[str, bytes, bytes] | None:
    """Return (key, output, checksum) of a line; None when it is not one of ours."""
    if not (line.startswith(_HEAD) and line[_SUM_AT : _SUM_AT + len(_SUM)] == _SUM and line.endswith(b"}")):
        return None
    if line[_OUTPUT_AT:_BODY_AT] != _OUTPUT:
        return None
    return line[len(_HEAD) : _SUM_AT].decode(errors="replace"), line[_BODY_AT:-1], line[_SUM_AT + len(_SUM) : _OUTPUT_AT]
