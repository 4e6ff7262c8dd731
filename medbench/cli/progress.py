"""Progress with a rate and a time left: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from medbench.costs import dollars
from medbench.events import Fitting, Progress

LOG_SECONDS = 10.0
"""A log gets a line per stage so often, and one at its end."""
DRAW_SECONDS = 0.05
ASKING = frozenset({"predict", "judge"})
"""Stages that put requests to a model: their rate, failures and costs are shown."""
FIT_SECONDS = 2.0
"""A fit gets a line so often."""
TOLD_OFTEN = frozenset({"step", "steps", "stage", "loss", "lr", "epoch", "seconds", "samples"})
"""What a fit tells at every step; anything else is a measurement, and always shown."""


class Progressing:
    """Shows the stages of a run on standard error, so that standard output stays the result."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._started: dict[str, tuple[float, int]] = {}
        self._shown: dict[str, float] = {}
        self._terminal = sys.stderr.isatty() and not quiet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def note(self, text: str, *, to_stdout: bool) -> None:
        """Say a fact once."""
        if self._quiet:
            return
        line = f"{'note':<14} {text}"
        if self._bar is not None:
            self._bar.console.print(line, soft_wrap=True, markup=False, highlight=False)
        else:
            print(line, file=sys.stdout if to_stdout else sys.stderr, flush=True)

    def show(self, event: Progress) -> None:
        """Show how far a stage is."""
        if self._quiet or not event.total:
            return
        now = time.monotonic()
        first = event.stage not in self._started
        if first:
            self._started[event.stage] = (now, event.done)
        ended = event.done >= event.total
        every = DRAW_SECONDS if self._terminal else LOG_SECONDS
        if not first and not ended and now - self._shown.get(event.stage, 0.0) < every:
            return
        if first and not self._terminal and not ended:
            self._shown[event.stage] = now
            return
        self._shown[event.stage] = now
        if self._terminal:
            self._draw(event)
        else:
            self._log(event, now)

    def fitting(self, event: Fitting) -> None:
        """Show what a model tells of its fit: a line now and then, and one for each held-out measurement."""
        if self._quiet:
            return
        now = time.monotonic()
        step, steps = event.values.get("step"), event.values.get("steps")
        measured = any(name not in TOLD_OFTEN for name in event.values)
        if not measured and step != steps and now - self._shown.get("fit", 0.0) < FIT_SECONDS:
            return
        self._shown["fit"] = now
        parts = [f"{step:,}/{steps:,}" if steps else f"step {step:,}"] if step is not None else []
        parts += [f"{name} {_short(value)}" for name, value in event.values.items() if name not in {"step", "steps"}]
        print(f"{'fit':<14} {' · '.join(parts)}", file=sys.stderr, flush=True)

    def _log(self, event: Progress, now: float) -> None:
        began, already = self._started[event.stage]
        taken, new = now - began, event.done - already
        rate = new / taken if taken > 0 and new > 0 else 0.0
        parts = [f"{event.done:,}/{event.total:,}"]
        if rate and event.stage in ASKING:
            parts.append(f"{rate:,.1f}/s")
            if event.done < event.total:
                parts.append(f"{(event.total - event.done) / rate:,.0f} s left")
        if event.stage in ASKING:
            parts.append(f"{event.failed:,} failed")
            parts += _cost(event)
        elif event.done >= event.total:
            parts = [f"{taken:.1f} s"]
        print(f"{event.stage:<14} {' · '.join(parts)}", file=sys.stderr, flush=True)

    def _draw(self, event: Progress) -> None:
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._bar.add_task(event.stage, total=event.total, failed=0, cost="", completed=event.done)
        self._bar.update(self._tasks[event.stage], completed=event.done, total=event.total, failed=event.failed, cost="".join(_cost(event)))


def _cost(event: Progress) -> list[str]:
    """Return what was paid so far, and of how much."""
    if event.usd is None:
        return []
    return [f"{dollars(event.usd)}{f' of {dollars(event.most_usd)}' if event.most_usd is not None else ''}"]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(TextColumn):
        def __init__(self) -> None:
            super().__init__("")

        def render(self, task: Any) -> Text:
            speed = f"{task.speed:,.1f}/s" if task.speed else ""
            failed = f" · {task.fields['failed']} failed" if task.fields["failed"] else ""
            cost = f" · {task.fields['cost']}" if task.fields["cost"] else ""
            return Text(f"{speed}{failed}{cost}")

    columns = (TextColumn("{task.description:<14}"), BarColumn(28), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
