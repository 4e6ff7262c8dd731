"""The one training loop: stages of a trainable on accelerate, on one device or on many, interrupted or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.errors import UsageError
from medbench_torch.fit.batches import Tasks, by_task, pools_of
from medbench_torch.fit.checkpoints import Partial
from medbench_torch.fit.data import data_digest
from medbench_torch.fit.journal import Events, Journal
from medbench_torch.fit.machine import Machine
from medbench_torch.fit.stage_run import Job, Settings, StageRun
from medbench_torch.fit.stages import Stage
from medbench_torch.fit.trainable import Trainable


def fit(
    trainable: Trainable,
    stages: Sequence[Stage],
    examples: Any,
    validation: Any,
    out: Path,
    seed: int,
    events: Events | None = None,
    *,
    resume: bool = True,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Carry out the stages one after the other and leave what they made in `out`.

    State is kept in `OUT.partial/`; the same call goes on from it, and with schedules in steps or epochs it gives the weights
    that an uninterrupted one gives. Each process of an `accelerate launch` calls this; only the main one writes and tells.

    Args:
        trainable: The network and what is particular about it.
        stages: What is done, in order.
        examples: A sequence of (request, target), one that says `by_task`, or a mapping of task -> sequence.
        validation: Likewise, held out; may be empty.
        out: The folder of the result; must not exist, be empty, or hold this very fit.
        seed: Of shuffling, augmentation, dropout.
        events: Called with each event of the main process.
        resume: False: what an interrupted fit left is thrown away.
        settings: How to go about it.

    Returns:
        Facts: per stage its steps, seconds, loss and held-out values; number and digest of the examples.

    Raises:
        UsageError: a stage contradicts itself, does not fit into memory, its loss is not finite, or another fit is there.
        StorageError: `out` holds something else, or cannot be written.
        DataError: a stage has no examples.
    """
    train, kept_back = by_task(examples), by_task(validation)
    _check(stages, train)
    settings = settings or Settings()
    machine = Machine(settings.device, settings.precision)
    facts = {
        "n_examples": sum(map(len, train.values())),
        "n_validation": sum(map(len, kept_back.values())),
        "data": {"train": data_digest(train), "validation": data_digest(kept_back)},
        "seed": seed,
        "processes": machine.world,
        "precision": machine.precision,
    }
    plan = {**facts, "stages": msgspec.to_builtins(list(stages)), "trainable": dict(trainable.identity())}
    with Partial(out, plan, main=machine.main) as partial:
        if done := machine.agree(partial.done() if machine.main else None):
            return {name: value for name, value in done.items() if name != "plan"}
        machine.meet()
        partial.open(resume=resume)
        machine.meet()
        journal = Journal(partial.result, events, speaks=machine.main)
        journal.rewind({number: state.step for number, state in enumerate(partial.stages)})
        job = Job(
            trainable=trainable,
            train=train,
            kept_back=kept_back,
            seed=seed,
            machine=machine,
            partial=partial,
            journal=journal,
            settings=settings,
        )
        stated: list[Mapping[str, Any]] = []
        for number, stage in enumerate(stages):
            stated.append(StageRun(job, stage, number).carry_out({**facts, "stages": stated}))
        partial.finish({**facts, "stages": stated})
        machine.meet()
    return {**facts, "stages": stated}


def _check(stages: Sequence[Stage], train: Tasks) -> None:
    """Raise for stages that contradict themselves or each other, before anything is loaded."""
    names = [stage.name for stage in stages]
    if not stages or len(set(names)) != len(names):
        raise UsageError(f"stages {', '.join(names) or '(none)'}: each needs a name of its own", hint="name at least one")
    for stage in stages:
        stage.check()
        pools_of(stage, train)
