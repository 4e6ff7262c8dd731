"""The two hooks of medbench: what a plugin offers, and what it wants to know."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from medbench.cards import AnyCard
    from medbench.record import RunRecord

hookspec = pluggy.HookspecMarker("medbench")
hookimpl = pluggy.HookimplMarker("medbench")


@hookspec
def medbench_cards() -> Iterable[AnyCard]:  # type: ignore[empty-body]
    """Return everything this plugin offers, as data. Import nothing heavy to do so."""


@hookspec
def medbench_finished(record: RunRecord, folder: Path) -> None:
    """Hear that a run was written (trackers, notifications). A failure here is a note, never a failed run."""
