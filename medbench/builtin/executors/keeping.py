"""A local executor that keeps the last model loaded: runs of a suite that share a model load it once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, Self

from medbench.builtin.executors.asking import Conversation
from medbench.builtin.executors.child import Child
from medbench.builtin.executors.local import LocalExecutor, build
from medbench.cards import ModelCard
from medbench.identity import digest_of
from medbench.interfaces import Executor
from medbench.types import Answer, Asked, Loaded


class KeepingExecutor(LocalExecutor):
    """Runs models on this machine, one at a time; a model is freed when another one is asked for. Use as a context manager."""

    def __init__(self) -> None:
        super().__init__()
        self._key = ""
        self._child: Child | None = None
        self._ask: Callable[[Sequence[Asked]], Iterator[Answer]] | None = None
        self._loaded = Loaded(facts={})
        self.loads = 0
        """How often a model was loaded."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

    def map(
        self, card: ModelCard, options: Mapping[str, Any], requests: Iterable[Asked], window: int, log: Path | None = None
    ) -> Iterator[Loaded | Answer]:
        """Load the model unless it is loaded, yield `Loaded`, then an answer for each request, in any order within a window."""
        key = digest_of([card, dict(options)])
        if key != self._key or self._ask is None:
            self.free()
            self._load(card, options, log)
            self._key = key
        assert self._ask is not None
        yield self._loaded
        waiting = iter(requests)
        try:
            while part := list(islice(waiting, window)):
                yield from self._ask(part)
        except BaseException:
            self.free()  # what broke, or was broken off, is not to be trusted with the next run
            raise

    def holding(self) -> AbstractContextManager[Executor]:
        """Return this executor: it keeps models loaded as it is, and whoever made it frees them."""
        return nullcontext(self)

    def free(self) -> None:
        """Let go of the model that is loaded."""
        child, self._child, self._ask, self._key = self._child, None, None, ""
        if child is not None:
            child.__exit__(None, None, None)

    def _load(self, card: ModelCard, options: Mapping[str, Any], log: Path | None) -> None:
        self.loads += 1
        if card.isolated:
            self._child = Child(card, options, log).__enter__()
            self._loaded, self._ask = self._child.loaded, self._child.ask
        else:
            conversation = Conversation(build(card, options), card.name)
            self._loaded, self._ask = Loaded(facts=conversation.facts()), conversation.ask
