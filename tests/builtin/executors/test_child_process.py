"""A model in a child process: whatever becomes of it, the parent goes on, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from medbench.builtin.executors.child import CRASHES, LOG_BYTES, Child
from medbench.builtin.executors.local import LocalExecutor
from medbench.cards import ModelCard
from medbench.errors import PluginError, UsageError
from medbench.testing.plugin import CARDS
from medbench.types import Answer, Asked, Classify, Embed, Failed, Generate, Loaded, Picture, Synthesize, Text, Vector

FAULTY = next(card for card in CARDS if card.name == "fake-faulty")


def asked(*prompts):
    return [Asked(key=prompt, request=Generate(prompt=prompt)) for prompt in prompts]


def run(requests, window=4, card=FAULTY, **options):
    """Return the facts, and the answers by key."""
    messages = list(LocalExecutor().map(card, options, requests, window))
    assert isinstance(messages[0], Loaded)
    return messages[0].facts, {message.key: message.output for message in messages[1:]}


def words(outputs):
    return {key: output.text if isinstance(output, Text) else output.kind for key, output in outputs.items()}


def gone(pid):
    """Say whether a process is gone, or only waits for its parent to notice."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_answers_and_facts_cross_over():
    facts, outputs = run(asked("a", "say b", "say c"))
    assert facts == {"device": "cpu"}
    assert words(outputs) == {"a": "a", "say b": "b", "say c": "c"}


def test_what_a_model_prints_corrupts_nothing(capfd):
    _, outputs = run(asked("a", "b"), noise="\0\1\2 loading 100%\n")
    assert words(outputs) == {"a": "a", "b": "b"}
    assert capfd.readouterr().out == ""


def test_what_a_model_prints_is_appended_to_a_private_log(tmp_path, capfd):
    log = tmp_path / "model.log"
    for noise in ("first", "second"):
        list(LocalExecutor().map(FAULTY, {"noise": noise}, asked("a"), 4, log))
    assert log.read_text().index("first") < log.read_text().index("second")
    assert log.stat().st_mode & 0o077 == 0
    assert capfd.readouterr().err == ""


def test_a_long_log_is_begun_anew(tmp_path):
    log = tmp_path / "model.log"
    log.write_bytes(b"x" * (LOG_BYTES + 1))
    list(LocalExecutor().map(FAULTY, {"noise": "first"}, asked("a"), 4, log))
    assert log.read_text().startswith("first")


def test_a_broken_model_says_where_its_words_are(tmp_path):
    log = tmp_path / "model.log"
    with pytest.raises(PluginError) as caught:
        list(LocalExecutor().map(FAULTY, {"crash_on": "bad", "noise": "why"}, asked(*(f"bad {n}" for n in range(9))), 1, log))
    assert str(log) in caught.value.hint


def test_a_crash_is_one_failed_window_and_the_next_goes_on():
    _, outputs = run(asked("a", "b", "bad", "c", "d", "e"), window=2, crash_on="bad")
    assert words(outputs) == {"a": "a", "b": "b", "bad": "model", "c": "model", "d": "d", "e": "e"}
    assert outputs["c"].error == "its process was ended by SIGSEGV"


def test_what_was_answered_before_a_crash_is_kept():
    _, outputs = run(asked("a", "b", "bad", "c"), crash_on="bad")
    assert words(outputs) == {"a": "a", "b": "b", "bad": "model", "c": "model"}


def test_a_model_that_crashes_again_and_again_is_broken():
    answers = []
    with pytest.raises(PluginError, match=f"ended by SIGSEGV {CRASHES} times in a row"):
        answers.extend(LocalExecutor().map(FAULTY, {"crash_on": "bad"}, asked(*(f"bad {n}" for n in range(9))), 1))
    assert len(answers) == 1 + CRASHES - 1


def test_a_hang_ends_by_its_time_limit():
    card = msgspec.structs.replace(FAULTY, timeout_s=1.0)
    begun = time.monotonic()
    _, outputs = run(asked("a", "bad", "c"), window=2, card=card, hang_on="bad")
    assert words(outputs) == {"a": "a", "bad": "model", "c": "c"}
    assert outputs["bad"].error == "no answer within 1 s"
    assert time.monotonic() - begun < 20


def test_a_fault_inside_a_window_stays_inside():
    _, outputs = run(asked("a", "bad", "c", "reject"), raise_on="bad", reject_on="reject")
    assert words(outputs) == {"a": "a", "bad": "model", "c": "c", "reject": "input"}
    assert outputs["bad"].error == "RuntimeError: told to raise on bad"


