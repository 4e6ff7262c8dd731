"""What trackers are told of a run: numbers and settings, no sample."""

from __future__ import annotations

import json
from typing import Any

from medbench.record import RunRecord, Score
from medbench.types import as_text


def numbers(record: RunRecord) -> dict[str, float]:
    """Return name -> number for each defined score: its value, interval, n and failures."""
    found: dict[str, float] = {}
    several = _several(record)
    for score in record.scores:
        if score.value is None:
            continue
        name = _name(score, with_convention=(score.metric, score.name) in several)
        found[name] = score.value
        more = {"low": score.low, "high": score.high, "n": score.n, "n_failed": score.n_failed, "n_unscored": score.n_unscored}
        found |= {f"{name}.{part}": float(value) for part, value in more.items() if value is not None}
    return found


def _several(record: RunRecord) -> set[tuple[str, str]]:
    """Return the scores that were computed under more than one convention."""
    seen: dict[tuple[str, str], set[str]] = {}
    for score in record.scores:
        seen.setdefault((score.metric, score.name), set()).add(as_text(score.convention))
    return {name for name, conventions in seen.items() if len(conventions) > 1}


def _name(score: Score, *, with_convention: bool) -> str:
    """Return a name that no two scores of a run share."""
    parts = [as_text(score.condition), as_text(score.subgroup), as_text(score.convention) if with_convention else ""]
    told = " ".join(part for part in parts if part)
    return f"{score.metric}/{score.name}" + (f"[{told}]" if told else "")


def settings(record: RunRecord) -> dict[str, Any]:
    """Return what the run was: flat names, plain values."""
    data, model = record.data, record.model
    conventions = {f"convention.{family}": name for score in record.scores for family, name in score.convention.items()}
    return {
        "task": record.task,
        "protocol": record.protocol,
        "model": model.name,
        "model.kind": model.kind,
        "dataset": data.dataset,
        "split": data.split,
        "synthetic": data.synthetic,
        "limit": data.limit,
        "n": data.n,
        "seed": record.seed,
        **conventions,
        **{f"param.{name}": _plain(value) for name, value in sorted(record.params.items())},
        **{f"option.{name}": _plain(value) for name, value in sorted(model.options.items())},
        **{f"version.{name}": value for name, value in sorted(record.versions.items())},
    }


def identities(record: RunRecord) -> dict[str, str]:
    """Return the digests by which the run is known."""
    return {
        "medbench.fingerprint": record.fingerprint,
        "medbench.manifest": record.data.manifest,
        "medbench.model": record.model.identity,
        "medbench.predictions": record.predictions,
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else json.dumps(value, sort_keys=True)
