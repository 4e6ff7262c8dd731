"""Models for tests: an object that answers from a queue, one that repeats, one that fails on demand."""

from __future__ import annotations

import hashlib
import os
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.errors import OutOfMemory, TransientError
from medbench.files import write_whole
from medbench.interfaces import Example, FitEvents
from medbench.types import (
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


class FakeModel:
    """A model object with every capability: answers from `queue` while there is something in it, else by `answer`.

    An exception in the queue is raised when its turn comes; what stood before it is answered. `history` holds every request
    in the order in which it was answered, `windows` the number of requests of each call.

    Args:
        answer: The text of every answer, or a function from request to output. The default answers are valid outputs of
            each request's type that follow from its content alone.
        identity: Outputs are shared between runs of models with one identity.
        name: What tables call it.
        batch_size: A window has 16 times as many requests.
        networked: Whether it claims to send what it is given to another machine.
        facts: What it states after loading.

    >>> model = FakeModel("no")
    >>> model.queue.append(Text(text="yes"))
    >>> [output.text for output in model.generate([Generate(prompt="a"), Generate(prompt="b")])]
    ['yes', 'no']
    >>> [request.prompt for request in model.history]
    ['a', 'b']
    """

    def __init__(
        self,
        answer: str | Callable[[Request], Output] | None = None,
        *,
        identity: str = "fake-model",
        name: str = "fake",
        batch_size: int = 8,
        networked: bool = False,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.answer: Callable[[Request], Output] = answer if callable(answer) else lambda request: _default(request, answer)
        self.identity = identity
        self.name = name
        self.batch_size = batch_size
        self.networked = networked
        self.queue: deque[Output | Exception] = deque()
        self.history: list[Request] = []
        self.windows: list[int] = []
        self._facts = facts or {}

    def facts(self) -> dict[str, Any]:
        """Return the facts that it was given."""
        return self._facts

    def generate(self, requests: Sequence[Generate]) -> Iterator[Output]:
        """Yield an output for each request."""
        return self._replies(requests)

    def classify(self, requests: Sequence[Classify]) -> Iterator[Output]:
        """Yield an output for each request."""
        return self._replies(requests)

    def embed(self, requests: Sequence[Embed]) -> Iterator[Output]:
        """Yield an output for each request."""
        return self._replies(requests)

    def synthesize(self, requests: Sequence[Synthesize]) -> Iterator[Output]:
        """Yield an output for each request."""
        return self._replies(requests)

    def ground(self, requests: Sequence[Ground]) -> Iterator[Output]:
        """Yield an output for each request."""
        return self._replies(requests)

    def _replies(self, requests: Sequence[Request]) -> Iterator[Output]:
        self.windows.append(len(requests))
        for request in requests:
            given = self.queue.popleft() if self.queue else self.answer(request)
            if isinstance(given, Exception):
                raise given
            self.history.append(request)
            yield given


def _default(request: Request, text: str | None) -> Output:
    """Return a valid output of the type that a request asks for."""
    if isinstance(request, Generate):
        return Text(text=_last_word(request.prompt) if text is None else text, finish_reason="stop")
    noise = hashlib.sha256(repr(request).encode()).digest()
    if isinstance(request, Classify):
        return Probabilities(labels=request.labels, values=tuple(byte / 255 for byte in noise[: len(request.labels)]))
    if isinstance(request, Embed):
        return Vector(data=struct.pack("<8f", *((byte - 127.5) / 127.5 for byte in noise[:8])))
    if isinstance(request, Ground):
        return HeatMap(rows=2, columns=2, grid=tuple(byte / 255 for byte in noise[:4]), box=(0.0, 0.0, 8.0, 8.0))
    return Picture(data=_picture(noise[0]), width=8, height=8)


def _picture(grey: int) -> bytes:
    import io  # noqa: PLC0415 - with Pillow, which a test without pictures does without

    from PIL import Image as Pil  # noqa: PLC0415

    buffer = io.BytesIO()
    Pil.new("L", (8, 8), grey).save(buffer, format="PNG")
    return buffer.getvalue()


def _last_word(prompt: str) -> str:
    return prompt.rsplit(maxsplit=1)[-1] if prompt.split() else ""


class Echo:
    """Answers with the last word of the prompt.

    Args:
        suffix: Stands behind every answer.
        adapter: A folder; what its `suffix.txt` holds stands behind every answer too.
        device: Changes nothing.
    """

    def __init__(self, *, suffix: str = "", adapter: str = "", device: str = "cpu") -> None:
        self._device = device
        self._suffix = suffix + ((Path(adapter) / "suffix.txt").read_text(encoding="utf-8") if adapter else "")

    def facts(self) -> dict[str, Any]:
        """Return where it pretends to run."""
        return {"device": self._device}

    def generate(self, requests: Sequence[Generate]) -> list[Text]:
        """Return one answer per request, in order."""
        return [Text(text=_last_word(request.prompt) + self._suffix, finish_reason="stop") for request in requests]


class Learner:
    """Learns its examples by heart, and answers nothing where it has learnt nothing.

    Args:
        weights: Folder that `fit` left; empty: untrained.
    """

    def __init__(self, *, weights: str = "") -> None:
        self._known: dict[str, str] = {}
        if weights:
            self._known = msgspec.json.decode((Path(weights) / "known.json").read_bytes(), type=dict[str, str])

    def facts(self) -> dict[str, Any]:
        """Return how much it knows."""
        return {"known": len(self._known), "untrained": not self._known}

    def generate(self, requests: Sequence[Generate]) -> list[Text]:
        """Return one answer per request, in order."""
        return [Text(text=self._known.get(request.prompt, ""), finish_reason="stop") for request in requests]

    def fit(
        self, examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int, events: FitEvents | None
    ) -> dict[str, Any]:
        """Write down prompt and answer of every example; tell how many of the validation prompts are known."""
        for step, (request, target) in enumerate(examples, 1):
            assert isinstance(request, Generate)
            assert isinstance(target, Text)
            self._known[request.prompt] = target.text
            if events:
                events({"step": step, "steps": len(examples), "loss": 1.0 / step})
        known = sum(isinstance(request, Generate) and request.prompt in self._known for request, _ in validation)
        if events:
            events({"step": len(examples), "steps": len(examples), "known": known})
        write_whole(out / "known.json", msgspec.json.encode(self._known, order="deterministic"))
        return {"n_known": len(self._known), "n_validation": len(validation), "seed": seed}


class Faulty(Echo):
    """Answers as `Echo` does, and fails where the prompt holds a given text; an empty text is in no prompt.

    Args:
        crash_on: End the process with a segmentation fault.
        hang_on: Never answer.
        raise_on: Raise `RuntimeError`.
        reject_on: Give `Failed(kind="input")`.
        transient_on: Raise `TransientError`.
        noise: Print this to stdout before every answer, by Python and past it.
        fits: Raise `OutOfMemory` for a window of more requests; 0: all windows fit.
        slow_s: Seconds to wait before every answer.
        broken: Raise `ValueError` when it is built.
    """

    def __init__(
        self,
        *,
        crash_on: str = "",
        hang_on: str = "",
        raise_on: str = "",
        reject_on: str = "",
        transient_on: str = "",
        noise: str = "",
        fits: int = 0,
        slow_s: float = 0.0,
        broken: bool = False,
    ) -> None:
        super().__init__()
        if broken:
            raise ValueError("told to be broken")
        self._crash_on, self._hang_on, self._raise_on = crash_on, hang_on, raise_on
        self._reject_on, self._transient_on = reject_on, transient_on
        self._noise, self._fits, self._slow_s = noise, fits, slow_s

    def generate(self, requests: Sequence[Generate]) -> Iterator[Output]:  # type: ignore[override]  # yields as it goes
        """Yield one answer per request, in order."""
        if self._fits and len(requests) > self._fits:
            raise OutOfMemory(f"{len(requests)} requests")
        for request in requests:
            yield self._answer(request)

    def _answer(self, request: Generate) -> Output:
        if self._noise:
            sys.stdout.write(self._noise)
            sys.stdout.flush()
            os.write(1, self._noise.encode())
        time.sleep(self._slow_s)
        if _holds(request, self._crash_on):
            os.kill(os.getpid(), signal.SIGSEGV)
        while _holds(request, self._hang_on):
            time.sleep(60)
        if _holds(request, self._raise_on):
            raise RuntimeError(f"told to raise on {self._raise_on}")
        if _holds(request, self._transient_on):
            raise TransientError("told to try later")
        if _holds(request, self._reject_on):
            return Failed(kind="input", error=f"told to reject {self._reject_on}")
        return super().generate([request])[0]


def _holds(request: Generate, text: str) -> bool:
    return bool(text) and text in request.prompt
