"""Everything that can be known to be wrong before a weight is read: all of it at once, with a hint each."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec

from medbench.cards import GUARDED, Card, ModelCard
from medbench.errors import MedbenchError, Problem
from medbench.options import accepts, attempt
from medbench.plan import SPLITS, ModelPlan, Plan
from medbench.registry import Registry, load
from medbench.roots import access_of
from medbench.types import Capability, Request

TERMS = {
    "allow": "the agreement says nothing of such services; PhysioNet, 24 Sep 2025, says what such agreements mean by sharing",
    "zero-retention-only": "PhysioNet, 24 Sep 2025: no third-party retention",
    "deny": "its terms let no third party have it",
}
"""What `external_api` of a dataset means, in words."""

PHYSIONET = (
    'physionet.org/news/post/llm-responsible-use, "Use of MIMIC Data with Large Language Models and Online Services"\n'
    "(24 September 2025): no third-party service may store or retain it; locally deployed models are strongly recommended"
)
"""The text that the guard rests on, for data under an agreement."""

SECOND: dict[str, Capability] = {"judge": "generate", "encoder": "embed"}
"""Role in which a metric asks a second model -> what that model must be able to do."""


def check(plan: Plan, registry: Registry) -> list[Problem]:
    """Return why the plan cannot run; empty: it can. Reads no weights and no pixels."""
    problems: list[Problem] = []
    if plan.model:
        problems += _capability(plan, plan.model, registry)
        problems += _fit(plan, plan.model)
    problems += _data(plan)
    problems += _metrics(plan)
    problems += _budget(plan)
    access = access_of(plan.reader, Path(plan.root)) if plan.root else plan.reader.access
    problems += [problem for model in (plan.model, plan.judge) if model for problem in _data_use(plan, model, access, registry)]
    return problems


def check_scoring(plan: Plan, access: str, registry: Registry) -> list[Problem]:
    """Return why predictions that are there cannot be scored by this plan: its metrics, and the way to the judge.

    Args:
        plan: What is to be scored.
        access: Access tier of the data that the predictions were made on, by the run's own record.
        registry: The cards at hand: the models that could be asked here instead are named.
    """
    return [*_metrics(plan), *_budget(plan), *(_data_use(plan, plan.judge, access, registry) if plan.judge else [])]


def check_fit(plan: Plan, registry: Registry) -> list[Problem]:
    """Return why the plan's model cannot be fitted on the train split of its task; empty: it can."""
    model = plan.model
    if model is None:
        return []
    problems = _capability(plan, model, registry)
    if model.card.fits == "never":
        able = ", ".join(registry.models_that_fit()) or "none installed"
        problems.append(Problem(f"{model.name} cannot be fitted", f"models that can: {able}"))
    if "train" not in plan.reader.splits:
        problems.append(Problem(f"{plan.reader.name} has no train split to learn from"))
    elif not hasattr(load(plan.protocol), "examples"):
        problems.append(Problem(f"protocol {plan.protocol.name} gives a model nothing to learn from", "--protocol another of the task's"))
    else:
        problems += _data(msgspec.structs.replace(plan, split="train"))
    return problems


def misfit(card: ModelCard, request: Request) -> str:
    """Return why a model cannot take a request, by what its card says of inputs; empty: it can."""
    count = len(request.images)
    if card.max_images is not None and count > card.max_images:
        return f"{count} images, and {card.name} takes at most {card.max_images}"
    if count < card.min_images:
        return f"{count} images, and {card.name} needs at least {card.min_images}"
    if card.needs_text and not any(getattr(request, field, "").strip() for field in ("prompt", "text", "phrase")):
        return f"no text, and {card.name} needs some"
    return ""


def _capability(plan: Plan, model: ModelPlan, registry: Registry) -> list[Problem]:
    wanted = plan.protocol.asks
    if wanted in model.card.can:
        why = plan.protocol.misfit(model.card)
        return (
            [Problem(f"{why}; protocol {plan.protocol.name} of {plan.task.name} needs that", "--protocol another of the task's")]
            if why
            else []
        )
    able = registry.models_that(wanted)
    hint = f"models that do: {', '.join(able) or 'none installed'}   (medbench list models --can {wanted})"
    can = " and ".join(model.card.can)
    return [Problem(f"{model.name} can {can}; {plan.task.name} needs a model that can {wanted}", hint)]


def _fit(plan: Plan, model: ModelPlan) -> list[Problem]:
    if not plan.needs_train:
        return []
    learner = model.name if plan.fits_model else f"protocol {plan.protocol.name}"
    if "train" not in plan.reader.splits:
        return [Problem(f"{learner} learns from a train split; {plan.reader.name} has none")]
    if plan.split == "train" and "train" in plan.protocol.splits:
        return [Problem(f"{learner} learns from the train split, so it cannot be evaluated on it", "--split test")]
    return []


