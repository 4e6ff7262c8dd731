"""What the small CLIP learns from the twin of ROCO, against trivial baselines, and what its pictures are worth on real X-rays."""  # noqa: INP001 - run as a script, or loaded by its path

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medbench import api
from medbench.record import RunRecord, Score
from medbench.registry import load_registry

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; its threads fight where the machine is shared

Figure = tuple[str, float, str, str, str, bool]

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "pneumoniamnist"
SECONDS = 180.0
"""Longest time of one processor that the fit may take."""
CHANCE = 1 / 64
SHOTS = "10,25,50,100,250,500,all"


def figures() -> Iterator[Figure]:
    """Yield each figure as it is measured; about four minutes of two cores."""
    with tempfile.TemporaryDirectory(prefix="medbench-clip-") as folder:
        yield from _figures(Path(folder))


def _figures(folder: Path) -> Iterator[Figure]:
    registry = load_registry()
    out = folder / "fitted"
    begun, used = time.perf_counter(), time.process_time()
    fitted = api.fit("clip-roco", "roco-matching", data="twin", out=out, registry=registry, model_options={"preset": "tiny"}, device="cpu")
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    (stage,) = fitted.facts["stages"]
    said = f"{seconds:.0f} s on the clock; best of {stage['steps']} steps: {stage['best_step']}"
    yield ("tiny clip-roco fitted on the ROCO twin", used, "s of processor", said, f"<= {SECONDS:g}", used <= SECONDS)
    yield from _matching(folder, registry, out)
    yield from _modality(folder, registry, out)
    if (DATA / "pneumoniamnist.npz").is_file():
        yield from _few_shots(folder, registry, out)


def _matching(folder: Path, registry: Any, out: Path) -> Iterator[Figure]:
    """Yield the accuracy in batches of 64, held to being above that of random weights, and of guessing, by more than its interval."""
    ours = _run(folder, registry, "roco-matching", "clip-roco", weights=str(out))
    untrained = _run(folder, registry, "roco-matching", "clip-roco", preset="tiny")
    for direction in ("image-to-text", "text-to-image"):
        score, other = (_score(record, "matching", "accuracy", direction=direction) for record in (ours, untrained))
        bar = max(CHANCE, other.high or 0.0)
        against = f"{_interval(score)}; random weights {_interval(other)}; guessing {CHANCE:.3f}"
        yield (f"roco-matching {direction}", score.value or 0.0, "", against, f"low > {bar:.3f}", (score.low or 0.0) > bar)


def _modality(folder: Path, registry: Any, out: Path) -> Iterator[Figure]:
    """Yield the accuracy for six modalities by prompts, held to being above the commonest modality's share by more than both intervals."""
    ours = _run(folder, registry, "roco-modality", "clip-roco", weights=str(out))
    trivial = _score(_run(folder, registry, "roco-modality", "prevalence", protocol="multilabel"), "accuracy", "accuracy")
    for how in ("single", "ensemble-embeddings", "ensemble-probabilities"):
        score = _score(ours, "accuracy", "accuracy", prompts=how)
        bar = trivial.high or 0.0
        against = f"{_interval(score)}; commonest modality {_interval(trivial)}"
        yield (f"roco-modality {how}", score.value or 0.0, "", against, f"low > {bar:.3f}", (score.low or 0.0) > bar)


def _few_shots(folder: Path, registry: Any, out: Path) -> Iterator[Figure]:
    """Yield learning curves on real X-rays, each held to rising from 10 examples to all of them."""
    encoders = {
        "raw-pixels": ("raw-pixels", {}),
        "clip-roco": ("clip-roco", {"weights": str(out)}),
        "clip-roco, random weights": ("clip-roco", {"preset": "tiny"}),
    }
    for name, (model, options) in encoders.items():
        more = {"data": str(DATA), "variant": "medmnist", "params": {"shots": SHOTS, "seeds": "5"}}
        record = _run(folder, registry, "pneumonia-fewshot", model, more, **options)
        for metric, score_name in (("accuracy", "accuracy"), ("auroc", "macro")):
            first = _score(record, metric, score_name, shots=10)
            for shots in SHOTS.split(","):
                score = _score(record, metric, score_name, shots=shots if shots == "all" else int(shots))
                risen = shots != "all" or (score.value or 0.0) > (first.value or 0.0)
                bar = f"> {first.value:.3f}" if shots == "all" else "-"
                yield (f"pneumonia {metric}, {name}, {shots}", score.value or 0.0, "", _interval(score), bar, risen)


def _run(
    folder: Path, registry: Any, task: str, model: str, more: dict[str, Any] | None = None, protocol: str = "", **options: str
) -> RunRecord:
    given: dict[str, Any] = {"data": "twin", **(more or {})}
    if protocol:
        given["protocol"] = protocol
    return api.run(task, model, registry=registry, runs_dir=str(folder / "runs"), model_options=options, **given)


def _score(record: RunRecord, metric: str, name: str, **condition: Any) -> Score:
    """Return the one score of a name under a condition, over all samples."""
    (found,) = (
        score
        for score in record.scores
        if (score.metric, score.name) == (metric, name) and not score.subgroup and condition.items() <= score.condition.items()
    )
    return found


def _interval(score: Score) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]" if score.value is not None and score.low is not None else "no interval"


def main() -> None:
    """Print every figure."""
    for name, value, unit, against, bar, ok in figures():
        print(f"{'ok  ' if ok else 'MISS'} {name}: {value:,.3f} {unit} (bar {bar}; {against})", flush=True)  # noqa: T201 - a program


if __name__ == "__main__":
    main()
