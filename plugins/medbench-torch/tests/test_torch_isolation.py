"""A real torch model in a child process: memory comes back, a hang and a crash cost one window, nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medbench.builtin.executors.local import LocalExecutor
from medbench.cards import ModelCard
from medbench.types import Asked, Failed, Generate, Loaded

HERE = Path(__file__).parent
CARD = ModelCard(name="held", load="isolated_torch_model:Held", can=("generate",), timeout_s=2.0)
PARENT = """
import sys
sys.path.insert(0, {here!r})
from medbench.builtin.executors.local import LocalExecutor
from medbench.cards import ModelCard
from medbench.types import Asked, Generate
card = ModelCard(name="held", load="isolated_torch_model:Held", can=("generate",), timeout_s=60.0)
asked = [Asked(key="k", request=Generate(prompt="hang"))]
try:
    for message in LocalExecutor().map(card, {{"pid_file": {pid_file!r}}}, asked, 1):
        print("loaded", flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


def ask(*prompts, window=1, card=CARD, **options):
    """Yield what the executor says: `Loaded`, then an answer for each prompt under its own key."""
    return LocalExecutor().map(card, options, [Asked(key=prompt, request=Generate(prompt=prompt)) for prompt in prompts], window)


def resident_mib(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_a_hang_and_a_segfault_cost_their_window_and_memory_comes_back():
    before = resident_mib(os.getpid())
    messages = ask("one", "hang", "three", "segfault", "after", held_mib=300)
    loaded = next(messages)
    assert isinstance(loaded, Loaded)
    first = loaded.facts["pid"]
    assert first != os.getpid()
    assert resident_mib(first) > 300
    outputs = {message.key: message.output for message in messages}
    assert [outputs[key].text for key in ("one", "three", "after")] == ["3", "5", "5"]
    assert outputs["hang"] == Failed(kind="model", error="no answer within 2 s")
    assert outputs["segfault"] == Failed(kind="model", error="its process was ended by SIGSEGV")
    assert gone(first)
    assert resident_mib(os.getpid()) < before + 100


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_orphan_is_left_in_the_middle_of_an_operation(tmp_path, end):
    pid_file = tmp_path / "pid"
    script = PARENT.format(here=str(HERE), pid_file=str(pid_file))
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert parent.stdout.readline() == b"loaded\n"
        child = int(pid_file.read_text())
        time.sleep(0.3)  # it is in the middle of a product of matrices now
        if end == signal.SIGINT:
            os.killpg(parent.pid, end)  # as a terminal does: to everybody in the foreground
        else:
            os.kill(parent.pid, end)
        assert parent.wait(20) == (130 if end == signal.SIGINT else -signal.SIGKILL)
        wait_until(lambda: gone(child))
    finally:
        parent.stdout.close()
        parent.kill()
        parent.wait()
