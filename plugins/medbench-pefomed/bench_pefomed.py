"""What fitting the tiny PeFoMed on the twin of VQA-RAD brings: seconds, and paired gains on the test split with their intervals."""  # noqa: INP001 - run as a script, or loaded by its path

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medbench import api
from medbench.registry import load_registry
from medbench.testing.figures import Figure, gains, kept_run, show, standings

TASK = "vqa-rad"
SCORES = {"vqa/overall": "overall accuracy", "vqa/closed": "closed accuracy", "vqa/open": "open accuracy"}
HELD = {("majority", "vqa/overall")}
SECONDS = 180.0
"""Most processor time that base stage and LoRA stage may take: wall time on two cores is less, unless others use them too."""


def figures() -> Iterator[Figure]:
    """Yield each figure as it is measured; all of it takes about six minutes."""
    with tempfile.TemporaryDirectory(prefix="medbench-pefomed-") as folder:
        yield from _figures(Path(folder))


def _figures(folder: Path) -> Iterator[Figure]:
    registry = load_registry()
    out = folder / "fitted"
    begun, cpu = time.perf_counter(), time.process_time()
    fitted = api.fit("pefomed", TASK, data="twin", out=out, registry=registry, model_options={"preset": "tiny"}, device="cpu")
    seconds, spent = time.perf_counter() - begun, time.process_time() - cpu
    used = f"{seconds:.0f} s by the clock on {os.cpu_count()} cores at load {os.getloadavg()[1]:.1f}"
    yield Figure("tiny pefomed fitted, base and LoRA stage", spent, "s of CPU", used, SECONDS, spent <= SECONDS)
    for stage in fitted.facts["stages"]:
        held = stage["held_out"]["loss"]
        yield Figure(f"  stage {stage['name']}, held-out loss", held, "nats", f"{stage['steps']} steps", 0.0, held > 0)

    def run(model: str, **options: Any) -> Any:
        how = {"data": "twin", "metrics": ("vqa",), "params": {"options": "none"}, "model_options": options}
        return kept_run(TASK, model, registry, folder / "runs", **how)

    ours = run("pefomed", weights=str(out))
    others = {"its base alone": run("pefomed", weights=str(out / "base")), "majority": run("majority")}
    yield from standings({"pefomed": ours, **others}, SCORES)
    yield from gains(ours, others, SCORES, HELD)


if __name__ == "__main__":
    show(figures())
