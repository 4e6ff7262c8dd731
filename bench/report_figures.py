"""How long the report of a large run takes and how large it is, and what comparing two such runs costs."""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SAMPLES = 100_000
GROUPS = 5_000
SECONDS = 20.0
MEGABYTES = 10.0
COMPARE_SECONDS = 30.0

Figure = tuple[str, float, str, str, str, bool]


def figures() -> Iterator[Figure]:
    """Yield the figures of reports and comparisons."""
    from medbench import run
    from medbench.registry import load_registry
    from medbench.report.comparing import compare
    from medbench.report.html import write_report
    from medbench.report.measured import Kept
    from medbench.runs import find_run
    from medbench.testing import write_fake_data

    registry = load_registry(importlib.import_module("medbench.testing.plugin"))
    with tempfile.TemporaryDirectory() as home:
        os.environ["MEDBENCH_CACHE"] = f"{home}/cache"
        data = write_fake_data(Path(home) / "data", n=SAMPLES, groups=GROUPS)
        runs = Path(home) / "runs"
        folders = []
        for suffix in ("", "!"):
            options = {"model_options": {"suffix": suffix}} if suffix else {}
            record = run("fake-vqa", "fake-echo", registry=registry, data=data, runs_dir=runs, conventions=("medbench",), **options)
            folders.append(find_run(record.fingerprint, runs))
        start = time.perf_counter()
        path = write_report(folders[0], registry)
        seconds = time.perf_counter() - start
        megabytes = path.stat().st_size / 1e6
        name = f"report, {SAMPLES:,} samples"
        yield name, seconds, "s", "finished run to one page", f"<= {SECONDS:g}", seconds <= SECONDS
        yield f"{name}: size", megabytes, "MB", "one page, pictures inside", f"<= {MEGABYTES:g}", megabytes <= MEGABYTES
        start = time.perf_counter()
        compare([Kept(folder, registry) for folder in folders])
        seconds = time.perf_counter() - start
        yield f"compare, 2 x {SAMPLES:,} samples", seconds, "s", "two finished runs", f"<= {COMPARE_SECONDS:g}", seconds <= COMPARE_SECONDS
