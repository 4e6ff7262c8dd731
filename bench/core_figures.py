"""How long the command line takes to start, and what the harness costs a sample, in time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HELP_RATIO = 4.0
MICROSECONDS = 100.0
MEGABYTES = 400.0
SECONDS = 1.5
SAMPLES = 100_000
GROUPS = 5_000

Figure = tuple[str, float, str, str, str, bool]


def figures() -> Iterator[Figure]:
    """Yield the figures of the core."""
    base = _best([sys.executable, "-c", "import typer, rich"])
    for name, arguments in {"--help": ["--help"], "list tasks": ["list", "tasks"]}.items():
        ratio = _best([_medbench(), *arguments]) / base
        yield f"start: medbench {name}", ratio, "x", "python -c 'import typer, rich'", f"<= {HELP_RATIO:g}", ratio <= HELP_RATIO
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        seconds = _mock_run(home, 1_000)
        yield "1,000 mock samples, shell to table", seconds, "s", "start to table", f"<= {SECONDS:g}", seconds <= SECONDS
        micros, megabytes = _large_run(home)
        yield (
            f"overhead, {SAMPLES:,} samples",
            micros,
            "us/sample",
            "reading to scored record",
            f"<= {MICROSECONDS:g}",
            micros <= MICROSECONDS,
        )
        yield (
            f"resident memory, {SAMPLES:,} samples",
            megabytes,
            "MB",
            "largest of the process",
            f"<= {MEGABYTES:g}",
            megabytes <= MEGABYTES,
        )


def _medbench() -> str:
    return str(Path(sys.executable).parent / "medbench")


def _best(command: list[str], runs: int = 7) -> float:
    """Return the least wall time of a command: the one least disturbed by others on the machine."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


_SCRIPT = """
import resource, sys, time
import medbench.testing.plugin as plugin
from medbench.options import RunOptions
from medbench.registry import load_registry
from medbench import run
data, runs = sys.argv[1:3]
registry = load_registry(plugin)
start = time.perf_counter()
record = run("fake-vqa", "fake-echo", registry=registry, data=data, runs_dir=runs)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, record.n_predictions)
"""


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "MEDBENCH_CACHE": str(home / "cache")}


def _large_run(home: Path) -> tuple[float, float]:
    from medbench.testing import write_fake_data

    data = home / "large"
    write_fake_data(data, n=SAMPLES, groups=GROUPS)
    command = [sys.executable, "-c", _SCRIPT, str(data), str(home / "runs")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment(home))
    seconds, megabytes, count = map(float, done.stdout.split())
    assert count == SAMPLES
    return seconds / SAMPLES * 1e6, megabytes


_SHELL = """
import sys
import medbench.plugins as plugins, medbench.testing.plugin as fake
import medbench.registry as registry
load = plugins.load_plugins
registry.load_plugins = lambda extra=(): load((*extra, fake))
from medbench.cli.main import main
main(sys.argv[1:])
"""


def _mock_run(home: Path, count: int) -> float:
    """Return the time from the shell to the printed table; the best of three runs, each from nothing."""
    from medbench.testing import write_fake_data

    data = home / "small"
    write_fake_data(data, n=count, groups=count // 3)
    times = []
    for number in range(3):
        arguments = ["run", "--task", "fake-vqa", "--model", "fake-echo", "--data", str(data), "--runs-dir", str(home / f"runs{number}")]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", _SHELL, *arguments], check=True, capture_output=True, env=_environment(home))
        times.append(time.perf_counter() - start)
    return min(times)
