"""How long `medbench score` takes on ten thousand reports, from the shell to the printed table, with intervals."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REPORTS = 10_000
FAST = ("bleu", "rouge-l", "cider", "exact-match", "token-f1")
MEGABYTES = 600.0

Figure = tuple[str, float, str, str, str, bool]


def figures() -> Iterator[Figure]:
    """Yield wall time and memory of scoring, without and with METEOR: the best of several calls, the first of which warms caches."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        _write(home)
        for name, metrics, bar, calls in (("five metrics", FAST, 3.0, 4), ("five and METEOR", (*FAST, "meteor"), 15.0, 3)):
            seconds, megabytes = min(_score(home, metrics, f"call{number}") for number in range(calls))
            yield f"score, {REPORTS:,} reports, {name}", seconds, "s", "shell to table, 1,000 resamples", f"<= {bar:g}", seconds <= bar
            yield f"memory of that, {name}", megabytes, "MB", "the Python process", f"<= {MEGABYTES:g}", megabytes <= MEGABYTES


def _write(home: Path) -> None:
    """Write a dataset in the R2Gen layout and predictions for it; its pictures are not needed to score."""
    from medbench_lexical.synthetic import reports

    references, predictions = reports(REPORTS, 7)
    data = home / "data"
    (data / "images").mkdir(parents=True)
    items = [
        {"id": f"CXR{n}_IM-{n:05}", "report": text, "image_path": [f"CXR{n}_IM-{n:05}/0.png"], "split": "test"}
        for n, text in enumerate(references, 1)
    ]
    (data / "annotation.json").write_text(json.dumps({"train": [], "val": [], "test": items}))
    with (home / "predictions.jsonl").open("w") as file:
        for item, text in zip(items, predictions, strict=True):
            file.write(json.dumps({"id": item["id"], "prediction": text}) + "\n")


def _score(home: Path, metrics: tuple[str, ...], runs: str) -> tuple[float, float]:
    """Score into a runs folder of its own, so that no rows are there, and return (seconds, megabytes)."""
    command = [str(Path(sys.executable).parent / "medbench"), "score", "--task", "iuxray-mrg", "--data", str(home / "data")]
    command += ["--predictions", str(home / "predictions.jsonl"), "--metric", ",".join(metrics)]
    command += ["--runs-dir", str(home / f"{runs}-{len(metrics)}"), "--quiet"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    assert status == 0, f"{' '.join(command)} ended with {status}"
    return seconds, _megabytes(usage)


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024
