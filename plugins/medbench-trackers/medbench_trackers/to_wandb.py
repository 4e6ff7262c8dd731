"""Weights & Biases: one run per run, its id made of task and fingerprint."""

from __future__ import annotations

import os

import wandb

from medbench.identity import safe_name
from medbench.record import RunRecord
from medbench_trackers.facts import identities, numbers, settings

PROJECT = "medbench"


def tell(record: RunRecord) -> None:
    """Write a run's numbers and settings to where `WANDB_MODE`, `WANDB_BASE_URL` and `WANDB_PROJECT` say."""
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=safe_name(f"{record.task}-{record.fingerprint}"),
        name=record.model.name,
        group=record.task,
        job_type=record.model.kind,
        config={**settings(record), **identities(record)},
        resume="allow",
        settings=wandb.Settings(silent=True, console="off", disable_code=True, disable_git=True, x_disable_stats=True, x_disable_meta=True),
    )
    run.summary.update(numbers(record))
    run.finish()
