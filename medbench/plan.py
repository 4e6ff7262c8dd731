"""From what the user typed to a frozen plan: names become cards, options are checked, every problem is gathered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.cards import ExecutorCard, MetricCard, ModelCard, ProtocolCard, ReaderCard
from medbench.errors import MedbenchError, Problem, UsageError, suggestion
from medbench.identity import digest_of
from medbench.options import RunOptions, accepts, convert_options, convert_params
from medbench.registry import Registry, load, missing_modules
from medbench.roots import find_root
from medbench.tasks import Task, get_task
from medbench.types import Struct

CONDITIONS = ("true", "blank", "shuffled")


class MetricPlan(Struct):
    """One metric under one set of conventions."""

    card: MetricCard
    convention: dict[str, str] = {}
    options: dict[str, Any] = {}

    @property
    def slug(self) -> str:
        """A name for files: metric and conventions."""
        parts = [self.card.name, *sorted(self.convention.values())]
        return safe_name("-".join(parts)) + (f"-{digest_of(self.options)[:8]}" if self.options else "")


class ModelPlan(Struct):
    """A model and how it is to be built."""

    name: str
    """As the user typed it."""
    card: ModelCard
    plugin: str = ""
    options: dict[str, Any] = {}
    batch_size: int = 8


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

    @property
    def reader_params(self) -> dict[str, Any]:
        """What the reader gets."""
        return {**self.task.reader, "variant": self.variant}


def safe_name(name: str) -> str:
    """Return a name that is safe as one folder on any disk.

    >>> safe_name("openai:gpt-4o"), safe_name("../x")
    ('openai-gpt-4o', 'x')
    """
    kept = "".join(c if c.isalnum() or c in "._-@+" else "-" for c in name)
    return kept.strip(".-")[:80] or "unnamed"


def resolve(
    options: RunOptions, registry: Registry, *, task: Task | None = None, model: ModelPlan | None = None
) -> tuple[Plan | None, list[Problem]]:
    """Return the plan and every problem found on the way; no plan where a name is unknown.

    Args:
        options: What the user said.
        registry: The cards at hand.
        task: A task object, where the caller has one.
        model: A model that exists already, where the caller has one.
    """
    problems: list[Problem] = []
    task = task or _try(lambda: get_task(options.task, registry), problems)
    if model is None and options.model:
        model = _model(options.model, options.model_options, options, registry, problems)
    judge = _model(options.judge, options.judge_options, options, registry, problems) if options.judge else None
    executor = _try(lambda: registry.get(ExecutorCard, options.executor), problems)
    shard = _try(lambda: _shard(options.shard), problems)
    _known(options.images, CONDITIONS, "--images", problems)
    if options.limit is not None and options.limit < 1:
        problems.append(Problem(f"--limit {options.limit}: at least one sample is needed"))
    if task is None:
        return None, problems
    reader = _try(lambda: registry.get(ReaderCard, task.dataset), problems)
    protocol = _protocol(task, options, model, registry, problems)
    params = _params(task, options, protocol, problems)
    metrics, not_computed = plan_metrics(task, options, registry, problems)
    if reader is None or protocol is None:
        return None, problems
    split = options.split or task.split
    _known([split], ("train", "val", "test"), "--split", problems)
    variant = options.variant or task.variant or (reader.variants[0] if reader.variants else "")
    if reader.variants or options.variant:
        _known([variant], reader.variants, f"--variant of {reader.name}", problems)
    root = find_root(reader, options.data)
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
    )
    return plan, problems


def plan_metrics(task: Task, options: RunOptions, registry: Registry, problems: list[Problem]) -> tuple[list[MetricPlan], dict[str, str]]:
    """Return the metrics to compute, each under each convention asked for, and the task's own that cannot be computed here."""
    wanted = options.metrics or task.metrics
    cards: list[tuple[str, MetricCard]] = []
    absent: dict[str, str] = {}
    for name in wanted:
        try:
            card = registry.get(MetricCard, name)
        except UsageError as error:
            if options.metrics:
                problems.append(Problem(error.message, error.hint))
            absent[name] = error.hint or error.message
            continue
        missing = missing_modules(card)
        if missing:
            absent[name] = f"needs {', '.join(missing)}: {card.install or 'install it'}"
        else:
            cards.append((name, card))
    if not cards and not options.metrics:
        reasons = "\n".join(dict.fromkeys(absent.values()))
        problems.append(Problem(f"none of the metrics of {task.name} is installed ({', '.join(wanted)})", reasons))
    asked = _conventions([card for _, card in cards], options, problems)
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
        if not found:
            problems.append(Problem(f"no convention named {item}", suggestion(name, {full.partition("@")[0] for _, full in known})))
        asked.extend(found)
    return list(dict.fromkeys(asked))


