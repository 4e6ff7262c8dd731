"""How fast calls go: 2,000 of them, stored as they arrive, against the time that the endpoint itself takes."""  # noqa: INP001 - run as a script, or loaded by its path

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from medbench_openai import CARD

from medbench.answering import Answered, ask
from medbench.builtin.executors.local import LocalExecutor
from medbench.events import Progress
from medbench.plan import ModelPlan
from medbench.store import Store
from medbench.testing.endpoint import Endpoint
from medbench.types import Failed, Generate

CALLS = 2_000
LATENCY_S = 0.1
CONCURRENCY = 64
TIMES = 3
LONG = 8_000
"""Calls of the run whose memory is measured."""


class Figure(NamedTuple):
    """One measured figure and the bar it is held to."""

    name: str
    value: float
    unit: str
    against: str
    bar: float
    ok: bool


class _Timed(NamedTuple):
    seconds: float
    """From the answer with which the ramp-up ended to the last one."""
    answers: int
    failed: int


def figures() -> Iterator[Figure]:
    """Yield each figure as it is measured; all of it takes about a minute."""
    with Endpoint("a short answer", latency_s=LATENCY_S) as endpoint:
        timed = min((_run(endpoint, CALLS) for _ in range(TIMES)), key=lambda one: one.seconds / one.answers)
        ideal = timed.answers / CONCURRENCY * LATENCY_S
        ratio = timed.seconds / ideal
        name = f"{CALLS:,} calls at {1000 * LATENCY_S:.0f} ms, {CONCURRENCY} at once, stored"
        yield Figure(name, ratio, "x ideal", f"{ideal:.2f} s for {timed.answers:,} after ramp-up", 1.5, ratio <= 1.5 and not timed.failed)
    with Endpoint("a short answer", latency_s=LATENCY_S / 10, script=[{"do": "throttle", "above": 24, "retry_after": "0.1"}]) as endpoint:
        throttled = _run(endpoint, CALLS)
        counts = endpoint.counts()
        share = counts["throttle"] / counts["calls"]
        ok = not throttled.failed and share <= 0.1
        yield Figure("calls refused by an endpoint that bears 24 at once", share, "of calls", "none of them a failed sample", 0.1, ok)
    with Endpoint("a short answer") as endpoint:
        _run(endpoint, CALLS)
        before = _memory_mib()
        _run(endpoint, LONG)
        grown = _memory_mib() - before
        yield Figure(f"memory grown by {LONG:,} further calls", grown, "MiB", f"{CALLS:,} calls before", 40.0, grown <= 40.0)


def _run(endpoint: Endpoint, count: int) -> _Timed:
    options = {"name": "tiny", "base_url": endpoint.url, "local": True, "concurrency": CONCURRENCY}
    model = ModelPlan(name="openai:tiny", card=CARD, options=options, batch_size=CARD.batch_size)
    requests = [Generate(prompt=f"question {number}") for number in range(count)]
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        return _timed(ask(model, "bench", options, requests, LocalExecutor(), store), count)


def _timed(events: Iterator[object], count: int) -> _Timed:
    """Time the answers after as many as are given while the number of calls in flight still grows: 8, 16, 32."""
    ramp = CONCURRENCY - 8
    begun, begun_at, failed = time.perf_counter(), 0, 0
    for event in events:
        if isinstance(event, Progress) and event.stage == "predict":
            failed = event.failed
            if event.done == ramp:
                begun, begun_at = time.perf_counter(), event.done
        if isinstance(event, Answered):
            _require(event, count)
    return _Timed(time.perf_counter() - begun, count - begun_at, failed)


def _require(answered: Answered, count: int) -> None:
    outputs: Sequence[object] = [answered.outputs[Generate(prompt=f"question {number}")] for number in range(count)]
    if any(isinstance(output, Failed) for output in outputs) or not answered.complete:
        raise RuntimeError("a call was not answered: the figure would say nothing")


def _memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print every figure."""
    for figure in figures():
        mark = "ok  " if figure.ok else "MISS"
        print(f"{mark} {figure.name}: {figure.value:,.3g} {figure.unit} (bar {figure.bar:,g}; {figure.against})", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
