"""`medbench score`: predictions of anybody's, and runs scored again."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def score(medbench, data):
    return lambda file, *more: medbench("score", "--task", "fake-vqa", "--data", data, "--predictions", file, *more)


@pytest.fixture
def answers(medbench, run):
    """The ids, aliases, questions and answers of a run of the fake model."""
    record = run("--json").record
    return record, medbench("samples", record.fingerprint, "--json").json


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def numbers(record):
    return {(s.name, s.value, s.low, s.high, s.n, s.n_groups) for s in record.scores}


def test_predictions_of_ones_own_score_as_the_run_does(score, answers, workplace):
    record, rows = answers
    asked = [(row["id"], row["question"], row["prediction"]) for row in rows]
    plain = write(workplace / "plain.jsonl", [{"id": name, "prediction": said} for name, _, said in asked])
    alias = write(
        workplace / "alias.jsonl", [{"qid": 100 + at, "question": q, "prediction": said} for at, (_, q, said) in enumerate(asked)]
    )
    llava = write(workplace / "llava.jsonl", [{"question_id": name, "prompt": q, "text": said} for name, q, said in asked])
    table = workplace / "table.csv"
    table.write_text("name,x\n" + "".join(f"{name},{said}\n" for name, _, said in reversed(asked)))
    for file, more in ((plain, ()), (alias, ("--id", "qid")), (llava, ()), (table, ("--columns", "id=name,prediction=x"))):
        done = score(file, *more, "--json")
        assert done.code == 0, done.err
        assert numbers(done.record) == numbers(record), file.name
        assert (done.record.model.name, done.record.model.kind) == (file.stem, "predictions")
        assert done.record.data.manifest == record.data.manifest


def test_a_sample_without_a_prediction_is_failed_and_an_unknown_id_is_said(score, answers, workplace):
    _, rows = answers
    kept = [{"id": row["id"], "prediction": row["prediction"]} for row in rows[:10]]
    file = write(workplace / "some.jsonl", [*kept, {"id": "test-999", "prediction": "?"}])
    done = score(file, "--json")
    assert done.code == 3
    assert (done.record.n_missing, done.record.n_failed) == (2, 2)
    said = score(file).out
    assert "2 without a prediction in some.jsonl, counted as failed: test-010, test-011" in said
    assert "test-999" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"id":"test-000","prediction":"yes"}\n{"id":"test-000","prediction":"no"}\n',
            "test-000 stands on lines 1 and 2 with different predictions",
        ),
        ('{"id":"test-000","prediction":"yes"}\n{"id":"test-001","predic', "file.jsonl:2: not a JSON object"),
        ('{"id":"test-000"}\n', "no column with predictions (it has id)"),
        ('{"id":"other-1","prediction":"yes"}\n', "none of its 1 ids is an id of the split"),
        ('{"id":"test-000","prediction":"yes","question":"Where?"}\n', "the question is not the sample's on 1 of 1 lines (1)"),
        ("", "no predictions in it"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_with_the_line(score, workplace, text, message):
    (workplace / "file.jsonl").write_text(text)
    refused = score("file.jsonl")
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err
    assert "hint:" in refused.err
    assert not (workplace / "runs").exists()


def test_a_file_that_is_not_there_is_named(score):
    refused = score("nonesuch.jsonl")
    assert refused.code == 2
    assert "nonesuch.jsonl: no such file" in refused.err


def test_a_run_is_scored_again_and_nothing_is_lost(medbench, answers):
    record, _ = answers
    more = medbench("score", record.fingerprint, "--convention", "all", "--json")
    assert more.code == 0
    assert set(numbers(record)) <= set(numbers(more.record))
    conventions = {score.convention["vqa"] for score in more.record.scores}
    assert {"exact@1", "medbench@1", "pefomed@1", "llava-med@1"} <= conventions
    again = medbench("score", record.fingerprint, "--json")
    assert again.record == more.record


def test_nothing_to_score_and_too_much_to_score_are_refused(medbench, answers):
    record, _ = answers
    assert "nothing to score was named" in medbench("score").err
    assert "a run and a predictions file were both given" in medbench("score", record.fingerprint, "--predictions", "x.jsonl").err
    refused = medbench("score", "nonesuch")
    assert refused.code == 2
    assert "no run named nonesuch in runs" in refused.err
