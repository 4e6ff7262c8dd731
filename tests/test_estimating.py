"""What a run would ask of models that cost: counted on plain data, asked of nobody."""

from __future__ import annotations

import msgspec
import pytest

from medbench.api import plan_run
from medbench.cards import MetricCard, ModelCard, ScoreFacts
from medbench.costs import dollars
from medbench.estimating import estimates
from medbench.hookspecs import hookimpl
from medbench.options import RunOptions
from medbench.registry import load_registry
from medbench.testing import plugin

ECHO = "medbench.testing.models:Echo"


class Offering:
    """A paid model, a free one elsewhere, and a metric that asks."""

    __name__ = "medbench-paid"

    @hookimpl
    def medbench_cards(self):
        yield ModelCard(name="paid", load=ECHO, can=("generate",), networked=True, prices={"": (10.0, 20.0)}, prices_from="a list")
        yield ModelCard(name="elsewhere", load=ECHO, can=("generate",), networked=True)
        yield MetricCard(
            name="asking",
            load="medbench.builtin.metrics.vqa:VqaAccuracy",
            takes=("text",),
            scores={"asking": ScoreFacts()},
            asks=("judge",),
            calls=3,
            asked_tokens=(100, 10),
        )


@pytest.fixture
def plan(data, tmp_path):
    registry = load_registry(plugin, Offering())

    def make(**options):
        given = {"task": "fake-vqa", "model": "fake-echo", "data": str(data), "runs_dir": str(tmp_path / "runs"), **options}
        made, problems = plan_run(RunOptions(**given), registry)
        assert problems == []
        return made

    return make


def test_a_model_that_costs_is_counted_and_one_that_is_free_and_here_is_not(plan):
    assert estimates(plan()) == {}
    made = estimates(plan(model="paid"))["model"]
    assert made.calls == 12
    assert made.output_tokens == 12 * plan(model="paid").params["max_new_tokens"]
    assert made.usd == pytest.approx((10 * made.input_tokens + 20 * made.output_tokens) / 1e6)
    assert made.price.source == "a list"
    assert dollars(made.usd).startswith("$0.")


def test_the_limit_and_the_image_conditions_count(plan):
    assert estimates(plan(model="paid", limit=5))["model"].calls == 5
    assert estimates(plan(model="paid", images=("true", "blank")))["model"].calls == 24


def test_one_elsewhere_without_a_price_is_counted_in_tokens(plan):
    made = estimates(plan(model="elsewhere"))["model"]
    assert (made.calls, made.usd) == (12, None)


def test_a_judge_is_asked_as_often_as_its_metrics_say(plan):
    made = plan(judge="paid", metrics=("asking",), images=("true", "blank"))
    assert msgspec.to_builtins(estimates(made)["judge"]) == {
        "calls": 72,
        "input_tokens": 7200,
        "output_tokens": 720,
        "usd": pytest.approx(0.0864),
        "price": {"input": 10.0, "output": 20.0, "source": "a list"},
    }
    assert "model" not in estimates(made)


def test_a_run_that_is_there_asks_its_judge_alone(plan):
    made = plan(model="paid", judge="paid", metrics=("asking",))
    assert set(estimates(made)) == {"model", "judge"}
    assert set(estimates(made, samples=[None] * 4)) == {"judge"}
    assert estimates(made, samples=[None] * 4)["judge"].calls == 12


def test_without_data_nothing_is_said(plan):
    assert estimates(msgspec.structs.replace(plan(model="paid"), root="/nonexistent")) == {}


def test_nothing_is_written_and_no_file_is_hashed(plan, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "empty-cache"))
    estimates(plan(model="paid"))
    assert not (tmp_path / "empty-cache").exists()
    assert not (tmp_path / "runs").exists()
