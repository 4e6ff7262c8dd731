"""Putting one window of requests to a loaded model: the one place where a model's methods are called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from medbench.errors import InputError, MedbenchError, OutOfMemory, PluginError, TransientError
from medbench.types import (
    Answer,
    Asked,
    Classify,
    Embed,
    Failed,
    Generate,
    Ground,
    HeatMap,
    Output,
    Picture,
    Probabilities,
    Request,
    Synthesize,
    Text,
    Vector,
)

METHODS: dict[type[Any], tuple[str, type[Any]]] = {
    Generate: ("generate", Text),
    Classify: ("classify", Probabilities),
    Embed: ("embed", Vector),
    Synthesize: ("synthesize", Picture),
    Ground: ("ground", HeatMap),
}
"""Request type -> the method that answers it and the type of the answer."""

FIRST_FAILURES = 8
"""So many requests failing in the same way before a single answer is a broken model, not hard samples."""


class Conversation:
    """A loaded model and what was learnt about it while asking: how much fits, whether it ever answered."""

    def __init__(self, model: Any, name: str) -> None:
        self.model = model
        self.name = name
        self.largest: int | None = None
        """The largest window that fitted, once one did not."""
        self._answered = False
        self._broken: list[str] = []

    def facts(self) -> dict[str, Any]:
        """Return the facts that the model states after loading, as plain data.

        Raises:
            PluginError: one of them is no plain data.
        """
        facts = self.model.facts() if hasattr(self.model, "facts") else {}
        try:
            plain: dict[str, Any] = msgspec.to_builtins(dict(facts), enc_hook=_plain)
        except TypeError as error:
            raise PluginError(f"{self.name}: its facts are not plain data: {error}") from None
        return plain

    def ask(self, window: Sequence[Asked]) -> Iterator[Answer]:
        """Yield an answer for each request of the window, in any order.

        A window that does not fit is halved, and the size that fits is remembered. A window that raises is halved down to
        the request at fault, which becomes `Failed`; what was answered before it raised is kept.

        Raises:
            PluginError: the model broke its interface, or fails on everything it is asked.
        """
        held: list[Answer] = []
        for answer in self._answers(window):
            if self._is_doubtful(answer):
                held.append(answer)
                continue
            yield from held
            held.clear()
            yield answer
        yield from held

    def _is_doubtful(self, answer: Answer) -> bool:
        """Say whether an answer may be the fault of the model's set-up: it failed before the model ever answered.

        Such failures are held back until it answers or the window ends: those of a broken set-up must not be kept, or they
        would stand for the requests once it is mended.
        """
        output = answer.output
        if not isinstance(output, Failed):
            self._answered = True
        if self._answered or not isinstance(output, Failed) or output.kind != "model":
            return False
        self._broken.append(output.error)
        if len(self._broken) >= FIRST_FAILURES and len(set(self._broken)) == 1:
            raise PluginError(
                f"{self.name}: the first {len(self._broken)} requests all failed: {output.error}",
                hint="nothing was answered before; is the model set up as its page says? (medbench show model)",
            )
        return True

    def _answers(self, window: Sequence[Asked]) -> Iterator[Answer]:
        queue = [list(part) for part in _by_type(window)]
        while queue:
            part = queue.pop(0)
            if self.largest and len(part) > self.largest:
                queue[:0] = [part[at : at + self.largest] for at in range(0, len(part), self.largest)]
                continue
            unanswered = dict(enumerate(part))
            try:
                for index, output in self._replies([asked.request for asked in part]):
                    if index not in unanswered:
                        raise PluginError(f"{self.name}: answered request {index} of a window of {len(part)} twice or out of range")
                    yield Answer(key=unanswered.pop(index).key, output=output)
                if unanswered:
                    raise PluginError(
                        f"{self.name}: gave {len(part) - len(unanswered)} outputs for {len(part)} requests",
                        hint="a method returns one output per request, in order, or yields (index, output)",
                    )
            except OutOfMemory as error:
                self.largest = max(1, len(unanswered) // 2)
                yield from self._split(unanswered, queue, error)
            except MedbenchError:
                raise
            except Exception as error:  # noqa: BLE001 - a stranger's code: whatever it raises belongs to the request at fault
                yield from self._split(unanswered, queue, error)

    def _replies(self, requests: list[Request]) -> Iterator[tuple[int, Output]]:
        name, expected = METHODS[type(requests[0])]
        method = getattr(self.model, name, None)
        if method is None:
            raise PluginError(f"{self.name}: its card says it can {name}, its class has no such method")
        for position, reply in enumerate(method(requests)):
            index, output = reply if isinstance(reply, tuple) else (position, reply)
            if not isinstance(output, (expected, Failed)):
                raise PluginError(f"{self.name}: {name} gave {type(output).__name__}, not {expected.__name__} or Failed")
            yield index, output

    def _split(self, unanswered: Mapping[int, Asked], queue: list[list[Asked]], error: Exception) -> Iterator[Answer]:
        left = list(unanswered.values())
        if len(left) > 1:
            half = (len(left) + 1) // 2
            queue[:0] = [left[:half], left[half:]]
        elif left:
            yield Answer(key=left[0].key, output=failure(error))


def failure(error: Exception) -> Failed:
    """Return what stands for the output of a request that raised."""
    if isinstance(error, InputError):
        return Failed(kind="input", error=str(error))
    kind: Literal["transient", "model"] = "transient" if isinstance(error, TransientError) else "model"
    message = " ".join(str(error).split())
    return Failed(kind=kind, error=f"{type(error).__name__}: {message}" if message else type(error).__name__)


def _plain(value: Any) -> Any:
    """Return as plain data what is nearly so: a library's own kind of text (versions), a number of one element, a path."""
    if isinstance(value, (str, os.PathLike)):
        return str(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} {value!r:.60}")


def _by_type(window: Sequence[Asked]) -> list[list[Asked]]:
    """Part a window by request type, keeping the order: a method gets requests of its own type only."""
    parts: dict[type[Any], list[Asked]] = {}
    for asked in window:
        parts.setdefault(type(asked.request), []).append(asked)
    return list(parts.values())
