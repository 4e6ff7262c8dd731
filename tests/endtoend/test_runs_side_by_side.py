"""Two processes at once: one run is carried out once, and two runs of one model share what it answers."""

from __future__ import annotations

import json
import threading

import msgspec
import pytest

from medbench.record import RunRecord

N, SOME, FIT_STEPS = 60, 24, 20
RUN = ("run", "--task", "fake-vqa", "--model", "trial-learner", "--runs-dir", "runs", "--json")


def ended(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return msgspec.json.decode(out, type=RunRecord)


@pytest.fixture
def waiting(start, marks, fake_data):
    """A process held in the middle of a run, a second one of the same run that waits for it, and what the second said."""
    marks.gate.touch()
    first = start(*RUN, "--data", fake_data, **marks.settings)
    marks.wait(b"f")
    second = start(*RUN, "--data", fake_data, **marks.settings)
    watchdog = threading.Timer(30, second.kill)
    watchdog.start()
    said = next((line for line in second.stderr if "waiting for it" in line), "")
    watchdog.cancel()
    return first, second, said


def test_the_second_process_on_a_run_waits_and_asks_nothing(waiting, marks):
    first, second, said = waiting
    assert f"process {first.pid} on " in said
    assert "is carrying out the same run: waiting for it" in said
    marks.gate.unlink()
    assert ended(first) == ended(second)
    assert (marks.rest().count(b"f"), marks.rest().count(b"p")) == (FIT_STEPS, N)


def test_a_process_goes_on_when_the_one_it_waits_for_is_killed(waiting, marks):
    first, second, _ = waiting
    first.kill()
    marks.gate.unlink()
    record = ended(second)
    assert (record.n_predictions, record.n_failed) == (N, 0)
    assert marks.rest().count(b"p") == N


def test_two_runs_of_one_model_share_its_outputs(start, medbench, marks, fake_data, tmp_path):
    both = [
        start(*RUN, "--data", fake_data, **marks.settings),
        start(*RUN, "--data", fake_data, "--limit", SOME, **marks.settings),
    ]
    whole, part = map(ended, both)
    assert (whole.n_predictions, part.n_predictions) == (N, SOME)
    assert whole.model.identity == part.model.identity
    asked = marks.rest().count(b"p")
    assert N <= asked <= N + SOME

    third = medbench(*RUN, "--data", fake_data, "--limit", SOME // 2, **marks.settings)
    assert third.returncode == 0
    assert marks.rest().count(b"p") == asked, "what two runs had answered was asked again"

    alone = medbench(*RUN, "--runs-dir", "elsewhere", "--data", fake_data)
    assert msgspec.json.decode(alone.stdout, type=RunRecord) == whole
    lines = [json.loads(line) for path in (tmp_path / "runs").glob("outputs/*/*.jsonl") for line in path.read_bytes().splitlines()]
    assert len({line["key"] for line in lines}) == N
