"""What differs between two runs: their settings first, then the samples whose answers do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from medbench.report.changes import Changes, changes
from medbench.report.comparing import run_name
from medbench.report.measured import Kept
from medbench.report.provenance import flat
from medbench.report.samples import shown_value
from medbench.types import Struct, as_text

DERIVED = ("model.identity", "fingerprint", "predictions")
"""What follows from other settings: told last."""


class Setting(Struct):
    """Something in which two runs differ; empty: the run has no such thing."""

    name: str
    one: str
    other: str


class RunDiff(Struct):
    """How two runs differ."""

    one: str
    other: str
    access: str
    settings: tuple[Setting, ...]
    same_samples: bool
    """Whether both evaluated the very same samples."""
    n_shared: int
    """Predictions that both have: same sample, same condition."""
    n_answers: int
    """Those whose answers differ."""
    flips: tuple[Changes, ...] = ()
    """The samples whose own score differs, by the first primary score that has one."""


def diff(one: Kept, other: Kept, *, most: int = 20) -> RunDiff:
    """Return what differs between two runs, whatever they were run on.

    Args:
        one: A run.
        other: What it is held against.
        most: How many samples are listed.
    """
    theirs = {(p.sample, as_text(p.condition)): p.value for p in other.predictions}
    shared = [(p.value, theirs[key]) for p in one.predictions if (key := (p.sample, as_text(p.condition))) in theirs]
    measured = {(m.plan.slug, as_text(m.condition)): m for m in other.measured}
    pairs = [(m, measured[key]) for m in one.measured if (key := (m.plan.slug, as_text(m.condition))) in measured]
    return RunDiff(
        one=run_name(one),
        other=run_name(other),
        access=one.record.data.access,
        settings=tuple(_differing(settings(one), settings(other))),
        same_samples=one.record.data.manifest == other.record.data.manifest,
        n_shared=len(shared),
        n_answers=sum(shown_value(a) != shown_value(b) for a, b in shared),
        flips=tuple(changes(one, other, pairs, ("B", "A"), most)),
    )


def settings(kept: Kept) -> dict[str, str]:
    """Return everything that was set or found out about a run, by dotted name; scores are not settings."""
    record, plan = kept.record, kept.plan
    nested: dict[str, Any] = {
        "task": record.task,
        "protocol": record.protocol,
        "param": record.params,
        "seed": record.seed,
        "images": plan.images,
        "by": plan.by,
        "model": _plain(record.model),
        "data": _plain(record.data),
        "metric": {one.slug: {"version": one.card.version, **one.convention, **one.options} for one in plan.metrics},
        "scored under": sorted({f"{score.metric} {as_text(score.convention)}".strip() for score in record.scores}),
        "versions": record.versions,
        "stated": record.overrides,
        "fingerprint": record.fingerprint,
        "predictions": record.predictions,
    }
    return dict(flat(nested))


def _plain(value: Any) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain


def _differing(one: dict[str, str], other: dict[str, str]) -> Iterator[Setting]:
    names = [name for name in dict.fromkeys([*one, *other]) if one.get(name, "") != other.get(name, "")]
    for name in sorted(names, key=lambda name: name in DERIVED):
        yield Setting(name=name, one=one.get(name, ""), other=other.get(name, ""))
