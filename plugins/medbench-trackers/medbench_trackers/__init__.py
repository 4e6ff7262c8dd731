"""Tells experiment trackers of finished runs; which ones, `MEDBENCH_TRACKERS` says."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from medbench.errors import UsageError, suggestion
from medbench.hookspecs import hookimpl
from medbench.record import RunRecord

ENVIRONMENT = "MEDBENCH_TRACKERS"
"""`mlflow,wandb`: tell these; unset or empty: none."""
KNOWN = ("mlflow", "wandb")


def __getattr__(name: str) -> Any:
    """Return whether nothing leaves this machine, `KEEPS_LOCAL`: so it is while no tracker is named."""
    if name == "KEEPS_LOCAL":
        return not chosen()
    raise AttributeError(name)


def chosen() -> list[str]:
    """Return the trackers that are to be told."""
    return [name for item in os.environ.get(ENVIRONMENT, "").split(",") if (name := item.strip())]


@hookimpl
def medbench_finished(record: RunRecord, folder: Path) -> None:  # noqa: ARG001 - trackers get numbers, not the run's folder
    """Tell every chosen tracker of a run.

    Raises:
        UsageError: a tracker is unknown, or not installed.
    """
    for name in chosen():
        if name not in KNOWN:
            raise UsageError(f"{ENVIRONMENT}={name}: no such tracker", hint=suggestion(name, KNOWN))
        try:
            tracker = import_module(f"medbench_trackers.to_{name}")
        except ImportError as error:
            raise UsageError(f"{name} is not installed: pip install 'medbench-trackers[{name}]'", hint=str(error)) from error
        tracker.tell(record)
