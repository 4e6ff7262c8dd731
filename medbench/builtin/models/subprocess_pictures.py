"""Pictures as files that any program can open: those of the data, or PNGs that live no longer than their requests."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from medbench.errors import InputError
from medbench.types import Image, Request

PREFIX = "medbench-subprocess-"
PLAIN = {".png", ".jpg", ".jpeg"}


class PlainPictures:
    """Lends paths of picture files.

    What no program could be expected to read (DICOM, members of containers, a blanked picture) is decoded into a private folder
    of this process, and deleted when the last request that shows it is answered. Folders of processes that were killed are
    deleted by the next one.
    """

    def __init__(self) -> None:
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self._lent: Counter[str] = Counter()

    def lend(self, request: Request) -> list[str]:
        """Return the absolute path of a file for each picture of a request.

        Raises:
            InputError: one is missing or cannot be decoded.
        """
        paths: list[str] = []
        try:
            for image in getattr(request, "images", ()):
                paths.append(self._path(image))
                self._lent[paths[-1]] += 1
        except InputError:
            self.take_back(paths)
            raise
        return paths

    def take_back(self, paths: Iterable[str]) -> None:
        """Delete what was made for a request, unless another shows it too."""
        for path in paths:
            self._lent[path] -= 1
            if self._lent[path] <= 0:
                del self._lent[path]
                if Path(path).parent == self.folder:
                    Path(path).unlink(missing_ok=True)

    def _path(self, image: Image) -> str:
        from medbench.images import decode  # noqa: PLC0415 - most pictures are plain files

        path = Path(image.path)
        if image.preset == "default" and path.suffix.lower() in PLAIN and path.is_absolute() and path.is_file():
            return str(path)
        made = self.folder / f"{image.digest or 'picture'}-{image.preset}.png"
        if not made.is_file():
            decode(image).save(made)
        return str(made)


def _sweep() -> None:
    """Delete the folders of our processes that are no more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        with contextlib.suppress(OSError, ValueError):
            if folder.stat().st_uid == os.getuid() and not _alive(int(number)):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
