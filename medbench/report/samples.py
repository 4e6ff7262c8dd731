"""The per-sample view of a run: what was asked, answered and expected, and each sample's own scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from medbench.identity import digest
from medbench.measuring import Measured, Measuring
from medbench.metric_plans import MetricPlan
from medbench.record import RunRecord
from medbench.registry import Registry
from medbench.runs import RunFolder
from medbench.types import Failed, Prediction, Probabilities, Sample, Struct, Text, Value, as_text


class SampleRow(Struct):
    """One prediction with everything that is known about its sample."""

    id: str
    group: str
    condition: str
    status: str
    """`ok`, `empty`, or `failed: kind`."""
    error: str
    question: str
    prediction: str
    reference: str
    scores: dict[str, float | None]
    meta: dict[str, str]


def sample_rows(folder: RunFolder, registry: Registry) -> list[SampleRow]:
    """Return one row per prediction, in the order of the run; metrics that have no value per sample give no column."""
    record = folder.read_record()
    samples = {sample.id: sample for sample in folder.read_samples()}
    predictions = folder.read_predictions()
    scores = _scores(folder, record, samples, predictions, registry)
    return [_row(samples[p.sample], p, scores.get((p.sample, as_text(p.condition)), {})) for p in predictions]


def columns(rows: Sequence[SampleRow], *, private: bool) -> tuple[list[str], list[dict[str, Any]]]:
    """Return flat rows for a file, and their columns; `private` leaves out every text of the data and of the model."""
    texts = [] if private else ["question", "prediction", "reference", "error"]
    scores = list(dict.fromkeys(name for row in rows for name in row.scores))
    meta = [] if private else list(dict.fromkeys(name for row in rows for name in row.meta))
    names = ["id", "group", "condition", "status", *texts, *scores, *(f"meta.{name}" for name in meta)]
    flat = [
        {
            **{name: getattr(row, name) for name in ("id", "group", "condition", "status", *texts)},
            **{name: row.scores.get(name) for name in scores},
            **{f"meta.{name}": row.meta.get(name, "") for name in meta},
        }
        for row in rows
    ]
    return names, flat


def _row(sample: Sample, prediction: Prediction, scores: dict[str, float | None]) -> SampleRow:
    value = prediction.value
    return SampleRow(
        id=sample.id,
        group=sample.group,
        condition=as_text(prediction.condition),
        status=_status(value),
        error=value.error if isinstance(value, Failed) else "",
        question=sample.prompt,
        prediction=_shown(value),
        reference=" | ".join(sample.references),
        scores={} if isinstance(value, Failed) else scores,
        meta=sample.meta,
    )


def _status(value: Value) -> str:
    if isinstance(value, Failed):
        return f"failed: {value.kind}"
    return "empty" if isinstance(value, Text) and not value.text.strip() else "ok"


def _shown(value: Value) -> str:
    if isinstance(value, Text):
        return value.text
    if isinstance(value, Probabilities):
        return " ".join(f"{name}={p:.3f}" for name, p in zip(value.labels, value.values, strict=True))
    return "" if isinstance(value, Failed) else msgspec.json.encode(value).decode()


def _scores(
    folder: RunFolder, record: RunRecord, samples: dict[str, Sample], predictions: Sequence[Prediction], registry: Registry
) -> dict[tuple[str, str], dict[str, float | None]]:
    """Return (sample, condition) -> score name -> value, from the rows that the run kept."""
    plans = list(_plans(folder, record, registry))
    measuring = Measuring(samples, predictions, folder.rows, salt=digest(record.data.manifest, record.predictions))
    made: dict[tuple[str, str], dict[str, float | None]] = {}
    for measured in measuring.run(plans):
        for one in measured:
            _add(made, one, several=sum(plan.card.name == one.plan.card.name for plan in plans) > 1)
    return made


def _plans(folder: RunFolder, record: RunRecord, registry: Registry) -> Iterator[MetricPlan]:
    """Yield the metrics that the record has scores of, as far as their plugins are here."""
    from medbench.cards import MetricCard  # noqa: PLC0415

    planned = {(plan.card.name, as_text(plan.convention)): plan for plan in folder.read_plan().metrics}
    known = set(registry.names(MetricCard))
    for metric, convention in dict.fromkeys((score.metric, as_text(score.convention)) for score in record.scores):
        plan = planned.get((metric, convention))
        if plan is None and metric in known:
            named = dict(part.split("=", 1) for part in convention.split()) if convention else {}
            plan = MetricPlan(card=registry.get(MetricCard, metric), convention=named)
        if plan is not None and not plan.card.asks:
            yield plan


def _add(made: dict[tuple[str, str], dict[str, float | None]], one: Measured, *, several: bool) -> None:
    if not hasattr(one.metric, "per_sample"):
        return
    convention = "@".join(name.partition("@")[0] for name in one.plan.convention.values())
    for name, values in one.metric.per_sample(one.rows).items():
        column = f"{one.plan.card.name}/{name}" + (f"@{convention}" if several and convention else "")
        for sample, value in zip(one.samples, values, strict=True):
            number = float(value)
            made.setdefault((sample.id, as_text(one.condition)), {})[column] = None if number != number else number  # noqa: PLR0124 - NaN
