"""Header, scores and foot of a run on a screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from medbench.cards import MetricCard
from medbench.cli.layout import console, table
from medbench.errors import UsageError
from medbench.events import Planned
from medbench.record import Contrast, RunRecord, Score
from medbench.registry import Registry
from medbench.report import cells
from medbench.types import as_text

STATED = ("undefined", "rare", "not predicted")
"""What a signature may say in words about labels that a reader of the table must know."""


def print_header(event: Planned) -> None:
    """Print what is evaluated on what, and where it goes."""
    plan = event.plan
    out = console()
    synthetic = " · SYNTHETIC" if event.synthetic else f" · {plan.reader.licence}"
    images = f" · {event.n_images:,} images" if event.n_images else ""
    limited = f" · limit {plan.limit}" if plan.limit else ""
    said = {plan.task.name: f"{event.n:,} samples{images} · {plan.split} split{limited}{synthetic}"}
    if plan.model:
        options = " ".join(f"{name}={value}" for name, value in plan.model.options.items())
        said[plan.model.name] = " · ".join(part for part in (plan.model.card.title, options) if part)
    if plan.judge:
        options = " ".join(f"{name}={value}" for name, value in plan.judge.options.items())
        said["judge"] = f"{plan.judge.name} {options}".strip()
    used = {f"{family}={name.partition('@')[0]}": None for metric in plan.metrics for family, name in metric.convention.items()}
    others = [
        name.partition("@")[0]
        for card in dict.fromkeys(metric.card.name for metric in plan.metrics)
        for metric in [next(m for m in plan.metrics if m.card.name == card)]
        for family, names in metric.card.conventions.items()
        for name in names
        if f"{family}={name.partition('@')[0]}" not in used
    ]
    if used:
        also = f"  (also: {', '.join(dict.fromkeys(others))})" if others else ""
        said["scoring"] = f"{' '.join(used)}{also}"
    said["run"] = str(event.folder)
    width = max(14, *(len(name) for name in said))
    for name, text in said.items():
        out.print(f"{name:<{width}} {text}", soft_wrap=True)


def labels_of(registry: Registry, metric: str) -> dict[str, str]:
    """Return what a table calls the scores of a metric."""
    try:
        card = registry.get(MetricCard, metric)
    except UsageError:
        return {}
    return {name: facts.label for name, facts in card.scores.items() if facts.label}


def print_scores(record: RunRecord, registry: Registry, folder: Path) -> None:
    """Print every score of a record with interval, coverage and rate of empty outputs, and what stands behind them."""
    out = console()
    labels = {metric: labels_of(registry, metric) for metric in {score.metric for score in record.scores}}
    first = record.scores[0].metric if record.scores else ""
    whole = [score for score in record.scores if not score.subgroup]
    shown_here = [score for score in whole if ":" not in score.name or score.metric == first]
    for name, scores in _grouped(shown_here).items():
        several = len({score.metric for score in scores}) > 1
        rows = [_row(score, labels[score.metric], several=several) for score in scores]
        _print_block(out, name or "score", rows, scores)
    for name, scores in _grouped(score for score in record.scores if score.subgroup and _primary(score, registry)).items():
        rows = [[f"{cells.label(s, labels[s.metric])}  {as_text(s.subgroup)}", *_row(s, {}, several=True)[1:]] for s in scores]
        _print_block(out, f"{name} · subgroups" if name else "subgroups", rows, scores)
    shown = [c for c in record.contrasts if ":" not in c.name and not c.condition]  # the record has them all
    if shown:
        print()
        rows = [_contrast(c, labels.get(c.metric, {})) for c in shown]
        out.print(table(["difference", "", "value", "95 % interval"], rows, right=(2,), whole=(3,)))
    _print_foot(record, folder, shown_here, hidden=len(whole) - len(shown_here))


def _print_block(out: Any, name: str, rows: Sequence[Sequence[str]], scores: Sequence[Score]) -> None:
    """Print one table of scores, and what its marks mean."""
    print()
    out.print(table([name, "value", "95 % interval", "scored", "empty %"], rows, right=(1, 3, 4), whole=(2,)))
    note = next((note for score in scores if (note := cells.failure_note(score))), "")
    if note:
        out.print(note, soft_wrap=True)
    for score in scores:
        if said := cells.beside(score):
            where = f" at {as_text(score.subgroup)}" if score.subgroup else ""
            out.print(f"{score.name}{where}: {said}", soft_wrap=True)


def _primary(score: Score, registry: Registry) -> bool:
    """Say whether a score is shown where there is room for few; the record has all."""
    try:
        return registry.get(MetricCard, score.metric).facts(score.name).primary
    except UsageError:
        return True


def _print_foot(record: RunRecord, folder: Path, shown: Sequence[Score], *, hidden: int) -> None:
    out = console()
    print()
    if hidden:
        print(f"{hidden} more scores, of single labels, are in the record (--json)")
    if any(score.note.startswith("rough") for score in shown):
        print(f"{cells.ROUGH} a rough interval: {_why_rough(shown, record.data.group)}")
    repeats = max((score.repeats for score in shown), default=1)
    if repeats > 1:
        print(f"± standard deviation over {repeats} repetitions, of which the value is the mean")
    for name, why in record.not_computed.items():
        out.print(f"not computed   {name}: {why}", soft_wrap=True)
    for said in dict.fromkeys(s[what] for what in STATED for s in record.signatures.values() if what in s):
        out.print(f"{'labels':<14} {said}", soft_wrap=True)
    answered = record.n_predictions - record.n_failed
    truncated = max((score.n_truncated for score in record.scores), default=0)
    unparsable = max((score.n_unparsable for score in record.scores), default=0)
    method = next((score.method for score in record.scores if score.method), "")
    parts = [
        f"coverage {answered:,}/{record.n_predictions:,}",
        f"empty {record.n_empty:,}",
        f"unparsable {unparsable:,}" if unparsable else "",
        f"cut by the length limit {truncated:,}" if truncated else "",
        f"intervals: {method}" if method else "",
    ]
    out.print(" · ".join(part for part in parts if part), soft_wrap=True)
    resolved = cells.resolution(record.scores)
    if resolved:
        out.print(resolved, soft_wrap=True)
    if record.data.synthetic:
        print("SYNTHETIC data: these numbers say nothing about any patient and can enter no board of real data")
    if record.model.untrained:
        print(f"UNTRAINED model: the weights of {record.model.name} are random")
    if record.n_failed:
        print(f"{record.n_failed:,} failed: medbench samples {folder} --failed")
    out.print(f"run            {folder}", soft_wrap=True)


def _why_rough(scores: Sequence[Score], group: str) -> str:
    """Return the reasons why intervals are rough."""
    reasons = {score.note.partition(": ")[2].partition(" ")[0] for score in scores if score.note.startswith("rough")}
    several = f"{group[:-1]}ies" if group.endswith("y") else f"{group}s"
    words = {"only": f"fewer than 20 {several}", "all": f"all {several} are alike"}
    return ", or ".join(words[reason] for reason in sorted(reasons, reverse=True))


def _grouped(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Return convention and condition in words -> scores, in the record's order."""
    made: dict[str, list[Score]] = {}
    for score in scores:
        name = " · ".join(part for part in (cells.conventions(score.convention), as_text(score.condition)) if part)
        made.setdefault(name, []).append(score)
    return made


def _row(score: Score, labels: dict[str, str], *, several: bool) -> list[str]:
    name = cells.label(score, labels)
    indent = "  " if not several and score.name != "overall" and "overall" in labels else ""
    return [f"{indent}{name}", cells.value_cell(score), cells.interval_cell(score), cells.coverage_cell(score), cells.empty_cell(score)]


def _contrast(contrast: Contrast, labels: dict[str, str]) -> list[str]:
    return [
        cells.label(contrast, labels),
        f"{contrast.one} − {contrast.other}",
        cells.number(contrast.difference, contrast.unit, signed=True),
        cells.interval(contrast.low, contrast.high, contrast.unit, signed=True),
    ]
