"""What protocols of embeddings cost: retrieval among 100,000 pairs, and a probe's learning curve."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

Figure = tuple[str, float, str, str, str, bool]

PAIRS, DIM = 100_000, 128
MEMORY_GB = 4.0

ALONE = f"""
import resource, time
import numpy as np
from medbench.builtin.protocols.retrieval import Retrieval
from medbench.types import Image, Sample, Vector

class Outputs:
    facts = {{}}
    def __getitem__(self, request):
        return Vector(data=vectors[int(request.images[0].path if request.images else request.text)].tobytes())

rng = np.random.default_rng(0)
captions = rng.normal(size=({PAIRS}, {DIM})).astype(np.float32)
images = captions + rng.normal(size=captions.shape).astype(np.float32)
vectors = np.concatenate([images, captions])
samples = [
    Sample(id=str(n), group=str(n), split="test", images=(Image(path=str(n)),), references=(str({PAIRS} + n),)) for n in range({PAIRS})
]
start = time.process_time()
ranks = [prediction.value.rank for prediction in Retrieval().predictions(samples, Outputs(), Retrieval.Params())]
seconds = time.process_time() - start
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, sum(rank == 1 for rank in ranks) / len(ranks))
"""
"""Run in a process of its own, whose largest memory is then that of the retrieval."""


def _retrieval() -> tuple[float, float, float]:
    """Return seconds of processor time (others work on the machine too), GiB and recall at 1 of both directions."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    seconds, memory, recall = (float(item) for item in done.stdout.split())
    return seconds, memory, recall


def _probe() -> float:
    """Return the seconds of one logistic head of 14 findings on 500 vectors of 768 numbers, its strength chosen inside."""
    from medbench.builtin.protocols.heads import fit_predict

    rng = np.random.default_rng(0)
    truth = (rng.random((500, 14)) < 0.2).astype(float)
    mixing = rng.normal(size=(14, 768))
    seen = truth @ mixing + rng.normal(size=(500, 768)) * 3
    groups = [str(n) for n in range(500)]
    start = time.perf_counter()
    fit_predict("logistic", seen, truth, seen, exclusive=False, groups=groups, seed=0)
    return time.perf_counter() - start


def figures() -> Iterator[Figure]:
    """Yield the figures."""
    seconds, memory, recall = _retrieval()
    size = f"{PAIRS:,} x {PAIRS:,} at {DIM}-d, both directions"
    yield f"retrieval, {size}", round(seconds, 1), "CPU s", "no other: a budget", "<= 400", seconds <= 400
    yield "retrieval, memory of the same", round(memory, 2), "GiB", "float64 table: 75 GiB", f"<= {MEMORY_GB:g}", memory <= MEMORY_GB
    yield "retrieval, recall at 1 of the same", round(recall, 4), "", "chance: 0.00001", ">= 0.9", recall >= 0.9
    seconds = min(_probe() for _ in range(3))
    yield "probe, 14 findings, 500 shots, 768-d", round(seconds, 2), "s", "no other: a budget", "<= 30", seconds <= 30
