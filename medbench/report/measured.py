"""What a run kept of its scoring: samples, predictions, and the rows of every metric, without measuring or asking anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from medbench.cards import MetricCard
from medbench.identity import digest
from medbench.measuring import Array, Measured, Measuring
from medbench.metric_plans import MetricPlan
from medbench.plan import Plan
from medbench.record import RunRecord
from medbench.registry import Registry
from medbench.runs import RunFolder
from medbench.types import Prediction, Sample, as_text


class Kept:
    """A finished run, read back.

    Raises:
        DataError: a file of the run is missing or torn.
    """

    def __init__(self, folder: RunFolder, registry: Registry) -> None:
        self.folder = folder
        self.record: RunRecord = folder.read_record()
        self.plan: Plan = folder.read_plan()
        self.samples: dict[str, Sample] = {sample.id: sample for sample in folder.read_samples()}
        self.predictions: list[Prediction] = folder.read_predictions()
        self.not_measured: dict[str, str] = {}
        """Metric -> why its rows cannot be had here."""
        self.measured: list[Measured] = list(self._measured(registry))

    @property
    def groups(self) -> list[str]:
        """All groups of the manifest, sorted: what weights are drawn for."""
        return sorted({sample.group for sample in self.samples.values()})

    def _measured(self, registry: Registry) -> Iterator[Measured]:
        """Yield the rows of every metric that the record has scores of, one judge's after another's."""
        judged: dict[str, list[MetricPlan]] = {}
        for judge, plan in (*(("", plan) for plan in self._plans(registry)), *self._asking(registry)):
            judged.setdefault(judge, []).append(plan)
        salt = digest(self.record.data.manifest, self.record.predictions)
        for judge, plans in judged.items():
            measuring = Measuring(self.samples, self.predictions, self.folder.rows, salt=salt, judge=judge)
            there = set()
            for made in measuring.run(plans):
                there |= {one.plan.card.name for one in made}
                yield from made
            self.not_measured |= {name: why for name, why in measuring.not_computed.items() if name not in there}

    def _plans(self, registry: Registry) -> Iterator[MetricPlan]:
        """Yield the metrics that the record has scores of, as far as their plugins are here."""
        planned = {(plan.card.name, as_text(plan.convention)): plan for plan in self.plan.metrics}
        known = set(registry.names(MetricCard))
        for metric, convention in dict.fromkeys((score.metric, as_text(score.convention)) for score in self.record.scores):
            plan = planned.get((metric, convention))
            if metric in known and registry.get(MetricCard, metric).asks:
                continue  # told by their signatures, since several judges may have been asked
            if plan is None and metric in known:
                named = dict(part.split("=", 1) for part in convention.split()) if convention else {}
                plan = MetricPlan(card=registry.get(MetricCard, metric), convention=named, options=self._options(metric, named))
            if plan is not None:
                yield plan
            else:
                self.not_measured[metric] = "its plugin is not installed"

    def _options(self, metric: str, convention: Mapping[str, str]) -> dict[str, Any]:
        """Return the options that a metric was given when it was scored, by its signature."""
        signed = [one for one in self.record.signatures.values() if one.get("metric") == metric and one.get("convention") == convention]
        return dict(signed[0]["options"]) if signed else {}

    def _asking(self, registry: Registry) -> Iterator[tuple[str, MetricPlan]]:
        """Yield the judge and the metric of every signature of one that asked a second model."""
        known = set(registry.names(MetricCard))
        for signature in self.record.signatures.values():
            if signature.get("judge") and signature.get("metric") in known:
                card = registry.get(MetricCard, signature["metric"])
                yield signature["judge"], MetricPlan(card=card, convention=signature["convention"], options=signature["options"])


def own_values(one: Measured) -> Mapping[str, Array]:
    """Return score name -> each row's own value, float64 (rows,), NaN where it has none or its sample failed; empty: no such view."""
    if not hasattr(one.metric, "per_sample"):
        return {}
    given: Mapping[str, Any] = one.metric.per_sample(one.rows)
    return {name: np.where(one.failed, np.nan, np.asarray(values, dtype=np.float64)) for name, values in given.items()}
