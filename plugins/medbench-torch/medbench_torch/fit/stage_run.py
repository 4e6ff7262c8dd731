"""One stage of a fit: its steps, its looks at the validation examples, its checkpoints."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import torch

from medbench.errors import UsageError
from medbench.identity import sample_seed
from medbench_torch.devices import Placement
from medbench_torch.fit.batches import Feed, Tasks, held_out, pools_of
from medbench_torch.fit.checkpoints import Partial, refuse
from medbench_torch.fit.journal import Journal
from medbench_torch.fit.machine import Machine
from medbench_torch.fit.stages import Stage
from medbench_torch.fit.trainable import Trainable


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a fit goes about it; nothing here changes what comes of it, but for `precision` and `device`."""

    device: str = "auto"
    """`auto`: as `accelerate launch` says, else an accelerator where there is one; `cpu`: not there."""
    precision: str = ""
    """`no`, `bf16` or `fp16`; empty: as `accelerate launch` says, else float32."""
    workers: int = 1
    """Threads of each process that make batches ahead."""
    save_every: int = 200
    """Steps between two checkpoints; 0: only at the ends of stages."""
    log_every: int = 10
    """Steps between two `step` events."""

    @classmethod
    def on(cls, placement: Placement, *, workers: int, save_every: int) -> Settings:
        """Return the settings of a fit where a model would be placed: half precision where its weights have it.

        Args:
            placement: From `place`.
            workers: As the user gave it; 0: two.
            save_every: Steps between two checkpoints.
        """
        half = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(placement.dtype, "")
        device = "cpu" if placement.device.type == "cpu" else "auto"
        return cls(device=device, precision=half, workers=workers or 2, save_every=save_every)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all stages of a fit share."""

    trainable: Trainable
    train: Tasks
    kept_back: Tasks
    seed: int
    machine: Machine
    partial: Partial
    journal: Journal
    settings: Settings


class StageRun:
    """One stage being carried out."""

    def __init__(self, job: Job, stage: Stage, number: int) -> None:
        self._job, self._stage, self._number = job, stage, number
        self._machine, self._partial = job.machine, job.partial
        self._state = job.partial.state_of(number)
        n = sum(map(len, pools_of(stage, job.train)[0]))
        self._total = stage.schedule.steps_in_all(n, stage.batch * stage.accumulate * job.machine.world)
        self._sums = torch.zeros(2, dtype=torch.float32 if job.machine.device.type == "mps" else torch.float64, device=job.machine.device)
        if job.machine.main:
            self._sums += torch.tensor(self._state.pending).to(self._sums)

    def carry_out(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Train the stage from where it is, write what it made, and return its facts."""
        stage, machine = self._stage, self._machine
        self._job.trainable.begin(stage)
        machine.prepare(self._job.trainable, stage)
        if self._state.state:
            machine.load(self._partial.path(self._state.state))
        if not self._state.finished:
            try:
                self._learn()
            except torch.OutOfMemoryError as error:
                raise refuse(error, stage.name) from error
            self._end(facts)
        machine.release()
        return self._facts()

    def _learn(self) -> None:
        state, schedule = self._state, self._stage.schedule
        self._say("resumed" if state.step else "stage", steps=self._total, seconds_limit=schedule.seconds)
        begun = time.monotonic() - state.seconds
        feed = Feed(
            self._job.trainable,
            self._stage,
            self._job.train,
            self._job.seed,
            rank=self._machine.rank,
            world=self._machine.world,
            workers=self._job.settings.workers,
            skip=state.step,
        )
        with feed:
            while not self._over():
                passed = self._state.step / self._total if self._total else self._state.seconds / schedule.seconds
                rate = schedule.rate(self._state.step, self._total, passed)
                self._one_step(feed, rate)
                seconds = time.monotonic() - begun
                if not self._total:
                    # one clock for all processes, or they would not end together
                    seconds = self._machine.agree(seconds)
                self._state = msgspec.structs.replace(self._state, step=self._state.step + 1, seconds=seconds)
                self._look_around(rate)

    def _over(self) -> bool:
        if self._state.stopped:
            return True
        return self._state.step >= self._total if self._total else self._state.seconds >= self._stage.schedule.seconds

    def _one_step(self, feed: Feed, rate: float) -> None:
        machine = self._machine
        batches = feed.step()
        total = machine.summed(float(sum(count for _, count in batches)))
        for turn, (batch, _) in enumerate(batches):
            # each pass has noise of its own, the same whether or not the fit was interrupted before it
            torch.manual_seed(sample_seed(self._job.seed, f"{self._stage.name} {self._state.step} {turn} {machine.rank}"))
            moved = machine.moved(batch)
            with machine.accumulating(last=turn == len(batches) - 1):
                loss = self._job.trainable.loss(machine.module, moved)
                machine.backward(loss, total)
                self._sums[0] += loss.detach()
        self._sums[1] += total / machine.world
        machine.step(rate, self._stage.clip)

    def _look_around(self, rate: float) -> None:
        """After a step: tell, evaluate, keep, each when it is due."""
        step, stage = self._state.step, self._stage
        over = self._over()
        if step % self._job.settings.log_every == 0 or over:
            self._tell(rate)
        if (stage.evaluate_every and step % stage.evaluate_every == 0) or over:
            self._look()
        elif self._job.settings.save_every and step % self._job.settings.save_every == 0:
            self._keep()

    def _tell(self, rate: float) -> None:
        loss_sum, count = self._machine.summed(self._sums).tolist()
        self._sums.zero_()
        loss = loss_sum / max(count, 1.0)
        if not loss - loss == 0:
            raise UsageError(
                f"stage {self._stage.name}: the loss is {loss} at step {self._state.step}", hint="a smaller lr=, or bf16 rather than fp16"
            )
        self._state = msgspec.structs.replace(self._state, loss=loss)
        seconds = round(self._state.seconds, 3)
        self._say("step", loss=round(loss, 6), lr=rate, steps=self._total, seconds=seconds)

    def _look(self) -> None:
        """Evaluate; where patience asks for it, keep the best weights and see whether to stop."""
        stage, state = self._stage, self._state
        held = self._evaluate()
        self._state = state = msgspec.structs.replace(state, held_out=held)
        if held:
            self._say("held-out", **held)
        if not stage.patience:
            if stage.evaluate_every and not self._over():
                self._keep()
            return
        if stage.watch not in held:
            raise UsageError(
                f"stage {stage.name}: there is no held-out {stage.watch}",
                hint=f"watch one of {', '.join(held) or 'nothing'}; is there a validation split?",
            )
        value = held[stage.watch]
        best = state.best_value
        if best is None or (value > best if stage.watch_rises else value < best):
            name = self._partial.write(f"stage-{self._number}-best-{state.step}", self._machine.save_weights, self._machine.meet)
            self._state = msgspec.structs.replace(state, best=name, best_value=value, best_step=state.step, best_held_out=held, looks=0)
        else:
            self._state = msgspec.structs.replace(state, looks=state.looks + 1, stopped=state.looks + 1 >= stage.patience)
        self._keep()

    def _evaluate(self) -> dict[str, float]:
        batches = held_out(self._job.kept_back, self._stage, self._machine.rank, self._machine.world)
        if not batches:
            return {}
        with self._machine.judging() as module:
            sums = torch.zeros_like(self._sums)
            for examples, counts in batches:
                batch, count = self._job.trainable.collate(examples, [0] * len(examples), training=False)
                loss = self._job.trainable.loss(module, self._machine.moved(batch))
                if counts:
                    sums += torch.stack([loss.detach().to(sums), torch.tensor(float(count)).to(sums)])
            loss_sum, total = self._machine.summed(sums).tolist()
            further = self._job.trainable.evaluate(module, self._job.kept_back)
        held = {"loss": loss_sum / max(total, 1.0), **further}
        return {name: float(value) for name, value in self._machine.agree(held).items()}

    def _keep(self, *, finished: bool = False) -> None:
        name = f"stage-{self._number}-{'done' if finished else self._state.step}"
        save = self._machine.save_weights if finished else self._machine.save_all
        written = self._partial.write(name, save, self._machine.meet)
        best = "" if finished else self._state.best
        pending = tuple(self._machine.summed(self._sums).tolist())
        self._state = msgspec.structs.replace(self._state, state=written, finished=finished, best=best, pending=pending)
        self._partial.keep(self._number, self._state)
        self._machine.meet()

    def _end(self, facts: Mapping[str, Any]) -> None:
        """Take the best weights where patience kept some, write what the stage made, and remember that it is done."""
        if self._state.best and self._state.best_step != self._state.step:
            self._machine.load_weights(self._partial.path(self._state.best))
            self._state = msgspec.structs.replace(self._state, held_out=self._state.best_held_out)
        made = self._machine.whole_state()
        if self._machine.main:
            stages = [*facts["stages"], self._facts()]
            self._job.trainable.save(self._partial.result, self._stage, made, {**facts, "stages": stages})
        self._say("stage-end", seconds=round(self._state.seconds, 3), stopped=self._state.stopped)
        self._keep(finished=True)

    def _facts(self) -> dict[str, Any]:
        state = self._state
        facts: dict[str, Any] = {"name": self._stage.name, "steps": state.step, "seconds": round(state.seconds, 1), "loss": state.loss}
        if self._stage.patience:
            facts |= {"best_step": state.best_step, "stopped": state.stopped}
        return {**facts, "held_out": state.held_out}

    def _say(self, event: str, **facts: Any) -> None:
        self._job.journal.say(event, stage=self._stage.name, stage_number=self._number, step=self._state.step, **facts)