def test_a_window_that_does_not_fit_is_halved_in_the_child():
    _, outputs = run(asked(*(f"p{n}" for n in range(10))), window=10, fits=3)
    assert len(words(outputs)) == 10
    assert all(isinstance(output, Text) for output in outputs.values())


def test_a_model_that_cannot_be_built_says_why():
    with pytest.raises(PluginError, match="fake-faulty could not be loaded: told to be broken"):
        run(asked("a"), broken=True)


def test_a_module_that_cannot_be_imported_says_why():
    card = ModelCard(name="absent", load="medbench_absent.model:Model", can=("generate",), install="pip install medbench-absent")
    with pytest.raises(PluginError, match="cannot import medbench_absent") as caught:
        run(asked("a"), card=card)
    assert caught.value.hint == "pip install medbench-absent"


@pytest.fixture
def plugin_module(tmp_path, monkeypatch):
    """Return a function that writes an importable module with the given body of a class `Model`, and returns its card."""

    def write(name, *body, can=("generate",)):
        lines = "\n".join(f"    {line}" for line in body)
        (tmp_path / f"{name}.py").write_text(f"from medbench.types import *\nfrom medbench.errors import *\nclass Model:\n{lines}\n")
        return ModelCard(name=name, load=f"{name}:Model", can=can)

    monkeypatch.syspath_prepend(tmp_path)
    return write


def test_an_error_while_loading_that_nobody_foresaw_says_how_the_process_ended(plugin_module, capfd):
    card = plugin_module("no_device", "def __init__(self): raise RuntimeError('no CUDA device')")
    with pytest.raises(PluginError, match="no_device could not be loaded: its process ended with code 1"):
        run(asked("a"), card=card)
    assert "no CUDA device" in capfd.readouterr().err


def test_errors_a_person_can_act_on_keep_their_kind(plugin_module):
    card = plugin_module("keyless", "def generate(self, requests): raise UsageError('no key', hint='set one')")
    with pytest.raises(UsageError, match="no key") as caught:
        run(asked("a"), card=card)
    assert caught.value.hint == "set one"


def test_a_capability_that_the_class_lacks_is_a_broken_promise():
    with pytest.raises(PluginError, match="its card says it can classify, its class has no such method"):
        run([Asked(key="c", request=Classify())])


def test_bytes_cross_over(plugin_module):
    card = plugin_module(
        "of_bytes",
        "def embed(self, requests): return [Vector(data=memoryview(bytearray(range(8)))) for _ in requests]",
        "def synthesize(self, requests): return [Picture(data=bytes(300_000), width=1) for _ in requests]",
        can=("embed", "synthesize"),
    )
    _, outputs = run([Asked(key="v", request=Embed(text="x")), Asked(key="p", request=Synthesize(prompt="x"))], card=card)
    assert outputs == {"v": Vector(data=bytes(range(8))), "p": Picture(data=bytes(300_000), width=1)}


def test_a_large_window_does_not_block_the_pipe():
    prompts = [f"{'x' * 20_000} {n}" for n in range(100)]
    _, outputs = run([Asked(key=str(n), request=Generate(prompt=prompt)) for n, prompt in enumerate(prompts)], window=100)
    assert {key: output.text for key, output in outputs.items()} == {str(n): str(n) for n in range(100)}


def test_stopping_early_ends_the_process():
    with Child(FAULTY, {}) as child:
        pid = child._process.pid
        answers = child.ask(asked("a", "b"))
        assert next(answers) == Answer(key="a", output=Text(text="a", finish_reason="stop"))
        assert not gone(pid)
    assert gone(pid)


def test_nothing_is_left_when_the_caller_forgets_the_generator():
    messages = LocalExecutor().map(FAULTY, {}, asked("a", "b"), 4)
    next(messages)
    pid = messages.gi_frame.f_locals["child"]._process.pid
    messages.close()
    assert gone(pid)


PARENT = """
import sys
from medbench.builtin.executors.child import Child
from medbench.testing.plugin import CARDS
from medbench.types import Asked, Generate
card = next(card for card in CARDS if card.name == "fake-faulty")
with Child(card, {"hang_on": "bad"}) as child:
    print(child._process.pid, flush=True)
    list(child.ask([Asked(key="a", request=Generate(prompt="bad"))]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_goes_when_its_parent_is_killed(number):
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        os.kill(parent.pid, number)
        parent.wait(timeout=20)
        wait_until(lambda: gone(pid))


def test_failures_are_what_they_say():
    _, outputs = run(asked("bad"), transient_on="bad")
    assert outputs["bad"] == Failed(kind="transient", error="TransientError: told to try later")
