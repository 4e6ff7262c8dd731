"""What the metrics of probabilities cost on a chest X-ray test set: 14 labels, 25,000 images, 1,000 resamples of patients."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from medbench.builtin.metrics.classification_decisions import F1
from medbench.builtin.metrics.classification_ranking import Auroc
from medbench.reducing import BLOCK_CELLS, RESAMPLES
from medbench.stats.bootstrap import draws
from medbench.types import Pair, Probabilities, Sample

LABELS, IMAGES, PATIENTS = 14, 25_000, 6_000

Figure = tuple[str, float, str, str, str, bool]


def _pairs() -> list[Pair]:
    """Return made-up predictions: 1 to 15 % positives, an AUROC of about 0.8, four images a patient."""
    rng = np.random.default_rng(0)
    names = tuple(f"finding {number}" for number in range(LABELS))
    truth = (rng.random((IMAGES, LABELS)) < np.linspace(0.01, 0.15, LABELS)).astype(float)
    given = 1 / (1 + np.exp(2 - rng.normal(size=truth.shape) - 1.2 * truth))
    patients = rng.integers(0, PATIENTS, IMAGES)
    return [
        Pair(
            Sample(id=str(number), group=str(patients[number]), split="test", labels=dict(zip(names, row, strict=True))),
            Probabilities(labels=names, values=tuple(values)),
        )
        for number, (row, values) in enumerate(zip(truth.tolist(), given.tolist(), strict=True))
    ]


def _resampled(metric: Auroc | F1, rows: np.ndarray, groups: np.ndarray) -> float:
    """Return the seconds of 1,000 resamples of patients, draws included, in the blocks in which a run reduces."""
    start = time.perf_counter()
    for counts in draws(PATIENTS, RESAMPLES, seed=0, block=BLOCK_CELLS // IMAGES):
        metric.reduce(rows, counts[:, groups])
    return time.perf_counter() - start


def figures() -> Iterator[Figure]:
    """Yield the figures; the best of three, because others work on the machine too."""
    pairs = _pairs()
    groups = np.array([int(pair.sample.group) for pair in pairs])
    metric = Auroc()
    start = time.perf_counter()
    rows = metric.measure(pairs)
    seconds = time.perf_counter() - start
    size = f"{LABELS} labels x {IMAGES:,} images"
    yield f"measure, {size}", round(seconds, 2), "s", "no other: a budget", "<= 1", seconds <= 1.0
    seconds = min(_resampled(metric, rows, groups) for _ in range(3))
    yield f"macro AUROC, {size}, {RESAMPLES:,} resamples", round(seconds, 2), "s", "no other: a budget", "<= 3", seconds <= 3.0
    decisions = F1()
    rows = decisions.measure(pairs)
    seconds = min(_resampled(decisions, rows, groups) for _ in range(3))
    yield f"F1 in all averages, {size}, {RESAMPLES:,} resamples", round(seconds, 2), "s", "no other: a budget", "<= 3", seconds <= 3.0
