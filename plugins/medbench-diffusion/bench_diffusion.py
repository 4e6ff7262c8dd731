"""What fitting the tiny models on the twin of MEDVQA-GI 2024 brings: seconds, and FID before and after LoRA with intervals."""  # noqa: INP001 - run as a script, or loaded by its path

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medbench import api
from medbench.record import RunRecord, Score
from medbench.registry import Registry, load_registry

TASK = "colonoscopy-t2i"
MODELS = ("sd-colonoscopy", "kandinsky-colonoscopy")
SCORE = "fid-small-v1"
SECONDS = 480.0
"""Most processor time that all stages of one fit may take: four minutes of two cores, each counted while it waits for the other."""
PICTURES = 200
"""Drawn as the card of the fitted base says, with and without LoRA."""


class Figure(NamedTuple):
    """One measured figure and the bar it is held to."""

    name: str
    value: float
    unit: str
    against: str
    bar: float
    ok: bool


def figures(folder: Path | None = None, models: tuple[str, ...] = MODELS) -> Iterator[Figure]:
    """Yield each figure as it is measured.

    Args:
        folder: Where fits and runs are kept, and found again by a second call; None: nowhere.
        models: The models to fit.
    """
    with tempfile.TemporaryDirectory(prefix="medbench-diffusion-") as scratch:
        for model in models:
            yield from _of_one(model, folder or Path(scratch), load_registry())


def _of_one(model: str, folder: Path, registry: Registry) -> Iterator[Figure]:
    out = folder / f"fit-{model}"
    there = (out / "fit.json").is_file()
    begun, cpu = time.perf_counter(), time.process_time()
    fitted = api.fit(model, TASK, data="twin", out=out, registry=registry, model_options={"preset": "tiny"}, device="cpu")
    seconds, spent = time.perf_counter() - begun, time.process_time() - cpu
    if not there:
        used = f"{seconds:.0f} s by the clock on {os.cpu_count()} cores at load {os.getloadavg()[1]:.1f}"
        yield Figure(f"tiny {model} fitted, autoencoder, base and LoRA", spent, "s of CPU", used, SECONDS, spent <= SECONDS)
    for stage in fitted.facts["stages"]:
        held = stage["held_out"]["loss"]
        yield Figure(f"  stage {stage['name']}, held-out loss", held, "", f"{stage['steps']} steps", 0.0, held > 0)
    before = _fid(_run(folder, registry, "diffusion", weights=str(out / "base")))
    after = _fid(_run(folder, registry, model, weights=str(out)))
    for name, score in (("its base alone", before), ("with LoRA", after)):
        yield Figure(f"  {name}: FID", score.value or 0.0, "", f"[{score.low:.2f}, {score.high:.2f}]", 0.0, ok=True)
    gain = (before.value or 0.0) - (after.value or 0.0)
    apart = (before.low or 0.0) - (after.high or 0.0)
    yield Figure(f"{model}: FID lower by", gain, "", f"gap between the two intervals {apart:+.2f}", 0.0, apart > 0)


def _run(folder: Path, registry: Registry, model: str, **options: object) -> RunRecord:
    return api.run(
        TASK,
        model,
        registry=registry,
        data="twin",
        limit=PICTURES,
        metrics=("fid",),
        metric_options={"fid.features": "small-v1"},
        runs_dir=str(folder / "runs"),
        device="cpu",
        model_options=options,
    )


def _fid(record: RunRecord) -> Score:
    return next(score for score in record.scores if score.name == SCORE)


def main() -> None:
    """Print every figure; the first argument names a folder that is kept."""
    for figure in figures(Path(sys.argv[1]) if len(sys.argv) > 1 else None):
        mark = "ok  " if figure.ok else "MISS"
        print(f"{mark} {figure.name}: {figure.value:,.3f} {figure.unit} (bar {figure.bar:,g}; {figure.against})", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
