"""What a fit does, as plain data: stages, and how each one's learning rate runs."""

from __future__ import annotations

import math
from typing import Literal

from medbench.errors import UsageError
from medbench.types import Struct

Trains = Literal["full", "lora"] | tuple[str, ...]
"""What a stage trains: everything, the low-rank matrices (and what the plugin adds to them), or parameters by parts of their names."""


class Schedule(Struct):
    """How long a stage runs, and its learning rate on the way; exactly one of `steps`, `seconds`, `epochs` is given."""

    lr: float
    """Peak learning rate."""
    steps: int = 0
    """Optimiser steps."""
    seconds: float = 0.0
    """Time of training: depends on the machine, so two runs differ; only steps and epochs give the same weights again."""
    epochs: float = 0.0
    """Passes over all examples; a part of one is allowed."""
    warmup: float = 0.03
    """Linear rise from 0: a share of the stage below 1, a number of steps from 1 on."""
    shape: Literal["cosine", "linear", "constant"] = "cosine"
    """How it falls after the rise, to `min_lr` at the end."""
    min_lr: float = 0.0

    def check(self, stage: str) -> None:
        """Raise when the schedule contradicts itself.

        Raises:
            UsageError: not exactly one length, or a rate that is no rate.
        """
        given = [name for name in ("steps", "seconds", "epochs") if getattr(self, name)]
        if len(given) != 1 or min(self.steps, self.seconds, self.epochs) < 0:
            said = " and ".join(given) or "nothing"
            raise UsageError(f"stage {stage}: its length is given by {said}", hint="give one of steps, seconds, epochs, above 0")
        if not 0 <= self.min_lr <= self.lr or not 0 < self.lr < math.inf:
            raise UsageError(f"stage {stage}: lr = {self.lr:g}, min_lr = {self.min_lr:g}", hint="0 <= min_lr <= lr, and lr above 0")
        if not 0 <= self.warmup < math.inf:
            raise UsageError(f"stage {stage}: warmup = {self.warmup:g}", hint="a share of the stage below 1, or a number of steps")

    def steps_in_all(self, n_examples: int, effective_batch: int) -> int:
        """Return the number of optimiser steps; 0: the clock decides.

        >>> Schedule(lr=1e-3, epochs=1.5).steps_in_all(100, 32)
        5
        """
        if self.epochs:
            return max(1, math.ceil(self.epochs * n_examples / effective_batch))
        return self.steps

    def rate(self, step: int, total: int, passed: float) -> float:
        """Return the learning rate of a step.

        Args:
            step: Steps done before it.
            total: Steps of the stage; 0: the clock decides.
            passed: Share of the stage that is over, 0 to 1.

        >>> [round(Schedule(lr=1.0, steps=10, warmup=2, shape="linear").rate(s, 10, s / 10), 2) for s in (0, 1, 2, 9)]
        [0.5, 1.0, 1.0, 0.13]
        """
        in_steps = bool(total) or self.warmup >= 1
        warm = self.warmup if self.warmup >= 1 else self.warmup * total
        if in_steps and step + 1 <= warm:
            return self.lr * (step + 1) / warm
        if not in_steps and passed < self.warmup:
            return self.lr * passed / self.warmup
        risen = warm / total if total else warm * passed / max(step, 1) if in_steps else self.warmup
        return self.min_lr + (self.lr - self.min_lr) * self._fall((passed - risen) / max(1.0 - risen, 1e-9))

    def _fall(self, share: float) -> float:
        share = min(max(share, 0.0), 1.0)
        if self.shape == "constant":
            return 1.0
        return 1.0 - share if self.shape == "linear" else 0.5 * (1.0 + math.cos(math.pi * share))


class Stage(Struct):
    """One part of a fit: what is trained, on what, for how long."""

    name: str
    """Path-safe, and unique in its fit."""
    schedule: Schedule
    trains: Trains = "full"
    tasks: dict[str, float] = {}
    """Task -> weight: how often an example is drawn from it. Empty: all examples in one pool."""
    batch: int = 8
    """Examples of one process in one forward pass."""
    accumulate: int = 1
    """Forward passes to one optimiser step."""
    weight_decay: float = 0.0
    """Not on biases and norms."""
    clip: float = 1.0
    """Largest norm of the gradient; 0: not clipped."""
    betas: tuple[float, float] = (0.9, 0.95)
    rates: dict[str, float] = {}
    """Part of a parameter's name -> factor on the learning rate (a projector beside LoRA)."""
    evaluate_every: int = 0
    """Steps between two looks at the validation examples; 0: only at the end."""
    patience: int = 0
    """So many looks without an improvement end the stage, and its best weights are taken; 0: the last ones are."""
    watch: str = "loss"
    """The held-out value that patience is about."""
    watch_rises: bool = False
    """Whether a higher value of it is better."""
    checkpointing: bool = False
    """Compute activations again in the backward pass rather than keep them (gradient checkpointing)."""

    def check(self) -> None:
        """Raise when the stage contradicts itself.

        Raises:
            UsageError: naming the stage and the value.
        """
        self.schedule.check(self.name)
        for name, low in (("batch", 1), ("accumulate", 1), ("evaluate_every", 0), ("patience", 0), ("clip", 0), ("weight_decay", 0)):
            if getattr(self, name) < low:
                raise UsageError(f"stage {self.name}: {name} = {getattr(self, name)}", hint=f"at least {low}")
        if self.patience and not self.evaluate_every:
            raise UsageError(
                f"stage {self.name}: patience without evaluate_every", hint="say after how many steps to look: evaluate_every=…"
            )
        if any(not 0 < weight < math.inf for weight in self.tasks.values()):
            raise UsageError(f"stage {self.name}: the weight of a task is above 0", hint="leave out a task that is not wanted")
