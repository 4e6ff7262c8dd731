"""Files as the rest of medbench needs them: whole or not at all, private where they must be, digests remembered."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import msgspec

from medbench.errors import StorageError
from medbench.identity import LENGTH, digest
from medbench.members import container_of

CACHE_VARIABLE = "MEDBENCH_CACHE"


def cache_folder(*parts: str) -> Path:
    """Return a folder below the user's cache: `$MEDBENCH_CACHE`, `$XDG_CACHE_HOME/medbench` or `~/.cache/medbench`."""
    named = os.environ.get(CACHE_VARIABLE)
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medbench"
    return base.joinpath(*parts)


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter (mode 0700), and return it."""
    with storage(path):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


@contextlib.contextmanager
def storage(path: Path, elsewhere: str = "choose another folder with --runs-dir") -> Iterator[None]:
    """Turn what the file system refuses into a message that names the path and says what is kept, or where else to write."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            hint = "what was done is kept; free some space and run the same command again"
            raise StorageError(f"{path}: the disk is full", hint=hint) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise StorageError(f"{path}: cannot be written ({error.strerror})", hint=elsewhere) from error
        raise StorageError(f"{path}: {error.strerror or error}", hint=elsewhere) from error


def write_whole(path: Path, chunks: bytes | Iterable[bytes]) -> None:
    """Write a file so that it is there whole or not at all, even after a power cut.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    with storage(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in [chunks] if isinstance(chunks, bytes) else chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk cannot (another disk, no hard links); whole or not at all.

    Raises:
        StorageError: it can be neither linked nor copied.
    """
    try:
        target.hardlink_to(source)
    except OSError:
        try:
            content = source.read_bytes()
        except OSError as error:
            raise StorageError(f"{source}: {error.strerror}") from error
        write_whole(target, content)


class FileFacts(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a file, valid while its size and modification time stay."""

    size: int
    modified_ns: int
    digest: str
    fault: str = ""


class FileDigests:
    """Digests of files, cached by path, size and modification time; nothing is decoded."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache
        self._changed = False
        self._known: dict[str, FileFacts] = {}
        if cache and cache.is_file():
            with contextlib.suppress(msgspec.MsgspecError, OSError):
                self._known = msgspec.json.decode(cache.read_bytes(), type=dict[str, FileFacts])

    def look(self, path: Path) -> FileFacts:
        """Return digest and fault of a file, or of a picture in a container; what cannot be read has a fault and no digest."""
        return self._without_reading(str(path)) or self._read(path)

    def look_all(self, names: Iterable[str]) -> list[FileFacts]:
        """Return the facts of many files, in order; reading and hashing overlap. Names, since making a path takes longer than a look."""
        facts: list[FileFacts] = []
        remaining = iter(names)
        with ThreadPoolExecutor(max_workers=4) as pool:
            while batch := list(islice(remaining, _BATCH)):
                # only files that must be read are worth a thread: the rest would spend their time handing the lock around
                found = [self._without_reading(name) for name in batch]
                read = pool.map(self._read, (Path(name) for name, known in zip(batch, found, strict=True) if known is None))
                facts += [known or next(read) for known in found]
        return facts

    def _without_reading(self, name: str) -> FileFacts | None:
        """Return the facts of what is absent or remembered; None: its bytes must be read."""
        container = container_of(name)
        if container != name:
            return _inside(self.look(Path(container)), name.removeprefix(container))
        try:
            status = os.stat(name)  # noqa: PTH116 - several times as fast as the path's own method
        except OSError as error:
            return _unreadable(error)
        known = self._known.get(name)
        if known and (known.size, known.modified_ns) == (status.st_size, status.st_mtime_ns):
            return known
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # a pipe could be read for ever
            return FileFacts(size=0, modified_ns=0, digest="", fault="not a regular file")
        return None

    def _read(self, path: Path) -> FileFacts:
        try:
            status = path.stat()
            content = path.read_bytes() if status.st_size < _SLURP else None
            made = _hash(path) if content is None else hashlib.sha256(content).hexdigest()[:LENGTH]
        except OSError as error:
            return _unreadable(error)
        fault = picture_fault(path.suffix, content) if content is not None else ""
        facts = FileFacts(size=status.st_size, modified_ns=status.st_mtime_ns, digest=made, fault=fault)
        self._known[str(path)] = facts
        self._changed = True
        return facts

    def digest(self, path: Path) -> str:
        """Return the digest of one file."""
        return self.look(path).digest

    def save(self) -> None:
        """Remember what was read; an unwritable cache only means reading again."""
        if self._cache and self._changed:
            with contextlib.suppress(StorageError):
                private_folder(self._cache.parent)
                write_whole(self._cache, msgspec.json.encode(self._known, order="deterministic"))
            self._changed = False


_SLURP = 64 << 20
_BATCH = 1024


def _inside(container: FileFacts, member: str) -> FileFacts:
    """A member is known by its container's bytes and its name there: nothing has to be unpacked."""
    return msgspec.structs.replace(container, digest=digest(container.digest, member)) if container.digest else container


def _unreadable(error: OSError) -> FileFacts:
    return FileFacts(size=0, modified_ns=0, digest="", fault="no such file" if error.errno == errno.ENOENT else str(error.strerror))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:LENGTH]


def picture_fault(suffix: str, content: bytes) -> str:
    """Return why these bytes cannot be a whole picture of that kind, judged by its frame alone; empty: nothing is wrong.

    >>> picture_fault(".png", b"")
    'an empty file'
    """
    kind = suffix.lower()
    if kind not in {".jpg", ".jpeg", ".png"}:
        return ""
    if not content:
        return "an empty file"
    if content.startswith(b"\xff\xd8\xff"):
        # an embedded thumbnail has an end marker of its own, before the picture's last scan
        return "" if content.rfind(b"\xff\xd9") > content.rfind(b"\xff\xda") > 0 else "a truncated JPEG"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "" if b"IEND" in content[-1024:] else "a truncated PNG"
    return "" if content.startswith(_OTHER_PICTURES) else "not a picture"


_OTHER_PICTURES = (b"GIF8", b"II*\0", b"MM\0*", b"RIFF", b"BM")
"""Files of another kind that bear a wrong suffix decode all the same."""
