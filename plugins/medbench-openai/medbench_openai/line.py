"""The connection to an endpoint: the SDK's client, its own retries switched off, in an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping
from itertools import cycle
from typing import Any

from medbench_openai.address import is_home
from medbench_openai.failures import Again

CONNECT_S = 20.0
CLOSING_S = 5.0
"""Longest time that is waited for connections to close, in seconds."""
POOLS = 16


class Line:
    """The connection to an endpoint: the SDK's client, in an event loop of a thread of its own.

    A thread, because the caller may have a loop that runs (a notebook), and because answers go on arriving while others are
    being stored.
    """

    def __init__(self, base_url: str, key: str, timeout_s: float, *, local: bool, concurrency: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="openai", daemon=True)
        self._thread.start()
        self._timeout_s = timeout_s
        self._clients = _clients(base_url, key, timeout_s, local=local, concurrency=concurrency)
        self._next = cycle(self._clients)

    def start(self, work: Any) -> Any:
        """Run a coroutine there; return its future."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def post(self, content: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Put one call; return status, headers and body.

        Raises:
            Again: there was no reply.
        """
        import httpx2  # noqa: PLC0415 - the SDK has loaded it
        import openai  # noqa: PLC0415 - it takes half a second to import

        options: Any = {"headers": {"content-type": "application/json"}, "follow_redirects": False}
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await next(self._next).post("/chat/completions", cast_to=httpx2.Response, content=content, options=options)
        except openai.APIStatusError as error:
            return error.status_code, error.response.headers, error.response.content
        except (TimeoutError, openai.APITimeoutError):
            raise Again(f"no answer within {self._timeout_s:g} s", overloaded=True) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__
            raise Again(f"the connection failed ({type(cause).__name__})", unreachable=isinstance(cause, httpx2.ConnectError)) from None
        return reply.status_code, reply.headers, reply.content

    def close(self) -> None:
        """Close all connections and end the thread; waits for it, unless this is the thread itself (it may collect garbage)."""
        if not self._loop.is_closed():
            self.start(self._closed())
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=CLOSING_S)

    async def _closed(self) -> None:
        for client in self._clients:
            with contextlib.suppress(Exception):
                await client.close()
        self._loop.stop()

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


def _clients(base_url: str, key: str, timeout_s: float, *, local: bool, concurrency: int) -> list[Any]:
    """Return several clients: a pool looks at all of its connections for each call, so small pools are quicker than a large one."""
    import httpx2  # noqa: PLC0415 - it comes with the SDK
    import openai  # noqa: PLC0415 - it takes half a second to import

    for name in ("openai", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)  # below, they would log what is sent
    secured = httpx2.create_ssl_context(trust_env=not local) if base_url.startswith("https:") else False

    def made() -> Any:
        client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=key or "none",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=httpx2.Timeout(timeout_s, connect=CONNECT_S),
                limits=httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
                follow_redirects=False,
                trust_env=not local,
                verify=secured,
            ),
        )
        if not is_home(base_url):
            client.organization = client.project = None  # the environment's, and OpenAI's business alone
        return client

    return [made() for _ in range(min(POOLS, concurrency))]
