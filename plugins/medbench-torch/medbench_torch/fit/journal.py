"""The events of a fit: handed on as they happen, and kept as JSON lines."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from medbench.files import storage, write_whole

Events = Callable[[dict[str, Any]], None]
FILE = "events.jsonl"


class Journal:
    """Where a fit says what happens. Only the main process has one that speaks.

    Args:
        folder: Where `events.jsonl` lies.
        events: Also called with each event; None: nobody listens.
        speaks: Whether this process writes and tells.
    """

    def __init__(self, folder: Path, events: Events | None, *, speaks: bool) -> None:
        self._path = folder / FILE
        self._events = events
        self._speaks = speaks

    def rewind(self, steps: Mapping[int, int]) -> None:
        """Drop the events that come after a checkpoint: `steps` is stage number -> steps done there."""
        if not self._speaks or not self._path.is_file():
            return
        kept = []
        for line in self._path.read_bytes().splitlines(keepends=True):
            with contextlib.suppress(msgspec.MsgspecError):  # the last line may be torn
                event = msgspec.json.decode(line)
                if event["step"] <= steps.get(event["stage_number"], -1):
                    kept.append(line)
        write_whole(self._path, b"".join(kept))

    def say(self, event: str, **facts: Any) -> None:
        """Tell what happened: `event` is `stage`, `step`, `held-out` or `stage-end`; `facts` are plain data."""
        if not self._speaks:
            return
        made = {"event": event, **facts}
        with storage(self._path, "choose another folder with --out"), self._path.open("ab") as file:
            file.write(msgspec.json.encode(made) + b"\n")
        if self._events:
            self._events(made)


def plainly(events: Callable[[dict[str, Any]], Any] | None) -> Events | None:
    """Return a listener that passes on what a person wants to hear: stage, step, loss, rate; held-out values under that name."""
    if events is None:
        return None

    def listen(event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "stage-end":
            return
        place = {name: event[name] for name in ("stage", "step") if name in event}
        if kind == "held-out":
            events(
                {**place, **{f"held-out {name}": value for name, value in event.items() if name not in {*place, "event", "stage_number"}}}
            )
        else:
            events({**place, **{name: event[name] for name in ("steps", "loss", "lr") if event.get(name) is not None}})

    return listen


def read_events(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a fit; empty when there are none."""
    path = folder / FILE
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()] if path.is_file() else []