def _combinations(card: MetricCard, task: Mapping[str, str], asked: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Return the conventions a metric is computed under: those asked for, each with the defaults of its other families."""
    default = {family: _default(fulls, task.get(family, "")) for family, fulls in card.conventions.items()}
    varied = [{**default, family: full} for family, full in asked if full in card.conventions.get(family, ())]
    return varied or [default]


def _default(fulls: Sequence[str], named: str) -> str:
    return next((full for full in fulls if named in {full, full.partition("@")[0]}), fulls[0])


def _metric_options(name: str, card: MetricCard, options: RunOptions, problems: list[Problem]) -> dict[str, Any]:
    """Return what `--metric-option` says for this metric: `order=4` for all that take it, `bleu.order=4` for one."""
    given = _argument(name)
    made = _try(lambda: load(card), problems)
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
        elif not owner and not any(accepts(load(card), bare) for card in cards):
            problems.append(Problem(f"--metric-option {key}: none of {', '.join(names)} has it"))


def _argument(name: str) -> dict[str, Any]:
    """Return what stands behind the colon of `openai:gpt-4o` as the option `name`."""
    _, sign, argument = name.partition(":")
    return {"name": argument} if sign else {}


def _model(name: str, given: Mapping[str, Any], options: RunOptions, registry: Registry, problems: list[Problem]) -> ModelPlan | None:
    card = _try(lambda: registry.get(ModelCard, name), problems)
    if card is None:
        return None
    missing = missing_modules(card)
    if missing:
        problems.append(Problem(f"{name} needs {', '.join(missing)}", card.install or "install it into this environment"))
        return None
    made = _try(lambda: load(card), problems)
    if made is None:
        return None
    wanted = {**_argument(name), **given}
    if options.device is not None:
        wanted["device"] = options.device
    if options.batch_size is not None and accepts(made, "batch_size"):
        wanted["batch_size"] = options.batch_size
    return ModelPlan(
        name=name,
        card=card,
        plugin=registry.plugin_of(card),
        options=convert_options(made, wanted, name, problems),
        batch_size=options.batch_size or card.batch_size,
    )


def _protocol(task: Task, options: RunOptions, model: ModelPlan | None, registry: Registry, problems: list[Problem]) -> ProtocolCard | None:
    """Return the protocol that was asked for, else the task's first one that the model's capabilities allow."""
    names = (options.protocol,) if options.protocol else task.protocol
    if options.protocol and options.protocol not in task.protocol:
        problems.append(Problem(f"{task.name} has no protocol {options.protocol}", suggestion(options.protocol, task.protocol)))
    cards = [card for name in names if (card := _try(lambda name=name: registry.get(ProtocolCard, name), problems))]
    if not cards:
        return None
    chosen: ProtocolCard = next((card for card in cards if model is None or card.asks in model.card.can), cards[0])
    return chosen


def _params(task: Task, options: RunOptions, protocol: ProtocolCard | None, problems: list[Problem]) -> dict[str, Any]:
    made = _try(lambda: load(protocol), problems) if protocol else None
    if made is None or protocol is None:
        return {}
    given = {**task.params, **options.params}
    if "seed" in made.Params.__struct_fields__:
        given.setdefault("seed", options.seed)
    params: dict[str, Any] = msgspec.to_builtins(convert_params(made.Params, given, protocol.name, problems))
    return params


def _shard(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    part, sign, total = text.partition("/")
    if not (sign and part.isdigit() and total.isdigit() and 1 <= int(part) <= int(total)):
        raise UsageError(f"--shard {text}: not of the form part/parts", hint="--shard 1/4 … --shard 4/4, then once without it")
    return int(part), int(total)


def _known(names: Iterable[str], known: Sequence[str], flag: str, problems: list[Problem]) -> None:
    for name in names:
        if name not in known:
            problems.append(Problem(f"{flag} {name}: unknown", suggestion(name, known)))


def _try(make: Any, problems: list[Problem]) -> Any:
    """Return what `make` gives; what a user can act on becomes a problem."""
    try:
        return make()
    except MedbenchError as error:
        problems.append(Problem(error.message, error.hint))
        return None
