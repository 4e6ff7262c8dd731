"""Run folders: what lies where, who may read it, and how a run is found."""

from __future__ import annotations

import pytest

from medbench.errors import DataError, UsageError
from medbench.runs import RunFolder, all_runs, find_run, read_lines, run_path
from medbench.types import Failed, Image, Prediction, Probabilities, Sample, Text

PREDICTIONS = [
    Prediction(sample="a", value=Text(text="x\u2028y")),
    Prediction(sample="b", value=Failed(kind="model", error="e"), condition={"seed": 1}),
    Prediction(sample="c", value=Probabilities(labels=("l",), values=(0.5,))),
]


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(run_path(tmp_path / "runs", "task", "org/model:x", "abc123"))
    made.create("open")
    return made


def test_names_are_made_safe_and_the_folder_is_private(folder, tmp_path):
    assert folder.path == tmp_path / "runs" / "task" / "org-model-x" / "abc123"
    assert folder.path.stat().st_mode & 0o077 == 0
    assert list(folder.path.iterdir()) == []


@pytest.mark.parametrize("access", ["credentialed", "restricted"])
def test_guarded_data_leave_a_note_of_their_use(folder, access):
    folder.create(access)
    assert access in (folder.path / "DATA-USE.txt").read_text()


def test_predictions_and_samples_come_back_as_they_were(folder):
    samples = [Sample(id="a", group="g", split="test", images=(Image(path="/x", digest="0"),), labels={"e": None})]
    folder.write_samples(samples)
    assert folder.read_samples() == samples
    digest = folder.write_predictions(PREDICTIONS)
    assert folder.read_predictions() == PREDICTIONS
    before = folder.predictions.stat().st_ino
    assert folder.write_predictions(PREDICTIONS) == digest
    assert folder.predictions.stat().st_ino == before
    assert folder.write_predictions(PREDICTIONS[1:]) != digest


def test_large_files_are_written_in_blocks(folder):
    many = [Prediction(sample=str(n), value=Text(text="x" * 1000)) for n in range(3000)]
    folder.write_predictions(many)
    assert folder.read_predictions() == many


def test_a_changed_line_is_named(folder):
    folder.write_predictions(PREDICTIONS)
    content = folder.predictions.read_bytes().split(b"\n")
    folder.predictions.write_bytes(b"\n".join([content[0], content[1][:-3], *content[2:]]))
    with pytest.raises(DataError, match=r"predictions\.jsonl:2: "):
        folder.read_predictions()


def test_files_that_are_not_there_are_messages(folder):
    for read in (folder.read_plan, folder.read_record, folder.read_predictions, folder.read_samples):
        with pytest.raises(DataError, match="no such"):
            read()
    folder.plan.write_bytes(b"{}")
    with pytest.raises(DataError, match=r"plan\.json: .*missing"):
        folder.read_plan()
    with pytest.raises(DataError):
        list(read_lines(folder.path / "gone", Sample))


class TestFinding:
    @pytest.fixture
    def runs(self, tmp_path):
        for model, fingerprint in (("one", "aaa111"), ("one", "aab222"), ("two", "bbb333")):
            made = RunFolder(run_path(tmp_path / "runs", "task", model, fingerprint))
            made.create("open")
            made.plan.write_text("{}")
        (tmp_path / "runs" / "outputs" / "m" / "pictures").mkdir(parents=True)
        return tmp_path / "runs"

    def test_all_are_listed_in_a_stable_order(self, runs):
        assert [run.path.name for run in all_runs(runs)] == ["aaa111", "aab222", "bbb333"]
        assert all_runs(runs / "none") == []

    @pytest.mark.parametrize("name", ["bbb333", "bb", "task/two"])
    def test_one_is_found_by_fingerprint_beginning_or_model(self, runs, name):
        assert find_run(name, runs).path.name == "bbb333"

    def test_or_by_its_folder_or_record_wherever_it_lies(self, runs, tmp_path):
        moved = (runs / "task" / "two" / "bbb333").rename(tmp_path / "moved")
        assert find_run(str(moved), runs).path == moved
        assert find_run(str(moved / "run.json"), tmp_path / "elsewhere").path == moved

    @pytest.mark.parametrize("name", ["aa", "task/one"])
    def test_two_that_are_meant_must_be_told_apart(self, runs, name):
        with pytest.raises(UsageError, match=f"2 runs are meant by {name}") as caught:
            find_run(name, runs)
        assert caught.value.hint == "name one: task/one/aaa111, task/one/aab222"

    def test_none_is_met_with_the_nearest(self, runs):
        with pytest.raises(UsageError, match="no run named bbb334") as caught:
            find_run("bbb334", runs)
        assert "did you mean bbb333?" in caught.value.hint


@pytest.mark.parametrize("name", ["t/m", "t/m/abc", "t/m/abcdef", "abc", "abcdef"])
def test_a_run_is_found_by_all_that_screens_show(tmp_path, name):
    for system, fingerprint in (("t/m", "abcdef"), ("t/other", "123456")):
        folder = tmp_path / "r" / system / fingerprint
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text("{}")
    assert find_run(name, tmp_path / "r").path == tmp_path / "r/t/m/abcdef"


@pytest.mark.parametrize("name", ["t", "t/", "t/m/", "m/abc", "x/m/abc", "zzz"])
def test_half_a_name_is_no_name(tmp_path, name):
    folder = tmp_path / "r/t/m/abcdef"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{}")
    with pytest.raises(UsageError, match="no run named"):
        find_run(name, tmp_path / "r")
