"""The model `subprocess`: any program that reads requests as JSON lines and writes answers as JSON lines."""

from __future__ import annotations

import hashlib
import itertools
import shlex
import shutil
import sys
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from medbench.builtin.models.subprocess_lines import CAPABILITIES, PROTOCOL, Hello, Refusal, Wrong, output_of, request_line
from medbench.builtin.models.subprocess_pictures import PlainPictures
from medbench.builtin.models.subprocess_pipe import Gone, Pipe
from medbench.cards import ModelCard
from medbench.errors import InputError, PluginError, Problem, UsageError, suggestion
from medbench.types import Failed, Output, Request

CRASHES = 5
"""So many ends of the program in a row without an answer are a broken program, not hard requests."""
STRAY = 10_000
"""Lines that are no answers, at most: a program that chatters is borne, one that only chatters is not."""


class _Due(NamedTuple):
    """A request that the program was given."""

    place: int
    """In the window."""
    paths: list[str]


class Subprocess:
    """A program with an environment of its own.

    A request on which the program ends or falls silent fails alone: the program is started again, and those that were under
    way are put to it one by one.

    Args:
        command: The program and its arguments, as in a shell without its operators.
        can: What it can do, separated by commas; empty: whatever is asked, until its first line says.
        cwd: Its working folder.
        networked: States that it sends what it is given to another machine.
        version: Of what the program does, where its files alone do not tell.
        timeout_s: Longest silence while an answer is due, in seconds.
        load_s: Longest time until its first line, in seconds.
        ahead: Requests that it may be given before it has answered.
        **options: For the program: they stand in the first line that it is sent, and are part of the identity.
    """

    def __init__(
        self,
        *,
        command: str = "",
        can: str = "",
        cwd: str = "",
        networked: bool = False,
        version: str = "",
        timeout_s: float = 600.0,
        load_s: float = 1800.0,
        ahead: int = 32,
        **options: Any,
    ) -> None:
        del version  # it is for the identity alone
        self._command = _parsed(command)
        self._cwd = cwd
        self._can = _names(can)
        self._networked = networked
        self._timeout_s, self._load_s, self._ahead = timeout_s, load_s, max(1, ahead)
        self._options = options
        self._numbers = itertools.count(1)
        self._crashes = 0
        self._stray = 0
        self._pictures = PlainPictures()
        self._running: list[Pipe] = []
        self._hello = Hello(protocol=PROTOCOL)
        weakref.finalize(self, _let_go, self._running, self._pictures.folder)
        self._start()

    @classmethod
    def settled(cls, card: ModelCard, options: Mapping[str, Any]) -> tuple[ModelCard, list[Problem]]:
        """Return the card with the capabilities that the user names; another program file is another model."""
        problems: list[Problem] = []
        try:
            command = _parsed(str(options.get("command", "")))
        except UsageError as error:
            return card, [Problem(error.message, error.hint)]
        if not command:
            problems.append(Problem("subprocess needs a command", '--model-option command="/path/venv/bin/python model.py"'))
        elif shutil.which(command[0], path=None) is None and not (Path(str(options.get("cwd") or ".")) / command[0]).is_file():
            problems.append(Problem(f"subprocess: there is no program {command[0]}", "give its full path"))
        can = _names(str(options.get("can", "")))
        problems += [
            Problem(f"subprocess: can={name}: unknown", suggestion(name, CAPABILITIES)) for name in can if name not in CAPABILITIES
        ]
        known = tuple(name for name in CAPABILITIES if name in can) or card.can
        digests = _digests(command, str(options.get("cwd") or ""))
        version = f"{card.version}+{digests}" if digests else card.version
        networked = bool(options.get("networked"))
        return msgspec.structs.replace(card, can=known, version=version, networked=networked), problems

    def facts(self) -> dict[str, Any]:
        """Return what the program says of itself."""
        return {**self._hello.facts, "command": self._command}

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Output]]:
        """Yield (index, output) as the program answers."""
        return self._asked(requests, "generate")

    def classify(self, requests: Sequence[Request]) -> Iterator[tuple[int, Output]]:
        """Yield (index, output) as the program answers."""
        return self._asked(requests, "classify")

    def embed(self, requests: Sequence[Request]) -> Iterator[tuple[int, Output]]:
        """Yield (index, output) as the program answers."""
        return self._asked(requests, "embed")

    def synthesize(self, requests: Sequence[Request]) -> Iterator[tuple[int, Output]]:
        """Yield (index, output) as the program answers."""
        return self._asked(requests, "synthesize")

    def ground(self, requests: Sequence[Request]) -> Iterator[tuple[int, Output]]:
        """Yield (index, output) as the program answers."""
        return self._asked(requests, "ground")

    def _asked(self, requests: Sequence[Request], capability: str) -> Iterator[tuple[int, Output]]:
        if self._hello.can and capability not in self._hello.can:
            raise UsageError(
                f"the program can {' and '.join(self._hello.can)}, not {capability}", hint=f"can={','.join(self._hello.can)}, or --protocol"
            )
        waiting = deque(range(len(requests)))
        due: dict[str, _Due] = {}
        suspects: set[int] = set()
        while waiting or due:
            yield from self._fill(requests, waiting, due, 1 if suspects else self._ahead)
            if not due:
                continue
            try:
                index, output = self._answer(requests, due)
            except Gone as gone:
                busy = sorted(one.place for one in due.values())
                for one in due.values():
                    self._pictures.take_back(one.paths)
                due.clear()
                self._buried(str(gone))
                if len(busy) == 1:
                    suspects.discard(busy[0])
                    yield busy[0], Failed(kind="model", error=f"the program did not answer: {gone}")
                else:
                    suspects |= set(busy)
                    waiting.extendleft(reversed(busy))
                continue
            suspects.discard(index)
            yield index, output

    def _fill(self, requests: Sequence[Request], waiting: deque[int], due: dict[str, _Due], ahead: int) -> Iterator[tuple[int, Output]]:
        """Give the program what it may be given; a request whose picture cannot be had fails here."""
        while waiting and len(due) < ahead:
            index = waiting.popleft()
            try:
                paths = self._pictures.lend(requests[index])
            except InputError as error:
                yield index, Failed(kind="input", error=str(error))
                continue
            if not self._running:
                self._start()
            key = str(next(self._numbers))
            due[key] = _Due(index, paths)
            self._running[0].say(request_line(key, requests[index], paths))

    def _answer(self, requests: Sequence[Request], due: dict[str, _Due]) -> tuple[int, Output]:
        """Return the next answer to one of the requests that are due; other lines are passed over.

        Raises:
            Gone: the program ended or fell silent.
        """
        while True:
            line = self._running[0].hear(self._timeout_s)
            answer = _object(line)
            key = answer.get("key") if answer else None
            one = due.pop(str(key), None) if isinstance(key, (str, int)) else None
            if answer is None or one is None:
                self._pass_over(line)
                continue
            self._crashes = 0
            self._pictures.take_back(one.paths)
            try:
                return one.place, output_of(answer, requests[one.place])
            except Wrong as wrong:
                return one.place, Failed(kind="model", error=f"the program's answer is none: {wrong}")

    def _buried(self, said: str) -> None:
        """Count an end of the program.

        Raises:
            PluginError: it ends again and again.
        """
        self._running.clear()
        self._crashes += 1
        if self._crashes >= CRASHES:
            raise PluginError(
                f"the program was started {self._crashes} times without an answer: {said}", hint="try it by hand with one request"
            )

    def _start(self) -> None:
        """Start the program and hear what it is.

        Raises:
            PluginError: it ends, or says something else first.
        """
        pipe = Pipe(self._command, self._cwd)
        self._running.append(pipe)
        pipe.say(msgspec.json.encode({"type": "hello", "protocol": PROTOCOL, "options": self._options}) + b"\n")
        try:
            while (hello := _object(line := pipe.hear(self._load_s))) is None or "type" not in hello:
                self._pass_over(line)
        except Gone as gone:
            raise PluginError(f"the program said no hello: {gone}", hint="its first line is a hello: docs/subprocess.md") from None
        if hello["type"] == "error":
            refusal = msgspec.convert({name: hello.get(name, "") for name in ("message", "hint")}, Refusal)
            raise UsageError(f"the program refuses: {refusal.message}", hint=refusal.hint)
        try:
            self._hello = msgspec.convert(hello, Hello)
        except msgspec.ValidationError as error:
            raise PluginError(f"the program's hello is none: {error}", hint="docs/subprocess.md") from None
        self._check(hello["type"])

    def _check(self, kind: str) -> None:
        """Hold the program's hello against what the user said."""
        if kind != "hello" or self._hello.protocol != PROTOCOL:
            raise PluginError(f"the program speaks protocol {self._hello.protocol}, medbench {PROTOCOL}", hint="docs/subprocess.md")
        if self._hello.networked and not self._networked:
            raise UsageError("the program says that it sends data to another machine", hint="state it: --model-option networked=true")
        missing = [name for name in self._can if self._hello.can and name not in self._hello.can]
        if missing:
            raise UsageError(f"the program cannot {' and '.join(missing)}", hint=f"can={','.join(self._hello.can)}")

    def _pass_over(self, line: bytes) -> None:
        """Put a line that is no answer to the log: what a library prints does no harm."""
        self._stray += 1
        if self._stray > STRAY:
            raise PluginError(f"the program wrote {self._stray:,} lines that are no answers", hint="answers carry the key of their request")
        sys.stderr.write(line[:500].decode(errors="replace").rstrip() + "\n")


def _let_go(running: list[Pipe], pictures: Path) -> None:
    for pipe in running:
        pipe.end()
    shutil.rmtree(pictures, ignore_errors=True)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        made = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return made if isinstance(made, dict) else None


def _parsed(command: str) -> list[str]:
    """Return the words of a command.

    Raises:
        UsageError: a quote is not closed.
    """
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"subprocess: {error}", hint="quote as in a shell") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _digests(command: Sequence[str], cwd: str) -> str:
    """Return a digest of the files among a command's arguments: its script, above all; empty: there are none."""
    made = hashlib.sha256()
    found = False
    for word in command[1:] or command[:1]:
        path = Path(cwd) / word
        if path.is_file() and path.stat().st_size < 1 << 20:
            made.update(path.read_bytes())
            found = True
    return made.hexdigest()[:16] if found else ""
