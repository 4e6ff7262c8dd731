"""A program at the other end of two pipes: lines go in and come out, whatever it does with them."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO

LONGEST_LINE = 64 << 20
"""Bytes of one answer."""
LINES_AHEAD = 256
"""Lines that are read before somebody asks for them."""
GRACE_S = 2.0
"""How long a program has to go by itself once it gets no more requests, in seconds."""

# on Linux a program ends with whoever started it, even where it does not read its input; elsewhere its input just ends
_START = """
import ctypes, os, sys
try:
    ctypes.CDLL(None).prctl(1, 9)
except (AttributeError, OSError):
    pass
try:
    os.execvp(sys.argv[1], sys.argv[1:])
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error.strerror}")
"""
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Variables that would draw a program of another environment into ours."""


class Gone(Exception):  # noqa: N818 - a state, told by its message
    """The program ended, or said nothing for too long."""


class Pipe:
    """A running program.

    Args:
        command: The program and its arguments.
        cwd: Its working folder; empty: ours.
    """

    def __init__(self, command: Sequence[str], cwd: str = "") -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
        self._process = subprocess.Popen(  # noqa: S603 - the user's own command
            [sys.executable, "-I", "-S", "-c", _START, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**inherited, "PYTHONUNBUFFERED": "1"},
            cwd=cwd or None,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._closed = threading.Event()
        self._to_say: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._heard: queue.Queue[bytes | None] = queue.Queue(LINES_AHEAD)
        threading.Thread(target=self._write, args=(self._process.stdin,), daemon=True).start()
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def say(self, line: bytes) -> None:
        """Hand a line over; it is written when the program reads."""
        self._to_say.put(line)

    def hear(self, limit_s: float) -> bytes:
        """Return the next line.

        Raises:
            Gone: there is none within so many seconds, the program ended, or its line has no end.
        """
        try:
            line = self._heard.get(timeout=limit_s)
        except queue.Empty:
            self.end(at_once=True)
            raise Gone(f"no answer within {limit_s:g} s") from None
        if line is None:
            raise Gone(self._ending())
        if len(line) > LONGEST_LINE:
            self.end(at_once=True)
            raise Gone(f"its line is longer than {LONGEST_LINE:,} bytes")
        return line

    def end(self, *, at_once: bool = False) -> None:
        """Let the program go, or make it."""
        self._closed.set()
        self._to_say.put(None)
        if not at_once:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=GRACE_S)
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                self._process.kill()
        self._process.wait()

    def _ending(self) -> str:
        try:
            code = self._process.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            self.end(at_once=True)
            return "it closed its output"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with code {code}"

    def _write(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (line := self._to_say.get()) is not None:
                pipe.write(line)
                pipe.flush()
        with contextlib.suppress(OSError):
            pipe.close()

    def _read(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError), pipe:
            while line := pipe.readline(LONGEST_LINE + 1):
                self._put(line)
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._heard.put(line, timeout=0.2)
                return
