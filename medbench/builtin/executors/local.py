"""The local executor: a loop in this process, or a child process for models that load weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

from medbench.builtin.executors.asking import Conversation
from medbench.builtin.executors.child import Child
from medbench.cards import ModelCard
from medbench.errors import MedbenchError, PluginError
from medbench.interfaces import Example, Executor
from medbench.registry import load
from medbench.types import Answer, Asked, Loaded


class LocalExecutor:
    """Runs one model at a time on this machine.

    Args:
        model: A model object that exists already; it is then asked in this process, whatever its card says.
    """

    def __init__(self, model: Any = None) -> None:
        self._model = model

    def map(
        self, card: ModelCard, options: Mapping[str, Any], requests: Iterable[Asked], window: int, log: Path | None = None
    ) -> Iterator[Loaded | Answer]:
        """Load the model, yield `Loaded`, then an answer for each request, in any order within a window."""
        if card.isolated and self._model is None:
            with Child(card, options, log) as child:
                yield from _asked(child.loaded, child.ask, requests, window)
        else:
            conversation = Conversation(self._build(card, options), card.name)
            yield from _asked(Loaded(facts=conversation.facts()), conversation.ask, requests, window)

    def fit(
        self, card: ModelCard, options: Mapping[str, Any], examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int
    ) -> Mapping[str, Any]:
        """Fit the model in this process and leave its weights in `out`."""
        model = self._build(card, options)
        facts: Mapping[str, Any] = model.fit(examples, validation, out, seed, None) or {}
        return facts

    def holding(self) -> AbstractContextManager[Executor]:
        """Return an executor that keeps the last model loaded, for whoever asks in several rounds; not the object given here."""
        if type(self) is not LocalExecutor:
            return nullcontext(self)  # where another class runs models is its own to say
        from medbench.builtin.executors.keeping import KeepingExecutor  # noqa: PLC0415 - it builds on this class

        return KeepingExecutor()

    def _build(self, card: ModelCard, options: Mapping[str, Any]) -> Any:
        return self._model if self._model is not None else build(card, options)


def build(card: ModelCard, options: Mapping[str, Any]) -> Any:
    """Import a model's class and build it.

    Raises:
        PluginError: the class cannot be built from these options.
    """
    made = load(card)
    try:
        return made(**options)
    except MedbenchError:
        raise
    except (TypeError, ValueError, OSError, ImportError) as error:
        raise PluginError(f"{card.name} could not be loaded: {error}", hint=f"medbench show model {card.name}") from error


def _asked(
    loaded: Loaded, ask: Callable[[Sequence[Asked]], Iterator[Answer]], requests: Iterable[Asked], window: int
) -> Iterator[Loaded | Answer]:
    yield loaded
    waiting = iter(requests)
    while part := list(islice(waiting, window)):
        yield from ask(part)
