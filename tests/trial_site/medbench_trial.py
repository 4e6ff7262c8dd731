"""A plugin for tests of whole processes: a model and a metric that are slow and say on a pipe how far they are.

This folder on `PYTHONPATH` (or `sys.path`) is an installed distribution: the entry points beside this file offer the test
kit and this module. Each step of fitting, answering and measuring writes one byte (`f`, `p`, `s`) to the file descriptor
that `TRIAL_MARKS` names, so that a test can wait for a moment, and can count what was done. While the file that `TRIAL_GATE`
names is there, no further step is taken.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from medbench.cards import MetricCard, ModelCard, ScoreFacts
from medbench.hookspecs import hookimpl
from medbench.types import Text

PAUSE_S = 0.008
FIT_STEPS = 20


@hookimpl
def medbench_cards():
    return (
        ModelCard(
            name="trial-learner",
            load="medbench_trial:Learner",
            title="learns and answers slowly",
            can=("generate",),
            fits="always",
            isolated=False,
            batch_size=1,
        ),
        MetricCard(
            name="trial-words",
            load="medbench_trial:Words",
            title="counts words slowly",
            takes=("text",),
            scores={"words": ScoreFacts(unit="score", higher_is_better=None, high=None)},
        ),
    )


def step(mark):
    if descriptor := os.environ.get("TRIAL_MARKS"):
        os.write(int(descriptor), mark)
    time.sleep(PAUSE_S)
    gate = Path(os.environ.get("TRIAL_GATE", "/nonexistent"))
    while gate.exists():
        time.sleep(PAUSE_S)


class Learner:
    """Answers with the last word of the prompt; what it learns is how many examples there were."""

    def __init__(self, *, weights=""):
        self._learnt = {}
        if weights:
            self._learnt = msgspec.json.decode((Path(weights) / "learnt.json").read_bytes())

    def fit(self, examples, validation, out, seed, events):
        for _ in range(FIT_STEPS):
            step(b"f")
        (out / "learnt.json").write_bytes(msgspec.json.encode({"examples": len(list(examples)), "seed": seed}))
        return {"steps": FIT_STEPS}

    def facts(self):
        return self._learnt

    def generate(self, requests):
        for request in requests:
            step(b"p")
            yield Text(text=request.prompt.split()[-1], finish_reason="stop")


class Words:
    """Mean number of words of an answer."""

    def __init__(self, *, convention=None):
        self.convention = convention

    def measure(self, pairs):
        import numpy as np

        rows = []
        for at, pair in enumerate(pairs):
            if at % 2 == 0:
                step(b"s")
            rows.append(len(pair.value.text.split()))
        return np.array(rows, dtype=np.float64)

    def reduce(self, rows, weights):
        import numpy as np

        total = weights.sum(axis=1, dtype=np.float64)
        means = np.full(len(weights), np.nan)
        np.divide(weights @ rows, total, out=means, where=total > 0)
        return {"words": (means, np.ones(len(rows), bool))}
