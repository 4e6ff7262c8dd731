"""Real processes, each with its own clean workplace: no settings, no cache and no plugin of the machine at hand."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from medbench.testing import write_fake_data

REPOSITORY = Path(__file__).parents[2]
SITE = REPOSITORY / "tests" / "trial_site"
PLUGIN = REPOSITORY / "tests" / "plugin_package"
NO_REGISTRY = ("Failed to fetch", "error sending request", "not found in the cache", "Could not connect", "Network connectivity")
"""What uv says when it reaches no package registry."""
WAIT_S = 60
"""How long a process may take before a test gives it up."""


@pytest.fixture(scope="session")
def fake_data(tmp_path_factory):
    return write_fake_data(tmp_path_factory.mktemp("fake-qa"), n=60, groups=12)


class Environment:
    """A virtual environment with nothing in it but what a test installs."""

    def __init__(self, folder):
        self.python = folder / "bin" / "python"
        uv("venv", "--quiet", "--python", sys.executable, folder)

    def install(self, *what):
        uv("pip", "install", "--quiet", "--python", self.python, "--constraint", REPOSITORY / "constraints.txt", *what)

    def uninstall(self, *what):
        uv("pip", "uninstall", "--quiet", "--python", self.python, *what)

    def run(self, *arguments, cwd, expect=0):
        """Run `medbench …` as installed and return what came of it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEDBENCH_", "PYTHON"))}
        settings = {**kept, "MEDBENCH_CACHE": str(cwd / "cache"), "XDG_CONFIG_HOME": str(cwd / "config"), "COLUMNS": "200"}
        command = [self.python.with_name("medbench"), *map(str, arguments)]
        done = subprocess.run(command, env=settings, cwd=cwd, capture_output=True, text=True, timeout=WAIT_S, check=False)
        assert done.returncode == expect, done.stderr
        return done


def uv(*arguments):
    done = subprocess.run([sys.executable, "-m", "uv", *map(str, arguments)], capture_output=True, text=True, timeout=WAIT_S, check=False)
    if any(sign in done.stderr for sign in NO_REGISTRY):
        pytest.skip(f"no package registry within reach: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def build(project, kind, out):
    """Build a wheel or an sdist with what the development environment has, and return its path."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(out), str(project)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.iterdir()
    return made


def once(factory, name, make):
    """Return a folder that `make(folder)` filled once for all workers of this test session."""
    base = factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / name
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.is_dir():
            # a failure half-way leaves no folder behind that would pass for a whole one
            half = shared.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            make(half)
            half.rename(shared)
    return shared


@pytest.fixture(scope="session")
def core_wheel(tmp_path_factory):
    """The wheel of this repository's core."""
    (made,) = once(tmp_path_factory, "core-wheel", lambda folder: build(REPOSITORY, "wheel", folder)).iterdir()
    return made


@pytest.fixture(scope="session")
def core_sdist(tmp_path_factory):
    """The source distribution of this repository's core, unpacked."""
    packed = build(REPOSITORY, "sdist", tmp_path_factory.mktemp("sdist"))
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(packed) as archive:
        archive.extractall(unpacked, filter="data")
    (folder,) = unpacked.iterdir()
    return folder


@pytest.fixture(scope="session")
def wheel_of_sdist(tmp_path_factory, core_sdist):
    """The wheel that is built from the source distribution."""
    return build(core_sdist, "wheel", tmp_path_factory.mktemp("from-sdist"))


@pytest.fixture(scope="session")
def plugin_wheel(tmp_path_factory):
    """The wheel of the example plugin."""
    return build(PLUGIN, "wheel", tmp_path_factory.mktemp("plugin-wheel"))


@pytest.fixture(scope="session")
def bare(tmp_path_factory, core_wheel):
    """An environment with the core's wheel alone. Tests leave it as it is."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    made = Environment(folder)
    made.install(core_wheel)
    return made


@pytest.fixture
def new_environment(tmp_path, core_wheel):
    """An environment with the core's wheel alone, for this test to change."""
    made = Environment(tmp_path / "venv")
    made.install(core_wheel)
    return made


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

    def __init__(self, environment, gate):
        self._read, self._write = os.pipe()
        self._environment = {**environment, "TRIAL_MARKS": str(self._write), "TRIAL_GATE": str(gate)}
        self.gate = gate
        """While this file is there, no process takes a further step."""
        self.seen = b""

    @property
    def settings(self):
        """What a process needs to write on it."""
        return {"env": self._environment, "pass_fds": (self._write,)}

    def wait(self, mark, count=1):
        """Wait until `mark` was seen `count` more times."""
        while count:
            if not select.select([self._read], [], [], WAIT_S)[0]:
                raise TimeoutError(f"{count} more {mark!r} did not come; seen: {self.seen!r}")
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
def marks(environment, tmp_path):
    made = Marks(environment, tmp_path / "gate")
    yield made
    made.close()