def _data(plan: Plan) -> list[Problem]:
    if plan.split in SPLITS and plan.split not in plan.reader.splits:
        return [Problem(f"{plan.reader.name} has no {plan.split} split", f"it has: {', '.join(plan.reader.splits)}")]
    root = Path(plan.root)
    if not plan.root or not root.is_dir():
        return []  # no root is a problem already; a twin is written when the run starts
    if plan.variant and plan.variant not in plan.reader.variants:
        return []  # a problem already
    try:
        found: list[Problem] = load(plan.reader)().check(root, plan.variant)
    except MedbenchError as error:
        return [Problem(error.message, error.hint)]
    return [problem for problem in found if not problem.part or problem.part in _parts(plan)]


def _parts(plan: Plan) -> set[str]:
    """Return what of the data the plan needs: a model needs pictures, and one that is fitted here the train split."""
    if plan.model is None:
        return {plan.split}
    return {plan.split, "pictures", *(["train"] if plan.needs_train else [])}


def _metrics(plan: Plan) -> list[Problem]:
    problems = [
        Problem(
            f"metric {metric.card.name} measures {' or '.join(metric.card.takes)}; "
            f"protocol {plan.protocol.name} gives {plan.protocol.gives}",
            "medbench list metrics",
        )
        for metric in plan.metrics
        if plan.protocol.gives not in metric.card.takes
    ]
    for metric in plan.metrics:
        if metric.card.asks:  # its options name files and runs: what is wrong with them is known before anything is asked
            attempt(partial(load(metric.card), convention=metric.convention, **metric.options), problems)
    asking = {metric.card.name: SECOND.get(metric.card.asks[0], "generate") for metric in plan.metrics if metric.card.asks}
    hint = f"--judge MODEL   (medbench list models --can {' or '.join(sorted(set(asking.values())))})"
    if asking and not plan.judge:
        problems.append(Problem(f"{', '.join(sorted(asking))} asks a second model, and none is named", hint))
    for name, one in sorted(asking.items()):
        if plan.judge and one not in plan.judge.card.can:
            problems.append(
                Problem(f"metric {name} asks a model that can {one}; {plan.judge.name} can {' and '.join(plan.judge.card.can)}", hint)
            )
    if plan.judge and not asking:
        names = ", ".join(dict.fromkeys(metric.card.name for metric in plan.metrics))
        said = f"--judge {plan.judge.name}: nothing asks it (computed: {names})"
        problems.append(Problem(said, "leave it out, or --metric NAME"))
    return problems


def _budget(plan: Plan) -> list[Problem]:
    """A budget is kept by what is paid; where no price is known it would be a promise that nobody keeps."""
    if plan.max_cost is None:
        return []
    if plan.max_cost <= 0:
        return [Problem(f"--max-cost {plan.max_cost:g}: more than 0 is needed")]
    paid = [model for model in (plan.model, plan.judge) if model and accepts(load(model.card), "max_cost")]
    if not paid:
        return [Problem("--max-cost: neither the model nor a judge costs anything", "leave it out")]
    hint = "price_in=N and price_out=N, US dollars for a million tokens   (--model-option, --judge-option)"
    return [Problem(f"--max-cost: no price is known for {model.name}", hint) for model in paid if model.price is None]


def _data_use(plan: Plan, model: ModelPlan, access: str, registry: Registry) -> list[Problem]:
    """Default-deny: data under an agreement, or whose terms name such services, towards a model on another machine."""
    terms = plan.reader.external_api
    free = access == "synthetic" or (access not in GUARDED and terms == "allow")
    if free or not model.sends or plan.permission.strip():
        return []
    flag, wanted = ("model", plan.protocol.asks) if model is plan.model else ("judge", "generate")
    here = [e.card.name for e in registry.entries(ModelCard) if _is_local(e.card, wanted)]
    lines = [
        f"agreement: {plan.reader.licence or 'that of the dataset'}. {TERMS[terms]}",
        *([PHYSIONET] if access in GUARDED else []),
        (
            f"local instead: --{flag} {' or '.join(here[:4]) or f'a model of a plugin (medbench list models --can {wanted})'}, "
            f"or an endpoint on this machine (--{flag}-option local=true, on record)"
        ),
        'or state your permission, for the record and every board: --i-have-permission-to-send "reason"',
    ]
    said = f"{model.name} would send {plan.reader.name} ({access} data) to {model.endpoint or 'another machine'}"
    return [Problem(said, "\n".join(lines))]


def _is_local(card: Card, wanted: str) -> bool:
    """Say whether a card is that of a model proper that runs here and can do what is wanted."""
    return isinstance(card, ModelCard) and not card.networked and card.kind == "model" and wanted in card.can
