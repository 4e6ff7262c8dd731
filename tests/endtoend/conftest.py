"""Real processes, each with its own clean workplace: no settings, no cache and no plugin of the machine at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medbench.testing import write_fake_data

SITE = Path(__file__).parents[1] / "trial_site"
WAIT_S = 60
"""How long a process may take before a test gives it up."""


@pytest.fixture(scope="session")
def fake_data(tmp_path_factory):
    return write_fake_data(tmp_path_factory.mktemp("fake-qa"), n=60, groups=12)


@pytest.fixture
def environment(tmp_path):
    """The environment of a process that sees the trial plugins and nothing of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEDBENCH_", "PYTHON", "COLUMNS", "COV_"))}
    return {
        **kept,
        "PYTHONPATH": str(SITE),
        "MEDBENCH_PLUGINS": "medbench-trial",
        "MEDBENCH_CACHE": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "COLUMNS": "80",
    }


@pytest.fixture
def start(tmp_path, environment):
    """Starts `medbench …` in the test's folder; what still runs at the end of the test is killed."""
    running = []

    def start(*arguments, **extra):
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path, "env": environment, "text": True}
        process = subprocess.Popen([sys.executable, "-m", "medbench", *map(str, arguments)], **{**settings, **extra})
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def medbench(start):
    """Runs `medbench …` to its end and returns what came of it: `returncode`, `stdout`, `stderr`."""

    def run(*arguments, **extra):
        process = start(*arguments, **extra)
        out, err = process.communicate(timeout=WAIT_S)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


class Marks:
    """A pipe on which the trial plugins say how far they are: one byte per step."""

    def __init__(self, environment):
        self._read, self._write = os.pipe()
        self._environment = {**environment, "TRIAL_MARKS": str(self._write)}
        self.seen = b""

    @property
    def settings(self):
        """What a process needs to write on it."""
        return {"env": self._environment, "pass_fds": (self._write,)}

    def wait(self, mark, count=1):
        """Wait until `mark` was seen `count` more times."""
        while count:
            got = os.read(self._read, 1)
            self.seen += got
            count -= got == mark

    def rest(self):
        """Return all marks up to now, those waited for among them."""
        os.set_blocking(self._read, False)
        try:
            while got := os.read(self._read, 1 << 16):
                self.seen += got
        except BlockingIOError:
            pass
        os.set_blocking(self._read, True)
        return self.seen

    def close(self):
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def marks(environment):
    made = Marks(environment)
    yield made
    made.close()
