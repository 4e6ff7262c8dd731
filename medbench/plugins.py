"""Finding plugins: each entry point is loaded by itself and guarded, so that a broken one is a line, never a crash."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any

import msgspec
import pluggy

from medbench import hookspecs
from medbench.cards import AnyCard, Card
from medbench.types import Struct

BUILTIN = "medbench"
GROUP = "medbench"
ENVIRONMENT = "MEDBENCH_PLUGINS"
"""`a,b`: load only these plugins; empty: none but the built-in one; unset: all."""


class Plugin(Struct):
    """One plugin as `medbench plugins` shows it."""

    name: str
    """The distribution's name without its `medbench-` prefix being cut: what `pip uninstall` takes."""
    version: str = ""
    module: str = ""
    cards: tuple[AnyCard, ...] = ()
    error: str = ""
    """Why it could not be loaded, in one line; empty: it was."""


class Plugins(Struct):
    """All plugins, and the hook through which they hear of finished runs."""

    found: tuple[Plugin, ...]
    hook: Any

    def cards(self) -> Iterable[tuple[str, AnyCard]]:
        """Yield (plugin name, card)."""
        return ((plugin.name, card) for plugin in self.found for card in plugin.cards)


def load_plugins(extra: Iterable[Any] = ()) -> Plugins:
    """Load the built-in plugin, the installed ones and `extra` (modules or objects with hook implementations)."""
    manager = pluggy.PluginManager("medbench")
    manager.add_hookspecs(hookspecs)
    found = [_register(manager, BUILTIN, _version(BUILTIN), "medbench.builtin", lambda: import_module("medbench.builtin"))]
    for point in _wanted(entry_points(group=GROUP)):
        distribution = point.dist.name if point.dist else point.name
        found.append(_register(manager, distribution, point.dist.version if point.dist else "", point.value, point.load))
    for number, plugin in enumerate(extra):
        name = getattr(plugin, "__name__", f"extra-{number}").split(".")[-1]
        found.append(_register(manager, name, "", name, lambda plugin=plugin: plugin))
    return Plugins(found=tuple(found), hook=manager.hook)


def _wanted(points: Iterable[EntryPoint]) -> list[EntryPoint]:
    listed = sorted(points, key=lambda point: (point.dist.name if point.dist else "", point.name))
    chosen = os.environ.get(ENVIRONMENT)
    if chosen is None:
        return listed
    names = {name.strip() for name in chosen.split(",") if name.strip()}
    return [point for point in listed if point.name in names or (point.dist and point.dist.name in names)]


def _register(manager: pluggy.PluginManager, name: str, version: str, module: str, load: Any) -> Plugin:
    """Load one plugin and collect its cards; whatever goes wrong becomes its `error`."""
    try:
        implementation = load()
        if callable(implementation) and not hasattr(implementation, "medbench_cards"):
            implementation = implementation()
        manager.register(implementation, name=f"{name}:{module}")
        manager.check_pending()
        offered = tuple(implementation.medbench_cards()) if hasattr(implementation, "medbench_cards") else ()
        for card in offered:
            _check_card(card)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code: any failure of it is reported, none may stop the host
        if manager.has_plugin(f"{name}:{module}"):
            manager.unregister(name=f"{name}:{module}")
        reason = " ".join(str(error).split()) or "no message"
        return Plugin(name=name, version=version, module=module, error=f"{type(error).__name__}: {reason}")
    return Plugin(name=name, version=version, module=module, cards=offered)


def _check_card(card: Any) -> None:
    """Refuse what is no card, and a card with a field of the wrong type: structs check their fields only when read."""
    if not isinstance(card, Card):
        raise TypeError(f"medbench_cards returned {type(card).__name__}, not a card")
    try:
        msgspec.convert(msgspec.to_builtins(card), type(card))
    except (msgspec.ValidationError, TypeError) as error:
        raise TypeError(f"card {card.name}: {error}") from error
    if not card.load.partition(":")[2]:
        raise TypeError(f"card {card.name}: load = {card.load!r} is not of the form module:name")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
