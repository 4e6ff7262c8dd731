"""How fast 2,000 answers are judged by an endpoint that takes 100 ms a call, and how much memory that takes."""  # noqa: INP001 - run as a script, or loaded by its path

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medbench.testing.endpoint import Endpoint

CALLS = 2_000
LATENCY_S = 0.1
CONCURRENCY = 64
BAR = 1.5
GROWTH_MB = 40.0
REPLY = '{"why": "the same finding in other words", "level": 1}'


class Seen(NamedTuple):
    """One look at the endpoint and at the scoring process."""

    time: float
    answered: int
    in_flight: int
    memory_mb: float


def figures() -> Iterator[tuple[str, float, str, str, str, bool]]:
    """Yield the figures: time over the ideal after ramp-up, whole time, growth of memory while calls are answered."""
    with tempfile.TemporaryDirectory() as folder:
        seen, total = _judge(Path(folder))
    full = next((one for one in seen if one.in_flight >= CONCURRENCY), seen[0])
    last = next(one for one in seen if one.answered >= CALLS)
    ideal = (CALLS - full.answered) * LATENCY_S / CONCURRENCY
    over = (last.time - full.time) / ideal
    against = f"{CALLS:,} calls of {LATENCY_S * 1000:.0f} ms, {CONCURRENCY} at a time"
    yield "judge, time over the ideal after ramp-up", over, "x", against, f"<= {BAR}", over <= BAR
    yield "judge, the whole command", total, "s", f"ideal {CALLS * LATENCY_S / CONCURRENCY:.1f} s of calls", "", True
    quarter = next(one for one in seen if one.answered >= CALLS // 4)
    growth = last.memory_mb - quarter.memory_mb
    yield "judge, memory from 500 to 2,000 answers", growth, "MB", "resident", f"<= {GROWTH_MB:.0f}", growth <= GROWTH_MB


def _judge(folder: Path) -> tuple[list[Seen], float]:
    """Judge the answers in a process of its own and look on; return what was seen and the seconds it took."""
    _write_data(folder)
    with Endpoint(REPLY, latency_s=LATENCY_S) as endpoint:
        options = {"base_url": endpoint.url, "local": "true", "concurrency": CONCURRENCY}
        command = [
            sys.executable,
            "-m",
            "medbench",
            "score",
            "--task",
            "custom-vqa",
            "--data",
            str(folder),
            "--quiet",
            "--param",
            "reader.file=data.csv",
        ]
        command += ["--predictions", str(folder / "predictions.csv"), "--metric", "vqa-judge", "--judge", "openai:bench"]
        command += [part for name, value in options.items() for part in ("--judge-option", f"{name}={value}")]
        command += ["--runs-dir", str(folder / "runs")]
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "MEDBENCH_CACHE": str(folder / "cache")})  # noqa: S603 - this very interpreter
        seen = []
        while process.poll() is None:
            counts = endpoint.counts()
            seen.append(Seen(time.monotonic(), counts.get("answered", 0), counts.get("in_flight", 0), _memory(process.pid)))
            time.sleep(0.05)
        if process.returncode:
            raise RuntimeError(f"scoring ended with {process.returncode}")
        return seen, time.monotonic() - begun


def _memory(pid: int) -> float:
    """Return the resident memory of a process in MB; NaN where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), float("nan"))


def _write_data(folder: Path) -> None:
    """Write 2,000 questions about one picture, and answers to them."""
    from PIL import Image  # noqa: PLC0415 - the data's own need

    Image.new("L", (32, 32), 90).save(folder / "one.png")
    with (
        (folder / "data.csv").open("w", newline="", encoding="utf-8") as data,
        (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as predictions,
    ):
        questions, answers = csv.writer(data), csv.writer(predictions)
        questions.writerow(["id", "image", "question", "answer", "split"])
        answers.writerow(["id", "prediction"])
        for number in range(CALLS):
            questions.writerow(
                [f"q{number:04d}", "one.png", f"Which finding has number {number}?", f"finding {number} in the left lung", "test"]
            )
            answers.writerow([f"q{number:04d}", f"left-sided finding {number}"])


if __name__ == "__main__":
    for figure in figures():
        print(*figure)  # noqa: T201 - a bench prints
