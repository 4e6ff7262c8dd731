"""Two processes at once: one run is carried out once, and two runs of one model share what it answers."""

from __future__ import annotations

import json

import msgspec

from medbench.record import RunRecord

N, SOME = 60, 24
RUN = ("run", "--task", "fake-vqa", "--model", "trial-learner", "--runs-dir", "runs", "--json")


def ended(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return msgspec.json.decode(out, type=RunRecord), err


def test_the_second_process_on_a_run_waits_and_asks_nothing(start, marks, fake_data):
    first = start(*RUN, "--data", fake_data, **marks.settings)
    marks.wait(b"p", 3)
    second = start(*RUN, "--data", fake_data, **marks.settings)
    (one, _), (other, said) = ended(first), ended(second)
    assert one == other
    assert f"process {first.pid} on " in said
    assert "is carrying out the same run: waiting for it" in said
    assert (marks.rest().count(b"f"), marks.rest().count(b"p")) == (12, N)


def test_a_process_goes_on_when_the_one_it_waits_for_is_killed(start, marks, fake_data):
    first = start(*RUN, "--data", fake_data, **marks.settings)
    marks.wait(b"p", 3)
    second = start(*RUN, "--data", fake_data, **marks.settings)
    for line in second.stderr:
        if "waiting for it" in line:
            break
    first.kill()
    record, _ = ended(second)
    assert (record.n_predictions, record.n_failed) == (N, 0)
    assert marks.rest().count(b"p") <= N + 1


def test_two_runs_of_one_model_share_its_outputs(start, medbench, marks, fake_data, tmp_path):
    both = [
        start(*RUN, "--data", fake_data, **marks.settings),
        start(*RUN, "--data", fake_data, "--limit", SOME, **marks.settings),
    ]
    (whole, _), (part, _) = map(ended, both)
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
