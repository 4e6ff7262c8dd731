"""The process behind `Endpoint`: a small HTTP server that speaks the chat-completions protocol and misbehaves as scripted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import importlib.util
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

Body = dict[str, Any]
Reply = tuple[int, dict[str, str], bytes]


class Hangup(Exception):  # noqa: N818 - an event, not a fault
    """The connection is to be closed, after these bytes."""

    def __init__(self, last: bytes = b"") -> None:
        super().__init__()
        self.last = last


class Server:
    """Answers calls by a script and counts them.

    Args:
        config: What `Endpoint` was built from, as plain data.
    """

    def __init__(self, config: Body) -> None:
        self.config = config
        self.counts: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.rules: list[Body] = [dict(rule) for rule in config["script"]]
        self.used: Counter[tuple[int, str]] = Counter()
        self.kept: list[Body] = []
        self.in_flight = 0
        self.began = time.monotonic()
        self._answer = answering(config["answer"])

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side closes it."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                while await self._exchange(reader, writer):
                    pass
            except Hangup as hangup:
                writer.write(hangup.last)
                await writer.drain()
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except asyncio.IncompleteReadError:
            return False
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        if method == "GET":
            await self._send(writer, self._told(path))
            return True
        body = json.loads(raw)
        fingerprint = hashlib.sha256(json.dumps(body.get("messages"), sort_keys=True).encode()).hexdigest()[:16]
        self.in_flight += 1
        self.counts["calls"] += 1
        self.counts["most_in_flight"] = max(self.counts["most_in_flight"], self.in_flight)
        try:
            if self.config["keep"]:
                sent = {name: value for name, value in headers.items() if name != "authorization"}
                self.kept.append({"body": body, "headers": sent, "key": headers.get("authorization", "").removeprefix("Bearer ")})
            reply, good = await self._reply(body, fingerprint)
            await self._send(writer, reply)
            self.answered[fingerprint] += good
            self.counts["answered"] += good
        finally:
            self.in_flight -= 1
        return True

    async def _send(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        status, headers, content = reply
        lines = [f"HTTP/1.1 {status} Scripted", f"content-length: {len(content)}", *(f"{k}: {v}" for k, v in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()

    def _told(self, path: str) -> Reply:
        """Return what the side that owns the server asks about it."""
        if path == "/calls":
            return as_json(200, self.kept)
        return as_json(200, {**self.counts, "in_flight": self.in_flight, "repeated": sum(max(0, n - 1) for n in self.answered.values())})

    async def _reply(self, body: Body, fingerprint: str) -> tuple[Reply, int]:
        text = prompt_of(body)
        rule = next((rule for number, rule in enumerate(self.rules) if self._applies(number, rule, text, fingerprint)), None)
        if rule is not None:
            self.counts[rule["do"]] += 1
            await asyncio.sleep(rule.get("wait_s", 0.0))
            made = await MISBEHAVIOURS[rule["do"]](self, rule, body)
            if made is not None:
                return made, int(rule["do"] in PAID)
        await asyncio.sleep(self.config["latency_s"])
        return as_json(200, completion(body, self._answer(body))), 1

    def _applies(self, number: int, rule: Body, text: str, fingerprint: str) -> bool:
        """Say whether a rule is for this call; every condition that it states must hold."""
        whose = fingerprint if rule.get("each") else ""
        holds = (
            rule.get("matches", "") in text
            and self.counts["calls"] > rule.get("from_call", 0)
            and self.counts["calls"] % rule.get("every", 1) == 0
            and self.in_flight > rule.get("above", 0)
            and self.counts["answered"] >= rule.get("after", 0)
            and self.used[number, whose] < rule.get("times", float("inf"))
        )
        if holds:
            self.used[number, whose] += 1
        return holds


def as_json(status: int, value: Any, headers: dict[str, str] | None = None) -> Reply:
    """Return a response with a JSON body."""
    return status, {"content-type": "application/json", **(headers or {})}, json.dumps(value).encode()


def fault(status: int, message: str, code: str, kind: str = "", headers: dict[str, str] | None = None) -> Reply:
    """Return an error as OpenAI words it."""
    return as_json(status, {"error": {"message": message, "type": kind or code, "param": None, "code": code}}, headers)


def prompt_of(body: Body) -> str:
    """Return all text of a call's messages."""
    parts: list[str] = []
    for message in body.get("messages", []):
        content = message["content"]
        parts += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    return "\n".join(parts)


