"""Options as a user gives them, checked against what a class says it takes: by signature or by its parameter struct."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

import msgspec

from medbench.errors import MedbenchError, Problem, UsageError, nearest
from medbench.types import Struct

T = TypeVar("T")


class RunOptions(Struct):
    """Everything a user may say about a run: the one register of option names."""

    task: str
    model: str = ""
    data: str | None = None
    split: str | None = None
    variant: str | None = None
    protocol: str | None = None
    params: dict[str, Any] = {}
    images: tuple[str, ...] = ("true",)
    limit: int | None = None
    seed: int = 0
    batch_size: int | None = None
    device: str | None = None
    workers: int | None = None
    model_options: dict[str, Any] = {}
    metrics: tuple[str, ...] = ()
    metric_options: dict[str, Any] = {}
    conventions: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    judge: str = ""
    judge_options: dict[str, Any] = {}
    executor: str = "local"
    shard: str = ""
    runs_dir: str = "runs"
    fresh: bool = False
    retry_failed: bool = False
    permission: str = ""
    """Why credentialed data may be sent to a network model, in the user's words; empty: it may not."""
    max_cost: float | None = None
    """What the outputs may cost at most, in US dollars, with those that are there already; None: no limit."""


def pairs(given: Iterable[str], flag: str) -> dict[str, str]:
    """Return `key=value` arguments as a dict.

    Raises:
        UsageError: one has no `=`.
    """
    made: dict[str, str] = {}
    for item in given:
        key, sign, value = item.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"{flag} {item}: not of the form key=value", hint=f"{flag} name=value, once for each option")
        made[key.strip()] = value
    return made


def signature_of(made: Any) -> dict[str, inspect.Parameter]:
    """Return the keyword options of a class or a factory by name; `**options` stands under its own name with its kind.

    Where a class has a base, its `**options` are those that the base takes.
    """
    parameters = inspect.signature(made).parameters.values()
    own = {p.name: p for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY, p.VAR_KEYWORD} and p.name != "self"}
    base = _passed_on_to(made)
    return own if base is None else {**{n: p for n, p in own.items() if p.kind is not p.VAR_KEYWORD}, **signature_of(base)}


def accepts(made: Any, name: str) -> bool:
    """Say whether a class takes an option of that name."""
    known = signature_of(made)
    return name in known or any(p.kind is p.VAR_KEYWORD for p in known.values())


def convert_options(made: Any, given: Mapping[str, Any], owner: str, problems: list[Problem]) -> dict[str, Any]:
    """Return options in the types that a class's signature names; what does not fit becomes a problem."""
    known = signature_of(made)
    anything = any(p.kind is p.VAR_KEYWORD for p in known.values())
    hints = _hints(made)
    converted: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known and not anything:
            close = nearest(name, known)
            listed = ", ".join(known) or "it takes none"
            problems.append(Problem(f"{owner} has no option {name}", f"did you mean {close[0]}?" if close else f"its options: {listed}"))
            continue
        try:
            converted[name] = _converted(value, hints.get(name, Any))
        except msgspec.ValidationError as error:
            problems.append(Problem(f"{owner}: option {name}={value}: {_lower(str(error))}"))
    return converted


def convert_params(
    struct: type[Any], given: Mapping[str, Any], owner: str, problems: list[Problem], where: Mapping[str, str] | None = None
) -> Any:
    """Return a parameter struct filled from `given`; what does not fit becomes a problem and keeps its default.

    Args:
        struct: The protocol's `Params`.
        given: Name -> value.
        owner: The protocol, for messages.
        problems: Where what does not fit is added.
        where: Name -> file and key it was read from, as the beginning of a message.
    """
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if name not in struct.__struct_fields__:
            close = nearest(name, struct.__struct_fields__)
            hint = f"did you mean {close[0]}?" if close else f"its parameters: {', '.join(struct.__struct_fields__)}"
            problems.append(Problem(f"{(where or {}).get(name, '')}protocol {owner} has no parameter {name}", hint))
            continue
        try:
            msgspec.convert({name: value}, struct, strict=False)
        except msgspec.ValidationError as error:
            said = _lower(str(error).partition(" - at")[0])
            problems.append(Problem(f"{(where or {}).get(name, '')}protocol {owner}: parameter {name}={value}: {said}"))
            continue
        kept[name] = value
    return msgspec.convert(kept, struct, strict=False)


def argument_of(name: str) -> dict[str, Any]:
    """Return what stands behind the colon of `openai:gpt-4o` as the option `name`."""
    _, sign, argument = name.partition(":")
    return {"name": argument} if sign else {}


def attempt(make: Callable[[], T], problems: list[Problem]) -> T | None:
    """Return what `make` gives; what a user can act on becomes a problem."""
    try:
        return make()
    except MedbenchError as error:
        problems.append(Problem(error.message, error.hint))
        return None


def _converted(value: Any, kind: Any) -> Any:
    """Return a value in the type that is asked for; paths stay text, and what msgspec cannot judge is the class's business."""
    if isinstance(kind, type) and issubclass(kind, PurePath):
        kind = str
    try:
        return msgspec.convert(value, kind, strict=False)
    except TypeError:
        return value


def _hints(made: Any) -> dict[str, Any]:
    base = _passed_on_to(made)
    inherited = {} if base is None else _hints(base)
    try:
        return inherited | typing.get_type_hints(made.__init__ if inspect.isclass(made) else made)
    except (NameError, TypeError, AttributeError):
        return inherited


def _passed_on_to(made: Any) -> Any:
    """Return the base class that a class's `**options` go to; None: it takes none, or has no such base."""
    if not inspect.isclass(made) or all(p.kind is not p.VAR_KEYWORD for p in inspect.signature(made).parameters.values()):
        return None
    return next((base for base in made.__mro__[1:] if base is not object and "__init__" in vars(base)), None)


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
