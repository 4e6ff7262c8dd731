"""A run that is killed again and again ends with the bytes of one that never was."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest

N = 60
LAST_STEP = (b"s", N // 2)
"""The trial metric measures two samples in a step."""


def command(data, runs):
    return (
        "run",
        "--task",
        "fake-vqa",
        "--model",
        "trial-learner",
        "--metric",
        "vqa,trial-words",
        "--data",
        data,
        "--runs-dir",
        runs,
        "--quiet",
    )


def moments(seed):
    """Twenty moments as (stage, steps of it to wait for, seconds after the last): from the start to the writing of the record."""
    draw = random.Random(seed)
    before = [(b"", 0, draw.uniform(0.05, 0.4)) for _ in range(3)]
    fitting = [(b"f", draw.randint(1, 6), draw.uniform(0, 0.012)) for _ in range(4)]
    answering = [(b"p", draw.randint(1, 4), draw.uniform(0, 0.012)) for _ in range(8)]
    measuring = [(b"s", draw.randint(1, 8), draw.uniform(0, 0.012)) for _ in range(4)]
    return [*before, *fitting, *answering, *measuring, (*LAST_STEP, 0.02)]


def one_run(runs):
    (folder,) = (path.parent for path in runs.glob("fake-vqa/*/*/plan.json"))
    return folder


@pytest.mark.slow
def test_twenty_kills_change_no_byte_of_the_result(medbench, start, marks, fake_data, tmp_path):
    assert medbench(*command(fake_data, "whole")).returncode == 0
    plan = moments(seed=7)
    assert len(plan) == 20
    for stage, count, delay in plan:
        process = start(*command(fake_data, "torn"), **marks.settings)
        marks.wait(stage, count)
        time.sleep(delay)
        process.kill()
        process.communicate()
        # what follows the last step takes so little that the run may be over before the signal arrives
        assert process.returncode in ({-signal.SIGKILL, 0} if (stage, count) == LAST_STEP else {-signal.SIGKILL})
    last = medbench(*command(fake_data, "torn"), **marks.settings)
    assert last.returncode == 0, last.stderr

    whole, torn = one_run(tmp_path / "whole"), one_run(tmp_path / "torn")
    for name in ("predictions.jsonl", "samples.jsonl", "run.json", "fit.json"):
        assert (torn / name).read_bytes() == (whole / name).read_bytes(), name
    kills_while_answering = sum(stage == b"p" for stage, _, _ in plan)
    assert N <= marks.rest().count(b"p") <= N + kills_while_answering, "an answer that was given was asked again"
    assert str(tmp_path) not in (whole / "run.json").read_text()


def test_a_killed_run_has_no_record_and_is_listed_as_interrupted(medbench, start, marks, fake_data, tmp_path):
    process = start(*command(fake_data, "runs"), **marks.settings)
    marks.wait(b"s", 1)
    process.kill()
    process.communicate()
    folder = one_run(tmp_path / "runs")
    assert not (folder / "run.json").exists()
    listed = medbench("runs", "--runs-dir", "runs", "--json")
    assert [run["state"] for run in json.loads(listed.stdout)] == ["interrupted"]
    shown = medbench("samples", folder)
    assert shown.returncode == 2
    assert "is the run finished? the same command goes on with it" in shown.stderr
