"""From what the user typed to a frozen plan: names become cards, options are checked, every problem is gathered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from medbench.cards import ExecutorCard, ModelCard, ProtocolCard, ReaderCard
from medbench.costs import Price, price_of
from medbench.errors import Problem, UsageError, suggestion
from medbench.metric_plans import MetricPlan, plan_metrics
from medbench.options import RunOptions, accepts, argument_of, attempt, convert_options
from medbench.protocol_plans import READER, choose_protocol, of_task, protocol_params
from medbench.registry import Registry, load, missing_modules
from medbench.roots import find_root
from medbench.tasks import Task, get_task
from medbench.types import Struct

T = TypeVar("T")

CONDITIONS = ("true", "blank", "shuffled")
SPLITS = ("train", "val", "test")


class ModelPlan(Struct):
    """A model and how it is to be built."""

    name: str
    """As the user typed it."""
    card: ModelCard
    plugin: str = ""
    options: dict[str, Any] = {}
    batch_size: int = 8

    @property
    def price(self) -> Price | None:
        """What its tokens cost; None: nobody says."""
        return price_of(self.card, self.options)

    @property
    def stated_local(self) -> bool:
        """Whether it is a network model of which the user says that it runs on this machine (`local=true`)."""
        return self.card.networked and str(self.options.get("local", "")).lower() in {"true", "1"}

    @property
    def sends(self) -> bool:
        """Whether what it is asked leaves this machine."""
        return self.card.networked and not self.stated_local

    @property
    def endpoint(self) -> str:
        """Which machine it sends to: host and port of its `base_url`, else the card's; empty: nobody says."""
        host = urlsplit(str(self.options.get("base_url") or "")).netloc.rpartition("@")[2]
        return host or self.card.endpoint


class Plan(Struct):
    """A task, a model, metrics and options, resolved and frozen."""

    task: Task
    reader: ReaderCard
    root: str
    split: str
    variant: str
    protocol: ProtocolCard
    params: dict[str, Any]
    metrics: tuple[MetricPlan, ...]
    not_computed: dict[str, str] = {}
    """Metrics of the task that cannot be computed here, and why."""
    model: ModelPlan | None = None
    judge: ModelPlan | None = None
    executor: ExecutorCard | None = None
    images: tuple[str, ...] = ("true",)
    by: tuple[str, ...] = ()
    limit: int | None = None
    seed: int = 0
    shard: tuple[int, int] | None = None
    runs_dir: str = "runs"
    fresh: bool = False
    retry_failed: bool = False
    permission: str = ""
    max_cost: float | None = None
    """What the outputs of the model and of the judge may cost together, in US dollars."""

    @property
    def fits_model(self) -> bool:
        """Whether the run fits its model on the train split first."""
        return self.model is not None and self.model.card.fits == "always" and "weights" not in self.model.options

    @property
    def needs_train(self) -> bool:
        """Whether the run reads the train split too: to fit its model, or because its protocol learns from it."""
        return self.fits_model or (self.model is not None and "train" in self.protocol.splits)

    @property
    def reader_params(self) -> dict[str, Any]:
        """What the reader gets."""
        return {**self.task.reader, "variant": self.variant}

    @property
    def overrides(self) -> dict[str, Any]:
        """What the user stated about where data may go, for the record."""
        asked = [model for model in (self.model, self.judge) if model]
        local = [model.name for model in asked if model.stated_local]
        to = sorted({model.endpoint or model.name for model in asked if model.sends})
        stated = [{"reason": self.permission, "to": to}] if self.permission else []
        return {**({"permission_to_send": stated} if stated else {}), **({"stated_local": local} if local else {})}


def resolve(
    options: RunOptions, registry: Registry, *, task: Task | None = None, model: ModelPlan | None = None, scored: bool = True
) -> tuple[Plan | None, list[Problem]]:
    """Return the plan and every problem found on the way; no plan where a name is unknown.

    Args:
        options: What the user said.
        registry: The cards at hand.
        task: A task object, where the caller has one.
        model: A model that exists already, where the caller has one.
        scored: Whether anything will be scored; a fit needs no metrics.
    """
    problems: list[Problem] = []
    task = task or attempt(lambda: get_task(options.task, registry), problems)
    if model is None and options.model:
        model = plan_model(options.model, options.model_options, options, registry, problems)
    judge = plan_judge(options, registry, problems)
    executor = attempt(lambda: registry.get(ExecutorCard, options.executor), problems)
    shard = attempt(lambda: _shard(options.shard), problems)
    _known(options.images, CONDITIONS, "--images", problems)
    _numbers(options, problems)
    if task is None:
        return None, problems
    task = with_reader_params(task, options)
    reader = of_task(task, "dataset", lambda: registry.get(ReaderCard, task.dataset), problems)
    _reader_params(task, reader, problems)
    protocol = choose_protocol(task, options, model.card if model else None, registry, problems)
    params = protocol_params(task, options, protocol, registry, problems)
    metrics, not_computed = plan_metrics(task, options, registry, problems) if scored else ([], {})
    if reader is None or protocol is None:
        return None, problems
    split = options.split or task.split
    _known([split], SPLITS, "--split", problems)
    variant = _variant(task, options, reader, problems)
    root = attempt(partial(find_root, reader, options.data), problems)
    if isinstance(root, Problem):
        problems.append(root)
    plan = Plan(
        task=task,
        reader=reader,
        root=str(root) if isinstance(root, Path) else "",
        split=split,
        variant=variant,
        protocol=protocol,
        params=params,
        metrics=tuple(metrics),
        not_computed=not_computed,
        model=model,
        judge=judge,
        executor=executor,
        images=tuple(dict.fromkeys(options.images)),
        by=tuple(options.by) or task.subgroups,
        limit=options.limit,
        seed=options.seed,
        shard=shard,
        runs_dir=options.runs_dir,
        fresh=options.fresh,
        retry_failed=options.retry_failed,
        permission=options.permission,
        max_cost=options.max_cost,
    )
    return plan, problems


