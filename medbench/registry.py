"""From names to cards, and from cards to classes: the only place that imports what a card points to."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import Any, TypeVar

from medbench.cards import KINDS, AnyCard, Card, ModelCard
from medbench.errors import PluginError, UnknownNameError, UsageError, suggestion
from medbench.plugins import Plugins, load_plugins
from medbench.types import Struct

C = TypeVar("C", bound=Card)

KNOWN_PLUGINS = {
    "medbench-biovil": ("biovil-t",),
    "medbench-clip": ("clip-roco", "hf-clip"),
    "medbench-diffusion": ("diffusion", "kandinsky-colonoscopy", "sd-colonoscopy"),
    "medbench-imagegen": ("clip-score", "copies", "fid", "fid-encoder", "fid-medvqagi2024", "is", "kid", "prdc"),
    "medbench-judge": ("chexprompt", "likert", "pairwise", "rubric", "vqa-judge"),
    "medbench-lexical": (
        "bleu",
        "chrf",
        "cider",
        "deltableu",
        "exact-match",
        "hf-evaluate",
        "meteor",
        "rouge-l",
        "rouge-score",
        "sacrebleu",
        "sentence-bleu",
        "token-f1",
    ),
    "medbench-llava": ("hf-vlm", "llava", "llava-lora", "llava-med", "llava-rad"),
    "medbench-mae": ("mae-cls", "mae-llm"),
    "medbench-openai": ("openai",),
    "medbench-pefomed": ("minigpt-v2", "pefomed", "roco-caption"),
}
"""What well-known plugins offer, so that a missing one can be named. Only plugins that exist stand here."""

LISTED = ("task", "model", "metric", "dataset")
"""The kinds that `medbench list` knows."""


class Entry(Struct):
    """A card and the plugin it comes from."""

    plugin: str
    card: AnyCard


class Registry:
    """All cards by kind and name. Built by a function and passed down; there is no global one."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self._by_name: dict[tuple[type[Any], str], list[Entry]] = {}
        for plugin, card in plugins.cards():
            self._by_name.setdefault((type(card), card.name), []).append(Entry(plugin=plugin, card=card))

    def entries(self, kind: type[C]) -> list[Entry]:
        """Return all entries of a kind, sorted by name."""
        return [e for (k, _), found in sorted(self._by_name.items(), key=lambda item: item[0][1]) if k is kind for e in found]

    def names(self, kind: type[C]) -> list[str]:
        """Return the names of a kind, sorted."""
        return sorted(name for k, name in self._by_name if k is kind)

    def get(self, kind: type[C], name: str) -> C:
        """Return the card of that name.

        `package/name` picks one of several packages; `name:argument` (an endpoint's model, say) is the card's business and
        looked up by what stands before the colon.

        Raises:
            UnknownNameError: nothing has that name.
            UsageError: two packages claim it.
        """
        plugin, _, bare = name.partition("/") if "/" in name.partition(":")[0] else ("", "", name)
        found = self._by_name.get((kind, bare)) or self._by_name.get((kind, bare.partition(":")[0])) or []
        if plugin:
            found = [e for e in found if plugin in (e.plugin, e.plugin.removeprefix("medbench-"))]
        if not found:
            raise UnknownNameError(f"no {_noun(kind)} named {name}", hint=self._missing(kind, bare))
        if len(found) > 1:
            claims = ", ".join(f"{e.plugin}/{e.card.name}" for e in found)
            raise UsageError(f"{len(found)} packages offer a {_noun(kind)} named {name}", hint=f"choose one: {claims}")
        card: C = found[0].card  # type: ignore[assignment]
        return card

    def plugin_of(self, card: Card) -> str:
        """Return the name of the plugin that offers this card."""
        for entry in self._by_name.get((type(card), card.name), []):
            if entry.card is card:
                return entry.plugin
        return ""

    def models_that(self, capability: str) -> list[str]:
        """Return the names of the models that have a capability."""
        return [e.card.name for e in self.entries(ModelCard) if isinstance(e.card, ModelCard) and capability in e.card.can]

    def models_that_fit(self) -> list[str]:
        """Return the names of the models that can be fitted."""
        return [e.card.name for e in self.entries(ModelCard) if isinstance(e.card, ModelCard) and e.card.fits != "never"]

    def _missing(self, kind: type[Card], name: str) -> str:
        for package, offered in KNOWN_PLUGINS.items():
            if name.partition(":")[0] in offered and not any(p.name == package for p in self.plugins.found):
                return f"{name} comes with {package}: pip install {package}"
        listed = f"   (medbench list {_noun(kind)}s)" if _noun(kind) in LISTED else ""
        return f"{suggestion(name, self.names(kind))}{listed}"


def load_registry(*extra: Any) -> Registry:
    """Return the registry of all installed plugins and of `extra` ones."""
    return Registry(load_plugins(extra))


def missing_modules(card: Card) -> list[str]:
    """Return the modules a card needs that cannot be found; nothing is imported."""
    return [name for name in card.needs if importlib.util.find_spec(name.partition(".")[0]) is None]


def load(card: Card) -> Any:
    """Import and return what a card points to.

    Raises:
        PluginError: it cannot be imported, or the module has no such name.
    """
    module, _, attribute = card.load.partition(":")
    try:
        loaded = import_module(module)
    except ImportError as error:
        hint = card.install or "is its package installed?"
        raise PluginError(f"{card.name}: cannot import {module} ({error})", hint=hint) from error
    except Exception as error:
        hint = "the plugin is broken: tell those who wrote it   (medbench plugins)"
        raise PluginError(f"{card.name}: importing {module} raised {type(error).__name__}: {error}", hint=hint) from error
    try:
        return getattr(loaded, attribute)
    except AttributeError as error:
        raise PluginError(f"{card.name}: {module} has no {attribute}", hint=f"its card says load = {card.load!r}") from error


def _noun(kind: type[Card]) -> str:
    return next(noun for noun, card in KINDS.items() if card is kind)
