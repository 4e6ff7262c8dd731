"""What only a real process shows: interrupts, closed pipes, terminals that know fewer signs, and what is imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec
import pytest

from medbench.record import RunRecord
from medbench.testing import write_fake_data

RUN = ("run", "--task", "fake-vqa", "--model", "trial-learner")


def test_an_interrupted_run_keeps_what_was_answered_and_goes_on(start, medbench, marks, fake_data):
    process = start(*RUN, "--data", fake_data, **marks.settings)
    marks.wait(b"p", 10)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted: what was done is kept, the same command goes on" in err
    assert "Traceback" not in err
    assert marks.rest().count(b"p") < 60

    done = medbench(*RUN, "--data", fake_data, "--json", **marks.settings)
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout, type=RunRecord).n_predictions == 60
    assert marks.rest().count(b"p") <= 61, "an answer that was given was asked again"
    assert marks.rest().count(b"f") == 20


def test_an_interrupt_of_the_whole_group_ends_a_model_in_its_own_process(start, medbench, fake_data):
    """As Ctrl-C on a terminal does: parent and child both get the signal."""
    model = ("run", "--task", "fake-vqa", "--model", "fake-faulty", "--model-option", "slow_s=0.05", "--data", fake_data)
    process = start(*model, start_new_session=True)
    for line in process.stdout:
        if line.startswith("run "):
            break
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.parametrize("arguments", [("list", "models"), ("show", "metric", "vqa"), ("plugins", "--json"), ("runs",), ("--help",)])
def test_a_closed_pipe_is_no_error(start, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*arguments, stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def test_a_run_whose_reader_goes_away_ends_without_a_traceback(start, fake_data):
    process = start("run", "--task", "fake-vqa", "--model", "fake-echo", "--data", fake_data)
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err


LOCALES = {
    "C": {"LC_ALL": "C"},
    "not coerced": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii output": {"PYTHONIOENCODING": "ascii"},
}


@pytest.mark.parametrize("locale", LOCALES.values(), ids=LOCALES)
def test_no_locale_makes_it_crash_and_json_is_always_utf_8(start, environment, tmp_path, locale):
    data, task = ("donnees", "naive") if "PYTHONUTF8" in locale else ("données", "naïve")  # an ASCII file system has no others
    write_fake_data(tmp_path / data)
    title = "Naïve questions – ½"
    (tmp_path / f"{task}.toml").write_text(
        f'title = "{title}"\ndataset = "fake-qa"\nprotocol = "vqa"\nmetrics = ["vqa"]\n', encoding="utf-8"
    )
    bare = {name: value for name, value in environment.items() if name not in {"LC_ALL", "LC_CTYPE", "LANG"}}

    def output(*arguments):
        process = start(*arguments, env={**bare, **locale}, text=False)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        return out

    run = ("run", "--task", f"{task}.toml", "--model", "fake-echo", "--data", data)
    assert b"95 % interval" in output(*run)
    assert msgspec.json.decode(output(*run, "--json"), type=RunRecord).task == task
    assert title.encode() in output("show", "task", f"{task}.toml", "--json")


@pytest.mark.parametrize("arguments", [("--help",), ("list", "tasks"), ("list", "models"), ("plugins",)])
def test_looking_around_imports_nothing_heavy(environment, arguments):
    """Every plugin that is installed here is loaded, and of each nothing but the module that holds its cards."""
    code = (
        "import sys\nfrom medbench.cli.main import run_app\n"
        f"assert run_app({list(arguments)!r}) == 0\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    everything = {name: value for name, value in environment.items() if name not in {"MEDBENCH_PLUGINS", "PYTHONPATH"}}
    done = subprocess.run([sys.executable, "-c", code], env=everything, capture_output=True, text=True, timeout=60, check=True)
    modules = set(done.stderr.splitlines())
    heavy = {"numpy", "PIL", "torch", "transformers", "scipy", "pandas", "pyarrow", "pycocoevalcap", "rapidfuzz"}
    assert not heavy & modules
    ours = {name for name in modules if name.startswith("medbench_")}
    assert not {name for name in ours if "." in name}, "a plugin imports more than its cards"
    if arguments != ("--help",):
        assert "medbench.builtin.models" in modules
        assert not {name for name in modules if name.startswith("medbench.builtin.models.")}
