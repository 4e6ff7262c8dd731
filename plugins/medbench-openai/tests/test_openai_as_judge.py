"""An endpoint as the judge of a metric that asks: paid once, under one budget with the model, and counted."""

from __future__ import annotations

import medbench_openai
import numpy as np
import pytest

from medbench import api
from medbench.cards import MetricCard, ScoreFacts
from medbench.errors import QuotaExhausted
from medbench.hookspecs import hookimpl
from medbench.registry import load_registry
from medbench.testing import plugin, write_fake_data
from medbench.types import Failed, Generate


class Verdict:
    """Asks a judge twice about each prediction: what it thinks, and whether it is sure."""

    def __init__(self, *, convention=None):
        del convention

    def measure(self, pairs):
        first = yield "judge", [Generate(prompt=f"{pair.sample.id}: {pair.value.text}?", max_new_tokens=4) for pair in pairs]
        second = yield "judge", [Generate(prompt=f"{pair.sample.id}: sure?", max_new_tokens=4) for pair in pairs]
        return np.array(
            [[not isinstance(one, Failed), not isinstance(other, Failed)] for one, other in zip(first, second, strict=True)], float
        )

    def reduce(self, rows, weights):
        return {"verdict": (weights @ rows.mean(axis=1) / weights.sum(axis=1), np.ones(len(rows), bool))}


class Offers:
    """The metric."""

    @hookimpl
    def medbench_cards(self):
        yield MetricCard(name="verdict", load=f"{__name__}:Verdict", takes=("text",), asks=("judge",), scores={"verdict": ScoreFacts()})


@pytest.fixture
def judged(tmp_path):
    """Return a function that runs the fake task with an endpoint as its judge."""
    data = write_fake_data(tmp_path / "data")
    registry = load_registry(plugin, medbench_openai, Offers())

    def run(endpoint, **options):
        return api.run(
            "fake-vqa",
            "fake-echo",
            registry=registry,
            data=str(data),
            runs_dir=str(tmp_path / "runs"),
            metrics=("verdict",),
            judge="openai:tiny",
            judge_options={"base_url": endpoint.url, "local": True, "price_in": 0.0, "price_out": 1e6},
            **options,
        )

    return run


def test_a_judge_is_paid_once_and_its_cost_is_on_record(serve, judged):
    endpoint = serve("yes", script=[{"do": "throttle", "times": 3, "retry_after": "0.05"}])
    record = judged(endpoint)
    cost = record.costs["judge"]
    counts = endpoint.counts()
    assert (cost.answers, cost.output_tokens, cost.usd, counts["answered"]) == (24, 24, 24.0, 24)
    assert record.scores[0].value == 1.0
    assert judged(endpoint).costs == record.costs
    assert endpoint.counts() == counts


def test_both_rounds_are_under_one_budget(serve, judged):
    endpoint = serve("yes")
    with pytest.raises(QuotaExhausted):
        judged(endpoint, max_cost=17.0)
    assert 13 <= endpoint.counts()["answered"] <= 17
    record = judged(endpoint, max_cost=100.0)
    assert record.costs["judge"].usd == 24.0
    assert (endpoint.counts()["answered"], endpoint.counts()["repeated"]) == (24, 0)
