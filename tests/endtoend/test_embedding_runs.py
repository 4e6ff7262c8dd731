"""Encoders from start to record: a learning curve on real X-rays, and the pictures that runs leave behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import medbench
from medbench.figures import Curves, Matrix, Pictures, read_figures
from medbench.runs import find_run
from medbench.testing import FakeModel

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
MNIST = DATA / "pneumoniamnist"

real = pytest.mark.skipif(not (MNIST / "pneumoniamnist.npz").is_file(), reason="PneumoniaMNIST is not at hand ($MEDBENCH_TEST_DATA)")


@pytest.fixture(scope="module")
def curve(tmp_path_factory, registry):
    """Return the record and the runs of raw pixels on real chest X-rays, from ten shots to all."""
    runs = tmp_path_factory.mktemp("curve") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_PLUGINS", "")
        patch.setenv("MEDBENCH_CACHE", str(runs.parent / "cache"))
        given = {"data": str(MNIST), "variant": "medmnist", "runs_dir": str(runs), "registry": registry}
        record = medbench.run("pneumonia-fewshot", "raw-pixels", params={"shots": "10,100,400", "seeds": "3"}, **given)
    return record, runs


def figures_of(record, runs):
    return read_figures((find_run(record.fingerprint, runs).path / "figures.json").read_bytes())


@real
def test_more_shots_are_better_on_real_x_rays(curve):
    record, _ = curve
    accuracy = {s.condition["shots"]: s for s in record.scores if (s.metric, s.name) == ("accuracy", "accuracy")}
    auroc = {s.condition["shots"]: s for s in record.scores if (s.metric, s.name) == ("auroc", "macro")}
    assert sorted(accuracy) == [10, 100, 400]
    assert all(s.repeats == 3 and s.spread > 0 and s.low < s.value < s.high and s.n == 624 for s in accuracy.values())
    assert accuracy[400].value > accuracy[10].value
    assert auroc[400].low > auroc[10].value
    assert record.data.n_train > 3_000
    assert record.data.train_manifest
    assert any("shots are drawn from" in remark for remark in record.remarks)


@real
def test_the_learning_curve_is_drawn_with_its_intervals(curve):
    record, runs = curve
    curves = {figure.name: figure for figure in figures_of(record, runs) if isinstance(figure, Curves) and "learning" in figure.name}
    assert set(curves) == {"accuracy-accuracy-learning-curve", "auroc-macro-learning-curve"}
    (line,) = curves["accuracy-accuracy-learning-curve"].lines
    assert line.x == (10.0, 100.0, 400.0)
    assert all(low < y < high for low, y, high in zip(line.low, line.y, line.high, strict=True))


@real
def test_the_same_command_again_asks_nothing_and_changes_nothing(curve, registry):
    record, runs = curve
    events = []
    medbench.run(
        "pneumonia-fewshot",
        "raw-pixels",
        params={"shots": "10,100,400", "seeds": "3"},
        data=str(MNIST),
        variant="medmnist",
        runs_dir=str(runs),
        registry=registry,
        on_event=events.append,
    )
    assert (events[-1].asked, events[-1].changed, events[-1].record) == (0, False, record)


def test_matching_leaves_its_heat_map_and_strips_and_shares_vectors_with_retrieval(registry, tmp_path):
    model = FakeModel(identity="anyone")
    given = {"data": "twin", "runs_dir": str(tmp_path / "runs"), "registry": registry, "limit": 20}
    record = medbench.run("roco-matching", model, params={"batch": "8"}, **given)
    figures = figures_of(record, tmp_path / "runs")
    (matrix,) = [figure for figure in figures if isinstance(figure, Matrix)]
    assert (len(matrix.rows), len(matrix.columns), len(matrix.values)) == (8, 8, 8)
    (strips,) = [figure for figure in figures if isinstance(figure, Pictures)]
    assert all(len(strip.tiles) == 4 and strip.heading for strip in strips.strips)
    asked = len(model.history)
    medbench.run("roco-retrieval", model, **given)
    assert len(model.history) == asked, "one pass of the encoder serves every protocol"


def test_zero_shot_leaves_a_table_of_decisions(registry, tmp_path):
    given = {"data": "twin", "runs_dir": str(tmp_path / "runs"), "registry": registry, "limit": 12}
    record = medbench.run("roco-modality", FakeModel(), **given)
    tables = [figure for figure in figures_of(record, tmp_path / "runs") if isinstance(figure, Matrix)]
    assert len(tables) == 3, "one for each way of prompting"
    assert all(sum(map(sum, table.values)) == 12 for table in tables)
