"""Everything that can be known to be wrong before a weight is read: all of it at once, with a hint each."""

from __future__ import annotations

from pathlib import Path

import msgspec

from medbench.cards import GUARDED, ModelCard
from medbench.errors import MedbenchError, Problem
from medbench.plan import SPLITS, ModelPlan, Plan
from medbench.registry import Registry, load
from medbench.roots import access_of
from medbench.types import Request

TERMS = {
    "allow": "it is under an agreement that says nothing of such services",
    "zero-retention-only": "PhysioNet, 24 Sep 2025: no third-party retention",
    "deny": "its terms let no third party have it",
}
"""What `external_api` of a dataset means, in words."""


def check(plan: Plan, registry: Registry) -> list[Problem]:
    """Return why the plan cannot run; empty: it can. Reads no weights and no pixels."""
    problems: list[Problem] = []
    if plan.model:
        problems += _capability(plan, plan.model, registry)
        problems += _fit(plan, plan.model)
    problems += _data(plan)
    problems += _metrics(plan)
    access = access_of(plan.reader, Path(plan.root)) if plan.root else plan.reader.access
    problems += [problem for model in (plan.model, plan.judge) if model for problem in _data_use(plan, model, access)]
    return problems


def check_scoring(plan: Plan, access: str) -> list[Problem]:
    """Return why predictions that are there cannot be scored by this plan: its metrics, and the way to the judge.

    Args:
        plan: What is to be scored.
        access: Access tier of the data that the predictions were made on, by the run's own record.
    """
    return [*_metrics(plan), *(_data_use(plan, plan.judge, access) if plan.judge else [])]


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
    asking = sorted({metric.card.name for metric in plan.metrics if metric.card.asks})
    if asking and not plan.judge:
        problems.append(
            Problem(f"{', '.join(asking)} asks a second model, and none is named", "--judge MODEL   (medbench list models --can generate)")
        )
    if plan.judge and not asking:
        names = ", ".join(dict.fromkeys(metric.card.name for metric in plan.metrics))
        said = f"--judge {plan.judge.name}: nothing asks it (computed: {names})"
        problems.append(Problem(said, "leave it out, or --metric NAME"))
    return problems


def _data_use(plan: Plan, model: ModelPlan, access: str) -> list[Problem]:
    """Default-deny: data under an agreement, or whose terms name such services, towards a model on another machine."""
    terms = plan.reader.external_api
    free = access == "synthetic" or (access not in GUARDED and terms == "allow")
    if free or not model.sends or plan.permission.strip():
        return []
    return [
        Problem(
            f"{model.name} would send {plan.reader.name} ({access} data) to another machine",
            f"{TERMS[terms]}. Use a local model or a loopback endpoint (--model-option local=true),\n"
            'or state your permission: --i-have-permission-to-send "…"',
        )
    ]