def completion(body: Body, made: Body) -> Body:
    """Return the body of a good answer: `made` holds `text`, and maybe `finish_reason`, `refusal`, `logprobs`."""
    text = made["text"]
    n_images = sum(part.get("type") == "image_url" for m in body["messages"] if isinstance(m["content"], list) for part in m["content"])
    used = {"prompt_tokens": -(-len(prompt_of(body)) // 4) + 85 * n_images, "completion_tokens": -(-len(text) // 4)}
    choice: Body = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": made.get("refusal")},
        "finish_reason": made.get("finish_reason", "stop"),
    }
    if body.get("logprobs"):
        choice["logprobs"] = {"content": made.get("logprobs") or [certain(token) for token in re.findall(r"\s*\S+", text)]}
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model"),
        "choices": [choice],
        "usage": {**used, "total_tokens": sum(used.values())},
    }


def certain(token: str) -> Body:
    """Return the log-probabilities of a token that had no rival."""
    return {"token": token, "logprob": -0.01, "top_logprobs": [{"token": token, "logprob": -0.01}]}


def answering(spec: Any) -> Callable[[Body], Body]:
    """Return what answers a call: a text, a dict, or `module:function` / `FILE.py:function` that gives either from the body."""
    if isinstance(spec, dict):
        return lambda _: spec
    found = re.fullmatch(r"(?P<where>[\w./-]+):(?P<name>\w+)", spec)
    if not found:
        return lambda _: {"text": spec}
    function = getattr(_module(found["where"]), found["name"])

    def answer(body: Body) -> Body:
        made = function(body)
        return made if isinstance(made, dict) else {"text": made}

    return answer


def _module(where: str) -> Any:
    if not where.endswith(".py"):
        return importlib.import_module(where)
    spec = importlib.util.spec_from_file_location(Path(where).stem, where)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def _throttle(server: Server, rule: Body, body: Body) -> Reply | None:
    del server, body
    headers = {"retry-after": str(rule["retry_after"])} if "retry_after" in rule else {}
    return fault(429, "Rate limit reached", "rate_limit_exceeded", "requests", headers)


async def _quota(server: Server, rule: Body, body: Body) -> Reply | None:
    del server, rule, body
    return fault(429, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota")


async def _error(server: Server, rule: Body, body: Body) -> Reply | None:
    del server, body
    headers = {"retry-after": str(rule["retry_after"])} if "retry_after" in rule else {}
    return fault(rule.get("status", 500), rule.get("message", "scripted"), rule.get("code", "scripted"), headers=headers)


async def _stall(server: Server, rule: Body, body: Body) -> Reply | None:
    del server, body
    await asyncio.sleep(rule.get("seconds", 3600.0))
    raise Hangup


async def _drop(server: Server, rule: Body, body: Body) -> Reply | None:
    del server, body
    raise Hangup(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{" if rule.get("midway") else b"")


async def _garbage(server: Server, rule: Body, body: Body) -> Reply | None:
    del server, body
    return 200, {"content-type": rule.get("content_type", "application/json")}, rule.get("content", '{"choices": [{"mess').encode()


async def _filter(server: Server, rule: Body, body: Body) -> Reply | None:
    del server
    if rule.get("status"):
        return fault(rule["status"], "The response was filtered due to the prompt.", "content_filter")
    return as_json(200, completion(body, {"text": "", "finish_reason": "content_filter"}))


async def _refuse(server: Server, rule: Body, body: Body) -> Reply | None:
    del server
    return as_json(200, completion(body, {"text": "", "refusal": rule.get("text", "I cannot help with that.")}))


async def _wait(server: Server, rule: Body, body: Body) -> Reply | None:
    """Only what `wait_s` says; the call is answered afterwards."""
    del server, rule, body
    return None


MISBEHAVIOURS = {
    "throttle": _throttle,
    "quota": _quota,
    "error": _error,
    "stall": _stall,
    "drop": _drop,
    "garbage": _garbage,
    "filter": _filter,
    "refuse": _refuse,
    "wait": _wait,
}
"""What a rule's `do` may be."""
PAID = {"refuse", "filter", "garbage"}
"""Those that an endpoint charges for."""


async def main() -> None:
    """Read the configuration from stdin, print the port, and serve until stdin is closed."""
    config = json.loads(sys.stdin.readline())
    sys.path[:] = [*sys.path, *config["path"]]
    served = await asyncio.start_server(Server(config).connected, "127.0.0.1", config["port"], limit=1 << 20, backlog=1024)
    print(served.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the one line that the parent reads
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    await ended.wait()
    served.close()


if __name__ == "__main__":
    asyncio.run(main())
