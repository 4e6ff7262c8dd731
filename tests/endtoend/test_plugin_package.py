"""The example plugin as a stranger meets it: built, installed beside the core alone, used, and gone without a trace."""

from __future__ import annotations

import json

import msgspec
import pytest

from medbench.cards import ReaderCard
from medbench.record import RunRecord
from medbench.registry import load, load_registry


@pytest.fixture
def twin(tmp_path):
    """A small synthetic VQA-RAD."""
    load(load_registry().get(ReaderCard, "vqa-rad"))().write_twin(tmp_path / "twin", seed=0, size=12)
    return tmp_path / "twin"


def names(environment, kind, folder):
    return {row[kind]: row["plugin"] for row in json.loads(environment.run("list", f"{kind}s", "--json", cwd=folder).stdout)}


def tasks(environment, folder):
    return [row["task"] for row in json.loads(environment.run("list", "tasks", "--json", cwd=folder).stdout)]


def test_the_example_plugin_is_installed_used_and_uninstalled(new_environment, plugin_wheel, twin, tmp_path):
    new_environment.install(plugin_wheel)
    table = new_environment.run("plugins", cwd=tmp_path).stdout
    assert [line.split()[:3] for line in table.splitlines()[2:]][1] == ["medbench-oneword", "0.1.0", "medbench_oneword"]
    assert "1 model, 1 metric, 1 task" in table
    assert names(new_environment, "model", tmp_path)["keywords"] == "medbench-oneword"
    assert names(new_environment, "metric", tmp_path)["first-word"] == "medbench-oneword"
    assert "vqa-rad-oneword" in tasks(new_environment, tmp_path)
    assert "otherwise = 'yes'" in new_environment.run("show", "model", "keywords", cwd=tmp_path).stdout
    assert "words per answer" in new_environment.run("show", "metric", "first-word", cwd=tmp_path).stdout
    assert "{question} Answer in one word." in new_environment.run("show", "task", "vqa-rad-oneword", cwd=tmp_path).stdout

    command = ("run", "--task", "vqa-rad-oneword", "--model", "oneword/keywords", "--data", twin, "--model-option", "otherwise=no")
    record = msgspec.json.decode(new_environment.run(*command, "--json", cwd=tmp_path).stdout, type=RunRecord)
    assert record.versions["medbench-oneword"] == "0.1.0"
    assert record.model.loaded == {"phrases": 5}
    scores = {(score.metric, score.name): score for score in record.scores}
    first = scores["first-word", "first-word"]
    assert first.low < first.value < first.high
    assert scores["first-word", "length"].value == 1.0
    assert scores["vqa", "overall"].convention == {"vqa": "exact@1"}
    assert "first-word/first-word" in new_environment.run("samples", "vqa-rad-oneword/oneword-keywords", "--json", cwd=tmp_path).stdout

    new_environment.uninstall("medbench-oneword")
    assert "oneword" not in new_environment.run("plugins", cwd=tmp_path).stdout
    assert "vqa-rad-oneword" not in tasks(new_environment, tmp_path)
    refused = new_environment.run(*command, cwd=tmp_path, expect=2)
    assert "no task named vqa-rad-oneword" in refused.stderr
    kept = new_environment.run("runs", "--json", cwd=tmp_path).stdout
    assert json.loads(kept)[0]["state"] == "finished, synthetic"
