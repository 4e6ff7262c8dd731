"""`medbench samples`, `runs`, `leaderboard show` and `twin`: what was done, looked at again."""

from __future__ import annotations

import csv

import pytest


@pytest.fixture
def finished(run):
    """The fingerprint of a run in which one sample failed and three carry a comma and a quote."""
    done = run("--model-option", "raise_on=Question 3:", "--json", model="fake-faulty")
    assert done.code == 3
    return done.record.fingerprint


def test_samples_are_a_table_and_json(medbench, finished):
    shown = medbench("samples", finished)
    assert shown.code == 0
    assert "Question 0: " in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    rows = medbench("samples", finished, "--json").json
    assert [row["id"] for row in rows] == [f"test-{at:03d}" for at in range(12)]
    assert {row["scores"]["vqa/overall"] for row in rows if row["status"] == "ok"} == {0.0, 1.0}


def test_samples_can_be_only_the_failed_ones(medbench, finished):
    (row,) = medbench("samples", finished, "--failed", "--json").json
    assert (row["id"], row["status"], row["scores"]) == ("test-003", "failed: model", {})
    assert "told to raise" in row["error"]
    assert "test-003" in medbench("samples", finished, "--failed").out


def test_one_sample_is_shown_whole(medbench, finished):
    shown = medbench("samples", finished, "--show", "test-004")
    assert shown.code == 0
    assert "question               Question 4: " in shown.out
    assert "meta question_type     PRES" in shown.out
    assert "vqa/overall            1" in shown.out
    assert medbench("samples", finished, "--show", "test-004", "--json").json[0]["id"] == "test-004"
    refused = medbench("samples", finished, "--show", "test-4")
    assert refused.code == 2
    assert "no sample test-4 in this run" in refused.err


def test_samples_are_written_as_csv_and_parquet_with_the_same_rows(medbench, finished, workplace):
    import pyarrow.parquet as pq

    assert medbench("samples", finished, "--csv", "rows.csv", "--parquet", "rows.parquet").code == 0
    with (workplace / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table(workplace / "rows.parquet").to_pylist()
    assert len(rows) == len(table) == 12
    assert list(rows[0]) == list(table[0])
    for text, typed in zip(rows, table, strict=True):
        assert {name: "" if value is None else str(value) for name, value in typed.items()} == text


def test_texts_of_guarded_data_are_written_only_on_request(medbench, workplace):
    from medbench.testing import write_fake_data

    write_fake_data(workplace / "guarded", access="credentialed")
    done = medbench("run", "--task", "fake-vqa", "--model", "fake-echo", "--data", "guarded", "--json")
    assert done.record.data.access == "credentialed"
    said = medbench("samples", done.record.fingerprint, "--csv", "kept.csv").out
    assert "texts left out: data under an agreement; --include-data writes them" in said
    assert "Question" not in (workplace / "kept.csv").read_text()
    asked = medbench("samples", done.record.fingerprint, "--json")
    assert "Question" not in asked.out
    assert "texts left out" in asked.err
    assert [row["id"] for row in asked.json] == [f"test-{at:03d}" for at in range(12)]
    assert "Question" in medbench("samples", done.record.fingerprint, "--json", "--include-data").out
    medbench("samples", done.record.fingerprint, "--csv", "all.csv", "--include-data")
    assert "Question" in (workplace / "all.csv").read_text()


def test_a_run_is_found_by_folder_beginning_or_name_and_never_guessed(medbench, finished, run, workplace):
    (folder,) = workplace.glob(f"runs/*/*/{finished}")
    assert medbench("samples", folder).out == medbench("samples", finished[:6]).out == medbench("samples", "fake-vqa/fake-faulty").out
    run("--limit", "5", model="fake-faulty")
    refused = medbench("samples", "fake-vqa/fake-faulty")
    assert refused.code == 2
    assert "2 runs are meant by fake-vqa/fake-faulty" in refused.err
    refused = medbench("samples", "nonesuch")
    assert "no run named nonesuch in runs" in refused.err


def test_runs_are_listed_finished_and_interrupted(medbench, finished, workplace):
    assert [row["state"] for row in medbench("runs", "--json").json] == ["finished, synthetic, 1 failed"]
    (folder,) = workplace.glob(f"runs/*/*/{finished}")
    (folder / "run.json").unlink()
    assert [row["state"] for row in medbench("runs", "--json").json] == ["interrupted"]
    assert "interrupted" in medbench("runs").out


def test_no_runs_are_no_error(medbench):
    listed = medbench("runs")
    assert listed.code == 0
    assert "no runs in runs" in listed.out
    assert medbench("runs", "--json").json == []


def test_a_board_has_a_row_for_each_run_best_first(medbench, run, finished):
    run("--model-option", "suffix=!")
    shown = medbench("leaderboard", "show", "fake-vqa")
    assert shown.code == 0
    assert max(map(len, shown.out.splitlines())) <= 80
    assert shown.out.index("fake-faulty") < shown.out.index("fake-echo")
    assert "1 failed" in " ".join(shown.out.split())
    (board,) = medbench("leaderboard", "show", "--json").json
    assert [row["system"] for row in board["rows"]] == ["fake-faulty (raise_on=Question 3:)", "fake-echo (suffix=!)"]
    assert board["rows"][0]["fingerprint"] == finished
    markdown = medbench("leaderboard", "show", "--markdown").out.splitlines()
    assert markdown[0] == "## fake-vqa"
    assert [line.split(" | ")[0] for line in markdown if line.startswith("| fake")] == [
        "| fake-faulty (raise_on=Question 3:)",
        "| fake-echo (suffix=!)",
    ]


def test_a_board_without_runs_says_so(medbench):
    refused = medbench("leaderboard", "show", "vqa-rad")
    assert (refused.code, refused.out) == (2, "")
    assert "no finished run of vqa-rad in runs" in refused.err
    assert "no task named vqarad" in medbench("leaderboard", "show", "vqarad").err


def test_a_twin_is_written_marked_and_repeatable(medbench, workplace):
    said = medbench("twin", "fake-qa", "one", "--seed", "3", "--size", "5")
    assert said.code == 0
    assert "use it with --data one" in said.out
    medbench("twin", "fake-qa", "two", "--seed", "3", "--size", "5")
    one, two = ({p.relative_to(workplace / n): p.read_bytes() for p in (workplace / n).rglob("*") if p.is_file()} for n in ("one", "two"))
    assert one == two != {}
    done = medbench("run", "--task", "fake-vqa", "--model", "fake-echo", "--data", "one", "--json")
    assert done.record.data.synthetic
    assert (done.record.n_predictions, done.record.data.n_groups) == (15, 5)
    assert medbench("twin", "nonesuch", "three").code == 2
    facts = medbench("twin", "fake-qa", "four", "--json").json
    assert (facts["dataset"], facts["folder"], facts["seed"]) == ("fake-qa", "four", 0)
    assert facts["files"] == sum(path.is_file() for path in (workplace / "four").rglob("*"))


def test_every_json_is_whole_and_the_same_each_time(medbench, finished):
    queries = (("runs",), ("plugins",), ("samples", finished), ("leaderboard", "show"), ("list", "tasks"), ("show", "metric", "vqa"))
    for query in queries:
        asked = medbench(*query, "--json")
        assert (asked.code, asked.err) == (0, "")
        assert asked.out.endswith("\n")
        assert asked.json
        assert medbench(*query, "--json").out == asked.out
