"""The per-sample view of a run: what was asked, answered and expected, and each sample's own scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from medbench.measuring import Measured
from medbench.registry import Registry
from medbench.report.measured import Kept, own_values
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
    return rows_of(Kept(folder, registry))


def rows_of(kept: Kept) -> list[SampleRow]:
    """Return the rows of a run that was read already."""
    scores = _scores(kept)
    return [_row(kept.samples[p.sample], p, scores.get((p.sample, as_text(p.condition)), {})) for p in kept.predictions]


def asked_about(kept: Kept, sample: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return condition -> metric (and judge) -> what a second model was asked about a sample: each call whole, with what it took."""
    made: dict[str, dict[str, list[dict[str, Any]]]] = {}
    bill = kept.record.costs.get("judge")
    judges = {one.convention["by"] for one in kept.measured if "by" in one.convention}
    price = bill.price if bill and len(judges) == 1 else None
    for one in kept.measured:
        if hasattr(one.metric, "exchanges"):
            rows = [row for row, owner in zip(one.rows, one.samples, strict=True) if owner.id == sample]
            for calls in one.metric.exchanges(rows):
                name = " by ".join(filter(None, (one.plan.card.name, one.convention.get("by", ""))))
                priced = [{**call, **({"usd": round(price.of(call), 6)} if price else {})} for call in calls]
                made.setdefault(as_text(one.condition), {}).setdefault(name, []).extend(priced)
    return made


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
        prediction=shown_value(value),
        reference=shown_reference(sample),
        scores={} if isinstance(value, Failed) else scores,
        meta=sample.meta,
    )


def _status(value: Value) -> str:
    if isinstance(value, Failed):
        return f"failed: {value.kind}"
    return "empty" if isinstance(value, Text) and not value.text.strip() else "ok"


def shown_reference(sample: Sample) -> str:
    """Return what is true of a sample as one text: its references, else the labels that it has."""
    return " | ".join(sample.references) or ", ".join(name for name, value in sample.labels.items() if value == 1)


def shown_value(value: Value) -> str:
    """Return what was predicted as one text."""
    if isinstance(value, Text):
        return value.text
    if isinstance(value, Probabilities):
        return " ".join(f"{name}={p:.3f}" for name, p in zip(value.labels, value.values, strict=True))
    return "" if isinstance(value, Failed) else msgspec.json.encode(value).decode()


def _scores(kept: Kept) -> dict[tuple[str, str], dict[str, float | None]]:
    """Return (sample, condition) -> score name -> value, from the rows that the run kept."""
    names = [name for name, _ in dict.fromkeys((one.plan.card.name, one.plan.slug) for one in kept.measured)]
    made: dict[tuple[str, str], dict[str, float | None]] = {}
    for one in kept.measured:
        condition = as_text(one.condition)
        for name, values in own_values(one).items():
            column = column_name(one, name, several=names.count(one.plan.card.name) > 1)
            for sample, value in zip(one.samples, values.tolist(), strict=True):
                made.setdefault((sample.id, condition), {})[column] = None if value != value else value  # noqa: PLR0124 - NaN
    return made


def column_name(one: Measured, name: str, *, several: bool) -> str:
    """Return what a column of samples' own scores is called; `several` says that its metric was computed under several conventions."""
    convention = "@".join(named.partition("@")[0] for named in one.convention.values())
    return f"{one.plan.card.name}/{name}" + (f"@{convention}" if several and convention else "")
