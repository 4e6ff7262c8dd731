"""A record with every kind of score, and trackers that write into the test's own folder."""

from __future__ import annotations

import pytest

from medbench.record import DataFacts, ModelFacts, RunRecord, Score


def _score(name, value, **more):
    return Score(metric="vqa", name=name, value=value, low=0.1, high=0.9, n=10, n_failed=1, convention={"vqa": "exact@1"}, **more)


@pytest.fixture
def record():
    return RunRecord(
        task="vqa-rad",
        fingerprint="abc123def456",
        model=ModelFacts(name="openai:x", identity="openai-x-1", options={"name": "x", "stop": ["a", "b"]}),
        data=DataFacts(dataset="vqa-rad", split="test", manifest="m" * 32, n=10, access="open"),
        protocol="vqa",
        params={"prompt": "{question}"},
        scores=(
            _score("overall", 0.5),
            _score("overall", 0.25, condition={"images": "blank"}),
            _score("overall", 0.75, subgroup={"sex": "F"}),
            _score("open", None, note="undefined"),
        ),
        predictions="p" * 32,
        versions={"medbench": "0.1.0"},
    )


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb-home"))
    monkeypatch.chdir(tmp_path)
