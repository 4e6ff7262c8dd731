"""Which protocol of a task a model is put to, and with what parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from medbench.cards import ModelCard, ProtocolCard
from medbench.errors import Problem, suggestion
from medbench.options import RunOptions, attempt, convert_params
from medbench.registry import Registry, load, missing_modules
from medbench.tasks import Task

T = TypeVar("T")

READER = "reader."
"""What parameters of the reader are called among a run's parameters: `reader.preset`."""


def choose_protocol(
    task: Task, options: RunOptions, model: ModelCard | None, registry: Registry, problems: list[Problem]
) -> ProtocolCard | None:
    """Return the protocol that was asked for, else the task's first one that the model's capabilities allow."""
    names = (options.protocol,) if options.protocol else task.protocol
    if options.protocol and options.protocol not in task.protocol:
        problems.append(Problem(f"{task.name} has no protocol {options.protocol}", suggestion(options.protocol, task.protocol)))
    unknown: list[Problem] = []
    cards = [card for name in names if (card := of_task(task, "protocol", partial(registry.get, ProtocolCard, name), unknown))]
    if not cards:
        problems += unknown[:1]  # a protocol of another plugin does not stand in the way of one that is here
        return None
    chosen: ProtocolCard = next((card for card in cards if model is None or not card.misfit(model)), cards[0])
    if missing := missing_modules(chosen):
        problems.append(Problem(f"protocol {chosen.name} needs {', '.join(missing)}", chosen.install or "install it into this environment"))
    return chosen


def protocol_params(
    task: Task, options: RunOptions, protocol: ProtocolCard | None, registry: Registry, problems: list[Problem]
) -> dict[str, Any]:
    """Return the parameters of a protocol, from its task and from what the run says, as they come back from a record."""
    made = attempt(lambda: load(protocol), problems) if protocol else None
    if made is None or protocol is None:
        return {}
    strange = [name for name in task.params if name not in made.Params.__struct_fields__]
    others = _params_of_others(task, protocol, registry) if strange else set()
    stated = {name: value for name, value in task.params.items() if name not in strange or name not in others}
    given = {**stated, **{name: value for name, value in options.params.items() if not name.startswith(READER)}}
    if "seed" in made.Params.__struct_fields__:
        given.setdefault("seed", options.seed)
    own = {name: f"{task.path}: params.{name}: " for name in task.params if task.path and name not in options.params}
    converted = convert_params(made.Params, given, protocol.name, problems, own)
    # a tuple, which a record gives back as a list, would make the same run look changed
    params: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(converted))
    return params


def _params_of_others(task: Task, protocol: ProtocolCard, registry: Registry) -> set[str]:
    """Return the parameters of the other protocols of a task: what its file says to them is no mistake."""
    unread: list[Problem] = []
    cards = [attempt(partial(registry.get, ProtocolCard, name), unread) for name in task.protocol if name != protocol.name]
    made = [attempt(partial(load, card), unread) for card in cards if card]
    return {name for one in made if one for name in one.Params.__struct_fields__}


def of_task(task: Task, key: str, make: Callable[[], T], problems: list[Problem]) -> T | None:
    """Return what a key of the task names; a mistake there is told with the file and the key."""
    found: list[Problem] = []
    made = attempt(make, found)
    problems += [Problem(f"{task.path or task.name}: {key}: {problem.message}", problem.hint) for problem in found]
    return made
