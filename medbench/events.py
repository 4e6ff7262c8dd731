"""What a run tells while it goes on: small facts that a screen, a log or a tracker may show."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from medbench.plan import Plan
from medbench.record import RunRecord
from medbench.types import Struct

Stage = Literal["fit", "load", "predict", "score", "load judge", "judge"]


class Planned(Struct):
    """The plan stands, the samples are indexed, the run folder is known."""

    plan: Plan
    n: int
    n_images: int
    n_groups: int
    access: str
    synthetic: bool
    fingerprint: str
    folder: Path


class Note(Struct):
    """A fact that a reader must know, said once."""

    text: str


class Progress(Struct):
    """How far a stage is."""

    stage: Stage
    done: int
    total: int
    failed: int = 0
    usd: float | None = None
    """What the outputs cost so far, in US dollars; None: no price is known."""
    most_usd: float | None = None
    """What they may cost; None: no limit."""


class Fitting(Struct):
    """What a model tells of its fit: `step`, `steps`, `loss`, `stage`, held-out metrics under their names."""

    values: dict[str, Any]


class Finished(Struct):
    """The record was written, or was there already and nothing was missing."""

    record: RunRecord
    folder: Path
    asked: int = 0
    """Outputs that were asked for in this call; 0: all were there."""
    measured: int = 0
    """Metrics that were measured in this call; 0: all rows were there."""
    changed: bool = False
    """Whether the record says anything that it did not say before."""


class ShardDone(Struct):
    """A shard's outputs are all there; the run itself is not."""

    part: int
    parts: int
    done: int
    total: int


Event = Planned | Note | Progress | Fitting | Finished | ShardDone
