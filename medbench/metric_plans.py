"""Which metrics are computed, under which conventions, with which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from medbench.cards import MetricCard
from medbench.errors import Problem, UnknownNameError, UsageError, suggestion
from medbench.identity import digest_of, safe_name
from medbench.options import RunOptions, accepts, argument_of, attempt, convert_options
from medbench.registry import Registry, load, missing_modules
from medbench.tasks import Task
from medbench.types import Struct


class MetricPlan(Struct):
    """One metric under one set of conventions."""

    card: MetricCard
    convention: dict[str, str] = {}
    options: dict[str, Any] = {}

    @property
    def slug(self) -> str:
        """A name for files: metric, conventions, options."""
        parts = [self.card.name, *sorted(self.convention.values())]
        return safe_name("-".join(parts)) + (f"-{digest_of(self.portable)[:8]}" if self.options else "")

    @property
    def portable(self) -> dict[str, Any]:
        """Its options, files by their names alone: where they lie on a machine is nobody's business."""
        return portable(self.card, self.options)


def portable(card: MetricCard, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in which a path is its last part.

    >>> portable(MetricCard(name="m", load="a:b", takes=("text",), scores={}, paths=("file",)), {"file": "/home/ann/scale.toml", "n": 3})
    {'file': 'scale.toml', 'n': 3}
    """
    return {name: Path(str(value)).name if name in card.paths and value else value for name, value in options.items()}


def plan_metrics(task: Task, options: RunOptions, registry: Registry, problems: list[Problem]) -> tuple[list[MetricPlan], dict[str, str]]:
    """Return the metrics to compute, each under each convention asked for, and the task's own that cannot be computed here."""
    wanted = options.metrics or task.metrics
    cards: list[tuple[str, MetricCard]] = []
    absent: dict[str, str] = {}
    for name in dict.fromkeys(wanted):
        try:
            card = registry.get(MetricCard, name)
        except UsageError as error:
            if options.metrics or not isinstance(error, UnknownNameError):
                problems.append(Problem(error.message, error.hint))
            absent[name] = error.hint or error.message
            continue
        missing = missing_modules(card)
        if missing:
            if options.metrics:
                problems.append(Problem(f"metric {name} needs {', '.join(missing)}", card.install or "install it into this environment"))
            absent[name] = f"needs {', '.join(missing)}: {card.install or 'install it'}"
        else:
            cards.append((name, card))
    if not cards and not options.metrics and not problems:
        reasons = "\n".join(dict.fromkeys(absent.values()))
        problems.append(Problem(f"none of the metrics of {task.name} is installed ({', '.join(wanted)})", reasons))
    asked = _conventions([card for _, card in cards], options, problems)
    _known_conventions(task, [card for _, card in cards], problems)
    made = [
        MetricPlan(card=card, convention=convention, options=_metric_options(name, card, options, problems))
        for name, card in cards
        for convention in _combinations(card, task.conventions, asked)
    ]
    _unused_metric_options([card for _, card in cards], options, problems)
    return made, absent


def _conventions(cards: Sequence[MetricCard], options: RunOptions, problems: list[Problem]) -> list[tuple[str, str]]:
    """Return the (family, name@version) that the user asked for."""
    known = [(family, full) for card in cards for family, fulls in card.conventions.items() for full in fulls]
    asked: list[tuple[str, str]] = []
    for item in options.conventions:
        family, _, name = item.rpartition("=")
        found = [
            (f, full) for f, full in known if (not family or f == family) and (name in {"all", full} or name == full.partition("@")[0])
        ]
        if not found and cards and name != "all":
            names = {full.partition("@")[0] for _, full in known}
            problems.append(Problem(f"no convention named {item}", suggestion(name, names) if names else "none of these metrics has any"))
        asked.extend(found)
    return list(dict.fromkeys(asked))


def _known_conventions(task: Task, cards: Sequence[MetricCard], problems: list[Problem]) -> None:
    """Refuse a convention of the task that none of the metrics with that family knows: a default would stand in silently."""
    for family, named in task.conventions.items():
        fulls = {full for card in cards for full in card.conventions.get(family, ())}
        if fulls and named not in fulls | {full.partition("@")[0] for full in fulls}:
            problems.append(Problem(f"{task.path or task.name}: conventions.{family} = {named!r} is unknown", suggestion(named, fulls)))


def _combinations(card: MetricCard, task: Mapping[str, str], asked: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Return the conventions a metric is computed under: those asked for, each with the defaults of its other families."""
    default = {family: _default(fulls, task.get(family, "")) for family, fulls in card.conventions.items()}
    varied = [{**default, family: full} for family, full in asked if full in card.conventions.get(family, ())]
    return varied or [default]


def _default(fulls: Sequence[str], named: str) -> str:
    return next((full for full in fulls if named in {full, full.partition("@")[0]}), fulls[0])


def _metric_options(name: str, card: MetricCard, options: RunOptions, problems: list[Problem]) -> dict[str, Any]:
    """Return what `--metric-option` says for this metric: `order=4` for all that take it, `bleu.order=4` for one."""
    given = argument_of(name)
    made = attempt(partial(load, card), problems)
    for key, value in options.metric_options.items():
        owner, _, bare = key.rpartition(".")
        if owner == card.name or (not owner and made is not None and bare != "convention" and accepts(made, bare)):
            given[bare] = value
    return convert_options(made, given, card.name, problems) if made is not None and given else given


def _unused_metric_options(cards: Sequence[MetricCard], options: RunOptions, problems: list[Problem]) -> None:
    for key in options.metric_options:
        owner, _, bare = key.rpartition(".")
        names = [card.name for card in cards]
        if owner and owner not in names:
            problems.append(Problem(f"--metric-option {key}: {owner} is not computed here", suggestion(owner, names)))
        elif not owner and not any(accepts(made, bare) for card in cards if (made := attempt(partial(load, card), [])) is not None):
            problems.append(Problem(f"--metric-option {key}: none of {', '.join(names)} has it"))
