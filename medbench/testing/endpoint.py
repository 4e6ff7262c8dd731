"""A loopback endpoint for tests: speaks the chat-completions protocol, misbehaves as told, counts what it was asked."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from medbench.testing import endpoint_server


class Endpoint:
    """A real HTTP server in a process of its own, on 127.0.0.1. Use as a context manager; it ends with this process too.

    Each rule of the script is a dict with `do` and conditions. The first rule whose conditions all hold decides a call;
    where none does, the call is answered. `do` is one of

    * `throttle`: 429, with `retry_after` (seconds, or an HTTP date) in its header; `quota`: 429 `insufficient_quota`;
    * `error`: `status` (500), with `code`, `message`, `retry_after`;
    * `stall`: no answer for `seconds` (an hour), then the connection is closed;
    * `drop`: the connection is closed without an answer, or in the middle of one (`midway: true`);
    * `garbage`: status 200 with `content` that is no completion;
    * `refuse`: an answer with `refusal`; `filter`: finish reason `content_filter`, or an error with `status`;
    * `wait`: the call is answered, `wait_s` later (which any rule may state).

    Conditions: `matches` (a text in the prompt), `times` (applies so often, with `each: true` for each prompt), `every` (each
    so-many-th call), `from_call` (once so many calls came), `after` (once so many were answered), `above` (more than so many
    calls are in flight).

    Args:
        answer: The reply to every call: a text; a dict with `text`, `finish_reason`, `refusal`, `logprobs`; or
            `module:function`, `FILE.py:function`, which gets a call's body and gives either.
        latency_s: Seconds before an answer.
        script: Rules, in order.
        keep: Keep every call for `calls()`.
        port: 0: a free one.

    >>> with Endpoint("yes") as endpoint:
    ...     endpoint.counts()["calls"]
    0
    """

    def __init__(
        self,
        answer: str | dict[str, Any] = "yes",
        *,
        latency_s: float = 0.0,
        script: Sequence[dict[str, Any]] = (),
        keep: bool = False,
        port: int = 0,
    ) -> None:
        unknown = [rule["do"] for rule in script if rule["do"] not in endpoint_server.MISBEHAVIOURS]
        if unknown:
            raise ValueError(f"no misbehaviour named {unknown[0]}; known: {', '.join(endpoint_server.MISBEHAVIOURS)}")
        self._config = {"answer": answer, "latency_s": latency_s, "script": list(script), "keep": keep, "port": port, "path": sys.path}
        self._process: subprocess.Popen[str] | None = None
        self.port = port

    def __enter__(self) -> Self:
        command = [sys.executable, "-P", str(Path(endpoint_server.__file__))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this very interpreter
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(self._config) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError("the endpoint did not start; its reason is above")
        self.port = int(line)
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.communicate()

    @property
    def url(self) -> str:
        """The base URL, as a client wants it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def counts(self) -> dict[str, int]:
        """Return `calls`, `answered`, `repeated` (answered again), `in_flight`, `most_in_flight`, and calls by misbehaviour.

        An answer counts once it was handed to the network in whole.
        """
        told: dict[str, int] = {"calls": 0, "answered": 0, "most_in_flight": 0, **self._get("/counts")}
        return told

    def calls(self) -> list[dict[str, Any]]:
        """Return every call so far: `body`, `headers` (without the key) and `key`; only with `keep`."""
        told: list[dict[str, Any]] = self._get("/calls")
        return told

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as reply:
            return json.load(reply)
