"""What a run would ask of models that cost, counted beforehand: nothing is asked, no pixel is decoded, no file is hashed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.conditions import under_condition
from medbench.costs import INPUT, OUTPUT, Estimate, estimate
from medbench.identity import hash_order
from medbench.index import unique
from medbench.plan import ModelPlan, Plan
from medbench.registry import load
from medbench.types import Sample


def estimates(plan: Plan, samples: Sequence[Sample] | None = None) -> dict[str, Estimate]:
    """Return what `model` and `judge` would be asked; a model that costs nothing and stays here is left out.

    Outputs that are there already are counted as if they were not: the figures are for the whole run.

    Args:
        plan: A plan that nothing speaks against.
        samples: What is evaluated, where it is known; read from the data otherwise, if they are there.
    """
    asked = {
        name: model for name, model in (("model", plan.model), ("judge", plan.judge)) if model and (model.card.networked or model.price)
    }
    if samples is not None:
        asked.pop("model", None)  # a run that is there is scored, not asked again
    elif asked and Path(plan.root).is_dir():
        samples = _samples(plan)
    if not samples:
        return {}
    how = {"model": _by_protocol, "judge": _by_metrics}
    return {name: how[name](plan, model, samples) for name, model in asked.items()}


def _samples(plan: Plan) -> list[Sample]:
    root = Path(plan.root)
    samples = unique(load(plan.reader)().read(root, plan.split, plan.reader_params), root)
    chosen = samples if plan.limit is None else hash_order(samples)[: plan.limit]
    return [samples[name] for name in chosen]


def _by_protocol(plan: Plan, model: ModelPlan, samples: Sequence[Sample]) -> Estimate:
    protocol = load(plan.protocol)()
    params: Any = msgspec.convert(plan.params, load(plan.protocol).Params)
    requests = (request for name in plan.images for request in protocol.requests(under_condition(samples, name, plan.seed), params))
    return estimate(requests, model.price, room=int(model.options.get("reasoning_tokens") or 0))


def _by_metrics(plan: Plan, judge: ModelPlan, samples: Sequence[Sample]) -> Estimate:
    """A metric's requests follow from predictions, which are not there yet: its card says how many, and about how long."""
    calls = tokens_in = tokens_out = 0
    for metric in plan.metrics:
        if metric.card.asks:
            made = load(metric.card)(convention=metric.convention, **metric.options)
            asked = made.calls(len(samples)) if hasattr(made, "calls") else metric.card.calls * len(samples)
            count = asked * len(plan.images)
            calls += count
            tokens_in += count * metric.card.asked_tokens[0]
            tokens_out += count * metric.card.asked_tokens[1]
    price = judge.price
    usd = price.of({INPUT: tokens_in, OUTPUT: tokens_out}) if price else None
    return Estimate(calls=calls, input_tokens=tokens_in, output_tokens=tokens_out, usd=usd, price=price)