def plan_model(name: str, given: Mapping[str, Any], options: RunOptions, registry: Registry, problems: list[Problem]) -> ModelPlan | None:
    """Return a model and how it is to be built; None, and a problem, where it cannot be."""
    card = attempt(lambda: registry.get(ModelCard, name), problems)
    if card is None:
        return None
    missing = missing_modules(card)
    if missing:
        problems.append(Problem(f"{name} needs {', '.join(missing)}", card.install or "install it into this environment"))
        return None
    made = attempt(lambda: load(card), problems)
    if made is None:
        return None
    wanted = {**argument_of(name), **given}
    if options.device is not None:
        wanted["device"] = options.device
    if options.workers is not None:
        wanted["workers"] = options.workers
    if options.batch_size is not None and accepts(made, "batch_size"):
        wanted["batch_size"] = options.batch_size
    converted = convert_options(made, wanted, name, problems)
    settled, against = made.settled(card, converted) if hasattr(made, "settled") else (card, [])
    problems += against
    if against:
        return None  # its options go no further: one may hold a secret in a wrong place
    batch = options.batch_size or settled.batch_size
    return ModelPlan(name=name, card=settled, plugin=registry.plugin_of(card), options=converted, batch_size=batch)


def plan_judge(options: RunOptions, registry: Registry, problems: list[Problem]) -> ModelPlan | None:
    """Return the model that metrics may ask, where one is named."""
    if options.judge:
        alone = msgspec.structs.replace(options, device=None, batch_size=None, workers=None)  # those are the evaluated model's
        return plan_model(options.judge, options.judge_options, alone, registry, problems)
    if options.judge_options:
        problems.append(Problem("--judge-option: no judge is named", "--judge MODEL   (medbench list models --can generate)"))
    return None


def with_reader_params(task: Task, options: RunOptions) -> Task:
    """Return the task with what `--param reader.NAME=value` says to its reader."""
    given = {name.removeprefix(READER): value for name, value in options.params.items() if name.startswith(READER)}
    return msgspec.structs.replace(task, reader={**task.reader, **given}) if given else task


def _reader_params(task: Task, reader: ReaderCard | None, problems: list[Problem]) -> None:
    """Check the names of a reader's parameters, where its class lists them (`PARAMS`)."""
    made = attempt(lambda: load(reader), problems) if reader and task.reader else None
    known = getattr(made, "PARAMS", None)
    if reader is None or known is None:
        return
    problems += [
        Problem(f"dataset {reader.name} has no parameter {name}", suggestion(name, (*known, "preset")))
        for name in task.reader
        if name not in known and name != "preset"
    ]


def _variant(task: Task, options: RunOptions, reader: ReaderCard, problems: list[Problem]) -> str:
    variant = options.variant or task.variant or (reader.variants[0] if reader.variants else "")
    if reader.variants or options.variant:
        _known([variant], reader.variants, f"--variant of {reader.name}", problems)
    return variant


def _shard(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    part, sign, total = text.partition("/")
    if not (sign and part.isdecimal() and total.isdecimal() and 1 <= int(part) <= int(total)):
        raise UsageError(f"--shard {text}: not of the form part/parts", hint="--shard 1/4 … --shard 4/4, then once without it")
    return int(part), int(total)


def _numbers(options: RunOptions, problems: list[Problem]) -> None:
    if not options.images:
        problems.append(Problem("--images: at least one is needed", f"known: {', '.join(CONDITIONS)}"))
    for flag, value, least in (("--limit", options.limit, 1), ("--batch-size", options.batch_size, 1), ("--seed", options.seed, 0)):
        if value is not None and value < least:
            problems.append(Problem(f"{flag} {value}: {least} or more is needed"))


def _known(names: Iterable[str], known: Sequence[str], flag: str, problems: list[Problem]) -> None:
    problems.extend(Problem(f"{flag} {name}: unknown", suggestion(name, known)) for name in names if name not in known)
