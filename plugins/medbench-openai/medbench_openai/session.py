"""One window of requests under way: calls are started as the limiter allows, put again as they fail, handed over as they end."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from medbench.costs import Budget
from medbench.errors import InputError, MedbenchError, QuotaExhausted
from medbench.types import Failed, Generate, Output, Text
from medbench_openai.failures import Again, Settled, Throttled
from medbench_openai.limiter import Limiter

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""Before a call is put again: doubles from one try to the next."""
GIVEN_UP = 8
"""So many calls in a row that failed on every try are a broken endpoint, not hard samples."""

Call = Callable[[Generate], Any]
"""Puts one request to the endpoint once: a coroutine that gives a `Text`, or raises what `failures` knows."""


class Endpoint:
    """What is learnt about an endpoint over all windows: its pace, its health, what its answers cost.

    Args:
        address: For messages.
        limiter: How many calls may be in flight.
        budget: What may be spent.
        retries: How often a call that failed is put again.
        patience_s: Longest time that the endpoint may throttle every call, or ask to wait.
    """

    def __init__(self, address: str, limiter: Limiter, budget: Budget, retries: int, patience_s: float) -> None:
        self.address = address
        self.limiter = limiter
        self.budget = budget
        self.retries = retries
        self.patience_s = patience_s
        self.answered = 0
        self._given_up = 0
        self._throttled_since: float | None = None

    def good(self) -> None:
        """Note that the endpoint answered."""
        self.answered += 1
        self._given_up = 0
        self._throttled_since = None

    def throttled(self, now: float, wait_s: float | None) -> MedbenchError | None:
        """Note a throttled call; return why the run is to stop, if it is."""
        if self._throttled_since is None:
            self._throttled_since = now
        waited = now - self._throttled_since
        if waited + (wait_s or 0.0) <= self.patience_s:
            return None
        said = f"asks to wait {wait_s:,.0f} s" if wait_s and wait_s > self.patience_s else f"has throttled every call for {waited:,.0f} s"
        return QuotaExhausted(
            f"{self.address} {said}", hint="what was answered is kept; the same command goes on with it, patience_s=N waits longer"
        )

    def given_up(self, why: Again) -> MedbenchError | None:
        """Note a call that failed on every try; return why the run is to stop, if it is."""
        self._given_up += 1
        if why.unreachable and not self.answered:
            return MedbenchError(f"cannot reach {self.address}: {why.why}", hint="is it running, and is base_url right?")
        if self._given_up < max(GIVEN_UP, int(self.limiter.limit)):
            return None
        return MedbenchError(
            f"{self.address}: {self._given_up} calls in a row failed on every try: {why.why}",
            hint="what was answered is kept; the same command goes on with it",
        )


class Session:
    """A window of requests, put to an endpoint.

    Args:
        endpoint: What is known of the endpoint.
        requests: The window.
        call: Puts one request once.
        put: Takes (index, output) as soon as there is one.
    """

    def __init__(self, endpoint: Endpoint, requests: Sequence[Generate], call: Call, put: Callable[[tuple[int, Output]], None]) -> None:
        self._endpoint = endpoint
        self._requests = requests
        self._call = call
        self._put = put
        self._waiting = deque(range(len(requests)))
        self._later: list[tuple[float, int]] = []
        self._tries = dict.fromkeys(self._waiting, 0)
        self._running: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._stop: Exception | None = None

    async def run(self) -> None:
        """Hand over an output for every request; what is under way when the run must stop is still waited for.

        Raises:
            MedbenchError: a quota or the budget is used up, or the endpoint cannot be used as it is set up.
        """
        try:
            while self._running or (not self._stop and (self._waiting or self._later)):
                self._start()
                await self._next()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
        if self._stop:
            raise self._stop

    def _start(self) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._waiting.appendleft(heapq.heappop(self._later)[1])
        for _ in range(self._endpoint.limiter.free(now)):
            if self._stop or not self._waiting:
                return
            reserved = self._endpoint.budget.reserve(self._requests[self._waiting[0]])
            if reserved is None:
                # an answer under way may cost less than was set aside for it
                self._stop = None if self._running else self._endpoint.budget.exhausted()
                return
            task = asyncio.create_task(self._one(self._waiting.popleft(), reserved, self._endpoint.limiter.start()))
            self._running.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._ended.set()
        if not task.cancelled() and (error := task.exception()):
            self._stop = self._stop or (error if isinstance(error, Exception) else RuntimeError(repr(error)))

    async def _next(self) -> None:
        """Wait until a call ends, a pause is over, or a call is to be put again."""
        now = time.monotonic()
        times = [at for at in (self._endpoint.limiter.resumes_at, *(at for at, _ in self._later[:1])) if at > now]
        self._ended.clear()
        if not self._running and not times:
            return
        try:
            async with asyncio.timeout(min(times) - now if times else None):
                await self._ended.wait()
        except TimeoutError:
            return

    async def _one(self, index: int, reserved: float, era: int) -> None:
        """Put one request once, and say what is to become of it."""
        limiter, begun, spent = self._endpoint.limiter, time.monotonic(), None
        try:
            output = await self._call(self._requests[index])
        except Throttled as throttled:
            limiter.throttled(era, time.monotonic(), throttled.wait_s)
            self._stop = self._stop or self._endpoint.throttled(time.monotonic(), throttled.wait_s)
            self._waiting.appendleft(index)
        except Again as again:
            if again.overloaded:
                limiter.throttled(era, time.monotonic(), again.wait_s)
            else:
                limiter.gone()
            self._again(index, again)
        except Settled as settled:
            limiter.answered(era)
            self._endpoint.good()
            self._put((index, settled.output))
        except InputError as error:
            limiter.gone()
            self._put((index, Failed(kind="input", error=str(error))))
        except BaseException:
            limiter.gone()
            raise
        else:
            limiter.answered(era)
            self._endpoint.good()
            spent = output.usage
            self._put((index, self._timed(output, index, begun)))
        finally:
            self._endpoint.budget.settle(self._requests[index], reserved, spent)

    def _again(self, index: int, again: Again) -> None:
        self._tries[index] += 1
        tries = self._tries[index]
        if tries <= self._endpoint.retries and not self._stop:
            wait_s = again.wait_s if again.wait_s is not None else min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (tries - 1))
            heapq.heappush(self._later, (time.monotonic() + min(wait_s, self._endpoint.patience_s), index))
            return
        self._stop = self._stop or self._endpoint.given_up(again)
        if not self._stop:
            said = f"{again.why} ({tries} tries)" if tries > 1 else again.why
            self._put((index, Failed(kind="transient", error=said)))

    def _timed(self, output: Text, index: int, begun: float) -> Text:
        extra = {"latency_ms": round(1000 * (time.monotonic() - begun)), **({"retries": self._tries[index]} if self._tries[index] else {})}
        return msgspec.structs.replace(output, usage={**output.usage, **extra})
