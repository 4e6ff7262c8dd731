"""Which examples make up each batch: drawn from the seed alone, whatever the number of workers and processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Any, Self

import numpy as np

from medbench.errors import DataError, suggestion
from medbench.identity import sample_seed
from medbench.interfaces import Example
from medbench_torch.fit.stages import Stage
from medbench_torch.fit.trainable import Batch, Trainable

Tasks = Mapping[str, Sequence[Example]]


def pools_of(stage: Stage, examples: Tasks) -> tuple[list[Sequence[Example]], list[float]]:
    """Return what a stage draws from, and the share of each pool; a stage without tasks has one pool of all examples.

    Raises:
        DataError: a task has no examples here.
    """
    if not stage.tasks:
        everything = [example for name in examples for example in examples[name]]
        if not everything:
            raise DataError(f"stage {stage.name}: there is no example to train on", hint="does the train split have references?")
        return [everything], [1.0]
    for name in stage.tasks:
        if not examples.get(name):
            raise DataError(f"stage {stage.name}: there are no examples of {name}", hint=suggestion(name, examples))
    total = sum(stage.tasks.values())
    return [examples[name] for name in stage.tasks], [weight / total for weight in stage.tasks.values()]


def draws(sizes: Sequence[int], shares: Sequence[float], seed: int) -> Iterator[tuple[int, int]]:
    """Yield (pool, index) without end: each pool is gone through in a new order again and again, pools alternate by share.

    >>> list(islice(draws([3], [1.0], seed=0), 6))
    [(0, 2), (0, 0), (0, 1), (0, 1), (0, 2), (0, 0)]
    """
    orders = [_order(size, sample_seed(seed, f"pool {number}")) for number, size in enumerate(sizes)]
    if len(sizes) == 1:
        yield from ((0, index) for index in orders[0])
    chooser = np.random.default_rng(sample_seed(seed, "pools"))
    while True:
        for pool in chooser.choice(len(sizes), size=1024, p=shares).tolist():
            yield pool, next(orders[pool])


def _order(size: int, seed: int) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    while True:
        yield from rng.permutation(size).tolist()


class Feed:
    """The batches of one process, step by step, made ahead in threads. Use as a context manager.

    The examples of a step are drawn for all processes together and dealt out in turn: two processes with half the batch
    see what one process sees with all of it. Every example has a seed of its own for what is random about it.
    """

    def __init__(
        self,
        trainable: Trainable,
        stage: Stage,
        examples: Tasks,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        workers: int = 1,
        skip: int = 0,
    ) -> None:
        self._trainable = trainable
        self._stage = stage
        self._pools, shares = pools_of(stage, examples)
        self._seed = sample_seed(seed, f"stage {stage.name}")
        self._rank, self._world, self._workers = rank, world, max(1, workers)
        self._number = skip * stage.batch * stage.accumulate * world
        drawn = draws([len(pool) for pool in self._pools], shares, self._seed)
        self._drawn = islice(drawn, self._number, None)
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="medbench-fit")
        self._ahead: deque[list[Future[Batch]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def step(self) -> list[Batch]:
        """Return the batches of the next optimiser step, one for each forward pass."""
        while len(self._ahead) <= self._workers:
            self._ahead.append([self._submit() for _ in range(self._stage.accumulate)])
        return [future.result() for future in self._ahead.popleft()]

    def _submit(self) -> Future[Batch]:
        whole = list(islice(self._drawn, self._stage.batch * self._world))
        numbers = range(self._number, self._number + len(whole))
        self._number += len(whole)
        mine = list(zip(whole, numbers, strict=True))[self._rank :: self._world]
        chosen = [self._pools[pool][index] for (pool, index), _ in mine]
        seeds = [sample_seed(self._seed, f"draw {number}") for _, number in mine]
        return self._pool.submit(self._trainable.collate, chosen, seeds)


def held_out(examples: Tasks, stage: Stage, rank: int, world: int) -> list[tuple[list[Example], bool]]:
    """Return the validation batches of one process, in order, and whether each counts.

    Every process has equally many, since a sharded model is run by all of them together; the surplus ones do not count.
    """
    everything = [example for name in sorted(stage.tasks or examples) for example in examples.get(name, ())]
    batches = [everything[start : start + stage.batch] for start in range(0, len(everything), stage.batch)]
    rounds = -(-len(batches) // world)
    places = (turn * world + rank for turn in range(rounds))
    return [(batches[min(place, len(batches) - 1)], place < len(batches)) for place in places]


def by_task(examples: Any, default: str = "task") -> dict[str, list[Example]]:
    """Return task -> examples, for a plain sequence of examples, one that says `by_task`, or a mapping."""
    named = examples if isinstance(examples, Mapping) else getattr(examples, "by_task", None)
    return {name: list(found) for name, found in named.items()} if named else {default: list(examples)}
