"""Advisory locks between processes on one machine: who holds a folder, and who waits."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from medbench.errors import StorageError


def try_lock(file: BinaryIO) -> bool:
    """Take the lock of an open file; False when another process holds it. It ends with the file or the process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class FolderLock:
    """The lock of one folder. Enter it to release it at the end; take it with `try_take`, and `wait` when another has it."""

    def __init__(self, folder: Path) -> None:
        try:
            self._file: BinaryIO = (folder / ".lock").open("a+b")
        except OSError as error:
            raise StorageError(f"{folder}: cannot be written ({error.strerror})", hint="copy it to a folder of your own") from error
        self._mine = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._mine:
            self._file.truncate(0)
        self._file.close()

    def try_take(self) -> str:
        """Take the lock and return nothing; when another process has it, return who that is."""
        if not try_lock(self._file):
            self._file.seek(0)
            return self._file.read().decode(errors="replace").strip() or "another process"
        self._mine = True
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        self._file.flush()
        return ""

    def wait(self) -> None:
        """Wait until the lock is free, and take it."""
        while self.try_take():
            time.sleep(0.2)
