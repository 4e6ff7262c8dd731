"""Turning the files that a model's makers released into a folder that it loads: called by name, checked like any options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from medbench.cards import ModelCard
from medbench.errors import MedbenchError, PluginError, Problem, UsageError
from medbench.options import convert_options
from medbench.registry import Registry, missing_modules

FIXED = ("out", "trust_pickle")
"""What every converter takes, and the verb gives by flags of its own."""


def convert(registry: Registry, name: str, parts: Mapping[str, str], out: Path, *, trust_pickle: bool) -> Path:
    """Make a folder of a model's released files.

    Args:
        registry: Where the model is known.
        name: Of the model.
        parts: What the converter takes, as a user gives it: `{"vision": "eva_vit_g.pth"}`.
        out: The folder to make.
        trust_pickle: Whether pickles may be read, which can run code of their maker.

    Returns:
        The folder.

    Raises:
        UsageError: a part is missing, unknown, or of another kind; the model has no converter; or there is something at `out`.
        PluginError: a package that it needs is absent.
    """
    card = registry.get(ModelCard, name)
    function = _converter(card, registry)
    problems: list[Problem] = []
    taken = parts_of(function)
    given = convert_options(function, {key: value for key, value in parts.items() if key in taken}, f"convert {name}", problems)
    usage = f"medbench convert {name} {_usage(taken)} --out FOLDER"
    problems += [Problem(f"convert {name}: {key} has a flag of its own", f"--{key.replace('_', '-')}") for key in parts if key in FIXED]
    problems += [Problem(f"convert {name} has no option {key}", usage) for key in parts if key not in taken and key not in FIXED]
    problems += [Problem(f"convert {name} needs {key}", usage) for key, needed in taken.items() if needed and key not in parts]
    if out.expanduser().exists():
        problems.append(Problem(f"{out}: exists", "name another folder, or remove it"))
    if problems:
        raise UsageError("; ".join(problem.message for problem in problems), hint=problems[0].hint)
    try:
        made: Path = function(**given, out=out, trust_pickle=trust_pickle)
    except MedbenchError as error:
        error.hint = flagged(error.hint)
        raise
    return made


def flagged(hint: str) -> str:
    """Return a hint of what loads weights, which says how a run is told to trust them, in this verb's words.

    >>> flagged("trust its maker with --model-option trust_pickle=true")
    'trust its maker with --trust-pickle'
    """
    return re.sub(r"(--model-option )?\btrust_pickle=true\b", "--trust-pickle", hint)


def parts_of(function: Any) -> dict[str, bool]:
    """Return what a converter takes, and whether it must be given."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default is inspect.Parameter.empty for one in parameters if one.name not in FIXED}


def _usage(taken: Mapping[str, bool]) -> str:
    return " ".join(f"{key}=…" if needed else f"[{key}=…]" for key, needed in taken.items())


def _converter(card: ModelCard, registry: Registry) -> Any:
    if not card.converts:
        able = (
            ", ".join(entry.card.name for entry in registry.entries(ModelCard) if getattr(entry.card, "converts", "")) or "none installed"
        )
        raise UsageError(f"{card.name} has nothing to convert", hint=f"models that have: {able}")
    if absent := missing_modules(card):
        raise PluginError(f"{card.name} needs {', '.join(absent)}", hint=card.install)
    module, _, attribute = card.converts.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PluginError(f"{card.name}: cannot load {card.converts} ({error})", hint=card.install) from error
