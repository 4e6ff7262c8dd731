"""Whole runs of the tiny model: pictures, scores with intervals, the sheet, and a run that was killed goes on."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import medbench_diffusion
import pytest
from msgspec.structs import replace
from PIL import Image as Pil

from medbench import api
from medbench.builtin.datasets.medvqa_gi_2024 import MedvqaGi2024
from medbench.registry import load_registry

TASK, MODEL = "colonoscopy-t2i", "sd-colonoscopy"
LIMIT = 30
"""So many that a busy machine kills it in the middle all the same."""
needs_metrics = pytest.mark.skipif(
    importlib.util.find_spec("medbench_imagegen") is None, reason="the task's metrics are medbench-imagegen's"
)


def pictures(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("outputs/*/pictures/*.png")}


@needs_metrics
@pytest.mark.timeout(400)
def test_a_run_that_was_killed_goes_on_without_drawing_a_picture_again(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDBENCH_PLUGINS")
    MedvqaGi2024().write_twin(tmp_path / "twin", 0, 10)
    runs = tmp_path / "runs"
    options = {"preset": "tiny", "steps": "3", "batch": "1", "size": "32"}
    said = [f"--model-option={name}={value}" for name, value in options.items()]
    where = [f"--data={tmp_path / 'twin'}", f"--runs-dir={runs}", f"--limit={LIMIT}", "--device=cpu", "--metric=kid"]
    command = [sys.executable, "-m", "medbench", "run", f"--task={TASK}", f"--model={MODEL}", *said, *where]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, env=dict(os.environ))
    until = time.monotonic() + 250
    while len(pictures(runs)) < 2 and killed.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stderr.close()
    before = pictures(runs)
    assert 2 <= len(before) < LIMIT, "it was to be killed in the middle"

    # in this process: another one would import torch once more
    monkeypatch.setattr(medbench_diffusion, "CARDS", tuple(replace(card, isolated=False) for card in medbench_diffusion.CARDS))
    record = api.run(
        TASK,
        MODEL,
        registry=load_registry(),
        data=str(tmp_path / "twin"),
        runs_dir=str(runs),
        limit=LIMIT,
        device="cpu",
        metrics=("kid",),
        model_options=options,
    )
    after = pictures(runs)
    assert len(after) == LIMIT
    assert {name: after[name] for name in before} == before, "a picture was drawn again"
    assert record.scores[0].value is not None
    figures = json.loads(next(runs.glob(f"{TASK}/{MODEL}/*/figures.json")).read_text())
    tiles = [tile for figure in figures for strip in figure["strips"] for tile in strip["tiles"] if strip["heading"] == "drawn"]
    assert len(tiles) == LIMIT
    assert all(tile["caption"] for tile in tiles)
    drawn = next(runs.glob("outputs/*/pictures/*.png"))
    assert Pil.open(drawn).text["prompt"] in {tile["caption"] for tile in tiles}
