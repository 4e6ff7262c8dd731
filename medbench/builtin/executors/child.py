"""A model in a child process: its memory is truly freed, a hang can be timed out, a crash is one failed window."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import msgspec

from medbench.builtin.executors.frames import ERRORS, Answers, Begin, Broken, Done, FromChild, read_frame, write_frame
from medbench.cards import ModelCard
from medbench.errors import PluginError
from medbench.types import Answer, Asked, Failed, Loaded

LOAD_S = 1800.0
"""Longest time that loading may take, in seconds: large weights from a slow disk; the card's limit is for windows."""
CRASHES = 3
"""So many ends of the process in a row without an answer are a broken model, not a hard window."""
LOG_BYTES = 4 << 20
"""A longer log of what earlier processes printed is thrown away."""


class Child:
    """A child process that holds one loaded model. Use as a context manager; at its end the process is gone.

    Args:
        card: The model.
        options: What it is built from.
        log: File to which whatever the process prints is appended; None: this process's standard error.
    """

    def __init__(self, card: ModelCard, options: Mapping[str, Any], log: Path | None = None) -> None:
        self._card = card
        self._options = dict(options)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._crashes = 0
        self.loaded = Loaded(facts={})

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self, window: Sequence[Asked]) -> Iterator[Answer]:
        """Yield an answer for each request; those left open by a crash or a time-out are `Failed`.

        Raises:
            PluginError: the model broke its interface, cannot be loaded again, or ends the process again and again.
        """
        unanswered = {asked.key: asked for asked in window}
        if self._process is None:
            self._start()
        try:
            self._send(list(window))
            for message in self._messages():
                if isinstance(message, Done):
                    return
                for answer in message.answers:
                    unanswered.pop(answer.key, None)
                    self._crashes = 0
                    yield answer
        except _Ended as ended:
            self._crashes += 1
            if self._crashes >= CRASHES:
                hint = self._where("a smaller batch_size may help; --retry-failed asks again for what failed")
                raise PluginError(f"{self._card.name}: {ended} {self._crashes} times in a row", hint=hint) from None
            for key in unanswered:
                yield Answer(key=key, output=Failed(kind="model", error=str(ended)))

    def _start(self) -> None:
        # unbuffered: what select says about the pipe must be all there is to read
        command = [sys.executable, "-m", "medbench.builtin.executors.worker"]
        with _opened(self._log) as errors:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0)  # noqa: S603 - this very interpreter
        try:
            self._send(Begin(card=self._card, options=self._options, path=list(sys.path)))
            first = self._receive(time.monotonic(), max(LOAD_S, self._card.timeout_s))
        except _Ended as ended:
            hint = self._where(f"medbench show model {self._card.name}")
            raise PluginError(f"{self._card.name} could not be loaded: {ended}", hint=hint) from None
        if not isinstance(first, Loaded):
            raise PluginError(f"{self._card.name}: its process answered before it had loaded")
        self.loaded = first

    def _where(self, hint: str) -> str:
        """Return a hint, and where to read what the process printed."""
        return f"{hint}\nwhat it printed: {self._log}" if self._log and self._log.is_file() and self._log.stat().st_size else hint

    def _messages(self) -> Iterator[Answers | Done]:
        begun = time.monotonic()
        while True:
            message = self._receive(begun, self._card.timeout_s)
            if isinstance(message, Loaded):
                raise PluginError(f"{self._card.name}: its process loaded twice")
            yield message
            if isinstance(message, Done):
                return

    def _send(self, message: Any) -> None:
        assert self._process
        assert self._process.stdin
        try:
            write_frame(self._process.stdin, message)
        except BrokenPipeError:
            raise self._ended() from None

    def _receive(self, begun: float, limit_s: float) -> Answers | Done | Loaded:
        assert self._process
        assert self._process.stdout
        left_s = max(0.0, begun + limit_s - time.monotonic())
        if not select.select([self._process.stdout], [], [], left_s)[0]:
            self._end()
            raise _Ended(f"no answer within {limit_s:g} s")
        raw = read_frame(self._process.stdout)
        if raw is None:
            raise self._ended()
        message: FromChild = _decoder.decode(raw)
        if isinstance(message, Broken):
            self._end()
            kind = ERRORS.get(message.kind, PluginError)
            raise kind(message.message, hint=self._where(message.hint) if kind is PluginError else message.hint)
        return message

    def _ended(self) -> _Ended:
        """Say how the process ended."""
        assert self._process
        code = self._process.wait()
        self._end()
        if code < 0:
            with contextlib.suppress(ValueError):
                return _Ended(f"its process was ended by {signal.Signals(-code).name}")
        return _Ended(f"its process ended with code {code}")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def _opened(log: Path | None) -> contextlib.AbstractContextManager[IO[bytes] | None]:
    """Return the log open for appending, for its owner only; a long one is begun anew."""
    if log is None:
        return contextlib.nullcontext()
    long = log.is_file() and log.stat().st_size > LOG_BYTES
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if long else 0), 0o600), "wb")


class _Ended(Exception):  # noqa: N818 - a state, told by its message
    """The process is gone."""


_decoder: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
