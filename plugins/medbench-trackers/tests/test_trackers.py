"""What trackers are told: by names nobody shares, once per run, and only when asked."""

from __future__ import annotations

import importlib
import sys

import medbench_trackers
import msgspec
import pytest
from medbench_trackers.facts import identities, numbers, settings

from medbench import api
from medbench.errors import UsageError
from medbench.registry import load_registry
from medbench.testing import plugin, write_fake_data


def test_every_defined_score_has_a_name_of_its_own(record):
    found = numbers(record)
    assert found["vqa/overall"] == 0.5
    assert found["vqa/overall[images=blank]"] == 0.25
    assert found["vqa/overall[sex=F]"] == 0.75
    assert (found["vqa/overall.low"], found["vqa/overall.n"], found["vqa/overall.n_failed"]) == (0.1, 10.0, 1.0)
    assert not any(name.startswith("vqa/open") for name in found)


def test_scores_under_several_conventions_do_not_overwrite_each_other(record):
    other = msgspec.structs.replace(record.scores[0], value=0.9, convention={"vqa": "medbench@1"})
    found = numbers(msgspec.structs.replace(record, scores=(record.scores[0], other)))
    assert (found["vqa/overall[vqa=exact@1]"], found["vqa/overall[vqa=medbench@1]"]) == (0.5, 0.9)


def test_settings_are_flat_and_plain(record):
    found = settings(record)
    assert (found["task"], found["param.prompt"], found["option.stop"]) == ("vqa-rad", "{question}", '["a", "b"]')
    assert all(isinstance(value, str | int | float | bool | None) for value in found.values())
    assert identities(record)["medbench.manifest"] == "m" * 32


def test_nothing_is_told_unless_a_tracker_is_named(record, monkeypatch, tmp_path):
    for value in (None, "", " , "):
        monkeypatch.delenv("MEDBENCH_TRACKERS", raising=False)
        if value is not None:
            monkeypatch.setenv("MEDBENCH_TRACKERS", value)
        medbench_trackers.medbench_finished(record, tmp_path)
        assert medbench_trackers.KEEPS_LOCAL is True
    monkeypatch.setenv("MEDBENCH_TRACKERS", "wandb")
    assert medbench_trackers.KEEPS_LOCAL is False
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_or_absent_tracker_is_told_by_name(record, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_TRACKERS", "mlfow")
    with pytest.raises(UsageError, match="MEDBENCH_TRACKERS=mlfow") as caught:
        medbench_trackers.medbench_finished(record, tmp_path)
    assert "did you mean mlflow" in caught.value.hint
    monkeypatch.setenv("MEDBENCH_TRACKERS", "wandb")
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "medbench_trackers.to_wandb", raising=False)
    with pytest.raises(UsageError, match=r"wandb is not installed: pip install 'medbench-trackers\[wandb\]'"):
        medbench_trackers.medbench_finished(record, tmp_path)


def test_importing_the_plugin_imports_no_tracker():
    assert "medbench_trackers" in sys.modules
    importlib.reload(medbench_trackers)
    assert not {name for name in vars(medbench_trackers) if name in {"mlflow", "wandb"}}


def _run(tmp_path, **options):
    events = []
    data = write_fake_data(tmp_path / "data", access=options.pop("access", "synthetic"))
    given = {"data": data, "runs_dir": tmp_path / "runs", "registry": load_registry(plugin, medbench_trackers), **options}
    record = api.run("fake-vqa", "fake-echo", on_event=events.append, **given)
    return record, [event.text for event in events if type(event).__name__ == "Note"]


def test_a_broken_tracker_is_a_note_and_never_a_failed_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDBENCH_PLUGINS", "")
    monkeypatch.setenv("MEDBENCH_TRACKERS", "nobody")
    record, notes = _run(tmp_path)
    assert record.scores
    assert any("failed when told of the run" in note and "MEDBENCH_TRACKERS=nobody" in note for note in notes)


def test_of_guarded_data_a_tracker_hears_only_with_a_permission(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDBENCH_PLUGINS", "")
    monkeypatch.setenv("MEDBENCH_TRACKERS", "nobody")
    told = []
    monkeypatch.setattr(medbench_trackers, "chosen", lambda: told.append(1) or ["nobody"])
    _, notes = _run(tmp_path, access="credentialed")
    assert any("was not told of the run: credentialed data stays on this machine" in note for note in notes)


@pytest.mark.filterwarnings("ignore")  # the tracker's own dependencies warn as they like
def test_mlflow_has_one_run_however_often_it_is_told(record, monkeypatch, tmp_path):
    pytest.importorskip("mlflow", reason="medbench-trackers[mlflow] is not installed")
    from mlflow import MlflowClient

    monkeypatch.setenv("MEDBENCH_TRACKERS", "mlflow")
    medbench_trackers.medbench_finished(record, tmp_path)
    better = msgspec.structs.replace(record, scores=(msgspec.structs.replace(record.scores[0], value=0.6), *record.scores[1:]))
    medbench_trackers.medbench_finished(better, tmp_path)
    client = MlflowClient()
    experiment = client.get_experiment_by_name("medbench/vqa-rad")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "openai:x"
    assert run.info.status == "FINISHED"
    assert run.data.tags["medbench.predictions"] == "p" * 32
    assert run.data.params["param.prompt"] == "{question}"
    assert (run.data.metrics["vqa/overall"], run.data.metrics["vqa/overall.images.blank"]) == (0.6, 0.25)


@pytest.mark.filterwarnings("ignore")
def test_wandb_offline_keeps_a_run_on_this_machine(record, monkeypatch, tmp_path):
    pytest.importorskip("wandb", reason="medbench-trackers[wandb] is not installed")
    monkeypatch.setenv("MEDBENCH_TRACKERS", "wandb")
    medbench_trackers.medbench_finished(record, tmp_path)
    (written,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    content = written.read_bytes()
    assert b"vqa/overall" in content
    assert b"vqa-rad-abc123def456" in content
