"""Programs of all kinds behind the model `subprocess`: the documented one, and those that crash, hang, chatter and lie."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from PIL import Image as Pil

from medbench.builtin.executors.local import LocalExecutor
from medbench.builtin.models import CARDS, subprocess_pipe
from medbench.builtin.models.subprocess_lines import Wrong, output_of, request_line
from medbench.builtin.models.subprocess_model import Subprocess
from medbench.builtin.models.subprocess_pictures import PREFIX, PlainPictures
from medbench.errors import PluginError, UsageError
from medbench.testing import check_model
from medbench.types import Asked, Classify, Embed, Failed, Generate, Ground, Image, Synthesize, Text

CARD = next(card for card in CARDS if card.name == "subprocess")
ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "subprocess.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[1]

PRELUDE = """
import json, os, sys, time
def say(**line): print(json.dumps(line), flush=True)
started = json.loads(sys.stdin.readline())
"""
ECHO = """
say(type="hello", protocol=1)
for line in sys.stdin:
    request = json.loads(line)
    prompt = request["prompt"]
"""


@pytest.fixture
def program(tmp_path):
    """Return a function that writes a program and gives the options that run it."""

    def write(body, **options):
        path = tmp_path / "model.py"
        path.write_text(body if "import json" in body else PRELUDE + textwrap.dedent(body))
        return {"command": f"{sys.executable} -S {path}", "timeout_s": 20.0, **options}

    return write


def answering(body):
    return ECHO + textwrap.indent(textwrap.dedent(body), "    ")


def asked(options, *prompts):
    requests = [Generate(prompt=prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
    outputs = dict(Subprocess(**options).generate(requests))
    return [outputs[number] for number in range(len(requests))]


def picture(path):
    Pil.linear_gradient("L").save(path)
    return Image(path=str(path), digest="ab" * 16)


class TestTheDocumentedProgram:
    def test_it_holds_what_a_card_promises(self, program, tmp_path):
        requests = [Generate(prompt="a", images=(picture(tmp_path / "a.png"),)), Generate(prompt="b"), Generate(prompt="c")]
        outputs = check_model(CARD, program(EXAMPLE), requests)
        assert [output.text for output in outputs] == ["yes", "no", "no"]

    def test_a_run_with_it(self, program, run, tmp_path):
        options = program(EXAMPLE)
        done = run("subprocess", model_options={"command": options["command"], "dtype": "int8"})
        assert done.record.n_failed == 0
        assert done.record.model.loaded["model"] == "always the same"
        assert done.record.model.loaded["options"] == {"dtype": "int8"}
        identity = done.record.model.identity
        assert run("subprocess", model_options={"command": options["command"], "dtype": "int8"}).asked == 0
        (tmp_path / "model.py").write_text(EXAMPLE.replace('"yes"', '"no"'))
        edited = run("subprocess", model_options={"command": options["command"], "dtype": "int8"})
        assert edited.record.model.identity != identity
        assert edited.asked > 0

    def test_every_field_of_every_request_is_on_its_page(self):
        requests = [Generate(prompt="?"), Classify(), Embed(), Synthesize(prompt="?"), Ground(images=(Image(),), phrase="?")]
        for request in requests:
            line = json.loads(request_line("7", request, ["/x.png"] * len(request.images)))
            row = next(row for row in PAGE.splitlines() if row.startswith(f"| `{line['type']}`"))
            assert [name for name in line if name not in {"type", "key", "images"} and f"`{name}`" not in row] == []


class TestAsking:
    def test_answers_come_in_any_order(self, program):
        body = """
        say(type="hello", protocol=1)
        held = [json.loads(sys.stdin.readline()) for _ in range(6)]
        for request in reversed(held):
            say(key=request["key"], text=request["prompt"].upper())
        """
        assert [output.text for output in asked(program(body), *"abcdef")] == list("ABCDEF")

    def test_no_more_are_given_than_ahead(self, program):
        body = answering("""
        import select
        more = bool(select.select([sys.stdin], [], [], 0.2)[0])
        say(key=request["key"], text=str(more))
        """)
        assert [output.text for output in asked(program(body, ahead=1), *"abc")] == ["False"] * 3

    def test_a_large_request_to_a_program_that_answers_late_does_not_lock_up(self, program):
        body = """
        say(type="hello", protocol=1)
        for n in range(4):
            print("x" * 300_000, flush=True)
        for line in sys.stdin:
            request = json.loads(line)
            say(key=request["key"], text="y" * 300_000)
        """
        outputs = asked(program(body), *(letter * 300_000 for letter in "abcdefgh"))
        assert [len(output.text) for output in outputs] == [300_000] * 8

    def test_pictures_are_given_as_files_and_temporary_ones_are_gone(self, program, tmp_path):
        plain = picture(tmp_path / "a.png")
        blanked = Image(path=plain.path, digest=plain.digest, preset="blank", role="prior")
        body = answering("""
        paths = [image["path"] for image in request["images"]]
        sizes = [os.path.getsize(path) > 60 for path in paths]
        say(key=request["key"], text=json.dumps([paths, [image["role"] for image in request["images"]], all(sizes)]))
        """)
        output = asked(program(body), Generate(prompt="?", images=(plain, blanked)))[0]
        (first, second), roles, there = json.loads(output.text)
        assert (first, roles, there) == (plain.path, ["image", "prior"], True)
        assert not Path(second).exists()

    def test_a_picture_that_is_not_there_fails_that_request_alone(self, program):
        missing = Generate(prompt="?", images=(Image(path="/nonexistent/a.png", digest="0" * 32),))
        bad, good = asked(program(answering('say(key=request["key"], text="fine")')), missing, "b")
        assert bad == Failed(kind="input", error="/nonexistent/a.png: no such file")
        assert good.text == "fine"

    def test_our_python_does_not_leak_into_the_program(self, program, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", "/nowhere")
        monkeypatch.setenv("OURS", "kept")
        body = answering("""say(key=request["key"], text=str([os.environ.get(n) for n in ("PYTHONPATH", "OURS")]))""")
        assert asked(program(body), "a")[0].text == "[None, 'kept']"


class TestHardship:
    def test_what_a_library_prints_is_passed_over(self, program, capsys):
        body = answering("""
        print("Loading checkpoint shards: 100%")
        print("{'not': json}")
        print(json.dumps([1, 2]))
        print(json.dumps({"key": "unknown", "text": "x"}))
        print("\\xff\\x00")
        say(key=request["key"], text="fine")
        say(key=request["key"], text="twice")
        """)
        assert [output.text for output in asked(program(body), "a", "b")] == ["fine", "fine"]
        assert "Loading checkpoint shards" in capsys.readouterr().err

    def test_the_request_on_which_it_crashes_fails_alone(self, program):
        body = answering("""
        if prompt == "c":
            os.kill(os.getpid(), 11)
        say(key=request["key"], text=prompt)
        """)
        outputs = asked(program(body), *"abcdef")
        assert outputs[2] == Failed(kind="model", error="the program did not answer: it was ended by SIGSEGV")
        assert [output.text for output in outputs if isinstance(output, Text)] == list("abdef")

    def test_the_request_on_which_it_hangs_fails_alone(self, program):
        body = answering("""
        while prompt == "b":
            time.sleep(1)
        say(key=request["key"], text=prompt)
        """)
        outputs = asked(program(body, timeout_s=1.5), *"abc")
        assert outputs[1] == Failed(kind="model", error="the program did not answer: no answer within 1.5 s")
        assert [outputs[0].text, outputs[2].text] == ["a", "c"]

    def test_one_that_always_crashes_stops_the_run(self, program):
        with pytest.raises(PluginError, match="started 5 times without an answer: it ended with code 7"):
            asked(program(answering("sys.exit(7)")), *"abcdefgh")

    def test_a_line_without_an_end_is_not_read_for_ever(self, program, monkeypatch):
        monkeypatch.setattr(subprocess_pipe, "LONGEST_LINE", 100_000)
        body = answering("""
        while True:
            sys.stdout.write("x" * 10_000)
        """)
        assert "longer than 100,000 bytes" in asked(program(body), "a")[0].error

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ("text=5", "Expected `str`, got `int`"),
            ('texts="a"', "missing required field `text`"),
            ('type="vector", vector=[1]', "is of type text"),
            ('text="a", finish_reason="bored"', "finish_reason is stop, length, filter or empty"),
            ('text="a", option_logprobs={"x": -1}', "option_logprobs are log-probabilities of the request's options"),
            ('text="a", covered=2', "covered is a share"),
        ],
    )
    def test_an_answer_that_is_none_fails_its_request(self, program, answer, said):
        bad, good = asked(
            program(answering(f'say(key=request["key"], **(dict({answer}) if prompt == "a" else dict(text="ok")))')), "a", "b"
        )
        assert bad.kind == "model"
        assert said in bad.error
        assert good.text == "ok"

    def test_it_may_refuse_a_request(self, program):
        body = answering('say(key=request["key"], error="too dark", kind="input" if prompt == "a" else "bored")')
        assert asked(program(body), "a", "b") == [Failed(kind="input", error="too dark"), Failed(kind="model", error="too dark")]

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("sys.exit(3)", "said no hello: it ended with code 3"),
            ("time.sleep(60)", "said no hello: no answer within 1 s"),
            ('say(type="hello", protocol=2)', "speaks protocol 2, medbench 1"),
            ('say(type="hello")', "hello is none: Object missing required field `protocol`"),
            ('say(type="hello", protocol=1, can=["fly"])', "hello is none: Invalid enum value 'fly'"),
            ('say(type="greeting", protocol=1)', "speaks protocol"),
        ],
    )
    def test_a_hello_that_is_none_stops_it(self, program, body, said):
        with pytest.raises(PluginError, match=re.escape(said)):
            Subprocess(**program(body, load_s=1.0))

    def test_it_may_refuse_to_start(self, program):
        with pytest.raises(UsageError, match="the program refuses: no GPU") as caught:
            Subprocess(**program('say(type="error", message="no GPU", hint="buy one")'))
        assert caught.value.hint == "buy one"

    def test_it_must_be_able_to_do_what_the_user_says(self, program):
        body = 'say(type="hello", protocol=1, can=["embed"]); sys.stdin.read()'
        with pytest.raises(UsageError, match="the program cannot generate"):
            Subprocess(**program(body, can="generate"))
        with pytest.raises(UsageError, match="the program can embed, not generate"):
            asked(program(body), "a")

    def test_a_program_that_sends_data_away_needs_the_users_word(self, program):
        body = 'say(type="hello", protocol=1, networked=True); sys.stdin.read()'
        with pytest.raises(UsageError, match="sends data to another machine"):
            Subprocess(**program(body))
        Subprocess(**program(body, networked=True))

    def test_it_is_gone_when_the_model_is(self, program):
        body = 'say(type="hello", protocol=1, facts={"pid": os.getpid()}); time.sleep(600)'
        model = Subprocess(**program(body))
        pid = model.facts()["pid"]
        os.kill(pid, 0)
        del model
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a program that does not read its input stays")
    def test_no_orphan_is_left_by_an_executor_that_is_dropped(self, program):
        options = program('say(type="hello", protocol=1, facts={"pid": os.getpid()}); time.sleep(600)')
        messages = LocalExecutor().map(CARD, options, [Asked(key="k", request=Generate(prompt="a"))], 1)
        pid = next(messages).facts["pid"]
        messages.close()
        for _ in range(100):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
        raise AssertionError("the program outlived its run")


class TestOtherAnswers:
    def test_probabilities(self):
        request = Classify(labels=("b", "a"))
        assert output_of({"probabilities": {"a": 0.25, "b": 1}}, request).values == (1.0, 0.25)
        for wrong in ({"a": 0.5}, {"a": 0.5, "b": 2.0}, {"a": 0.5, "b": 0.5, "c": 0.1}):
            with pytest.raises(Wrong):
                output_of({"probabilities": wrong}, request)

    def test_vectors(self):
        assert output_of({"vector": [1.0, -2.5]}, Embed()).array().tolist() == [1.0, -2.5]
        assert output_of({"vector": "AACAPw=="}, Embed()).array().tolist() == [1.0]
        for wrong in ([], "AAAA", "?", "AADAfw==", [math.inf]):
            with pytest.raises(Wrong):
                output_of({"vector": wrong}, Embed())

    def test_pictures(self, tmp_path):
        Pil.new("L", (4, 3)).save(tmp_path / "a.png")
        made = output_of({"path": str(tmp_path / "a.png")}, Synthesize(prompt="?"))
        assert (made.width, made.height, made.data[:4]) == (4, 3, b"\x89PNG")
        for wrong in ({"path": str(tmp_path / "b.png")}, {"data": "AAAA"}, {"data": "?"}, {}):
            with pytest.raises(Wrong):
                output_of(wrong, Synthesize(prompt="?"))

    def test_heat_maps(self):
        request = Ground(images=(Image(),), phrase="?")
        good = {"rows": 1, "columns": 2, "grid": [0, 1], "box": [0, 0, 4, 4]}
        assert output_of(good, request).grid == (0.0, 1.0)
        for wrong in ({"rows": 2}, {"rows": 0, "grid": []}, {"interpolation": "cubic"}, {"box": [1]}):
            with pytest.raises(Wrong):
                output_of({**good, **wrong}, request)


class TestPlans:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({}, "subprocess needs a command"),
            ({"command": "'open"}, "No closing quotation"),
            ({"command": "/nonexistent/python model.py"}, "there is no program /nonexistent/python"),
            ({"command": sys.executable, "can": "generate,fly"}, "can=fly: unknown"),
        ],
    )
    def test_what_cannot_run_is_said_beforehand(self, options, said):
        _, problems = Subprocess.settled(CARD, options)
        assert said in problems[0].message

    def test_the_card_says_what_the_user_says(self):
        card, problems = Subprocess.settled(CARD, {"command": sys.executable, "can": "embed, classify", "networked": True})
        assert (card.can, card.networked, problems) == (("classify", "embed"), True, [])


def test_folders_of_killed_processes_are_swept():
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:
        pass
    left = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{ended.pid}-"))
    mine = PlainPictures()
    assert (left.exists(), mine.folder.exists()) == (False, True)
    mine.folder.rmdir()
