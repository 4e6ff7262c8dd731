"""Runs against each other on the same samples: paired differences, how sure they are, and the samples behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from medbench.errors import UsageError
from medbench.measuring import Measured
from medbench.pooling import Pair, Pool, pooled_pairs
from medbench.record import Contrast, DataFacts, RunRecord
from medbench.reducing import RESAMPLES, contrast_of, paired_targets, resample
from medbench.report.changes import Change, Changes, changes
from medbench.report.measured import Kept, own_values
from medbench.report.pair_tests import Test, tested
from medbench.stats.multiplicity import holm
from medbench.types import Struct, as_text

MANY, LARGE = 10_000, 10_000
"""So many resamples for up to so many samples: with 1,000, no p-value of several differences survives their adjustment."""
SAME = ("dataset", "variant", "split", "limit", "synthetic", "n")
"""What of the data is told when two runs were evaluated on different samples."""


class Difference(Struct):
    """One score of two runs: `contrast.one` minus `contrast.other`."""

    contrast: Contrast
    """`p` is adjusted by Holm over all differences of the comparison."""
    value_one: float | None
    value_other: float | None
    higher_is_better: bool | None
    p_alone: float | None
    """The p-value as it would be, had nothing else been tested."""
    test: str
    """How the p-value was found."""
    wins: int | None = None
    """Samples on which `one` is better; None: the score has no value for each sample."""
    losses: int | None = None
    ties: int | None = None


class Side(Struct):
    """A run that is compared."""

    letter: str
    run: str
    """task/model/fingerprint."""
    model: str
    options: str
    protocol: str
    kind: str
    n_failed: int


class Comparison(Struct):
    """Several runs against the first of them."""

    task: str
    data: DataFacts
    sides: tuple[Side, ...]
    differences: tuple[Difference, ...]
    changed: tuple[Change, ...]
    """The samples whose own score changed most, of each run against the first."""
    changed_by: str = ""
    """The score that orders `changed`; empty: none has a value for each sample."""
    not_compared: dict[str, str] = {}
    """Score -> why it is not compared."""
    n_compared: int = 0
    """Differences that Holm counts."""


def compare(
    runs: Sequence[Kept], *, test: Test = "bootstrap", members: bool = False, most: int = 10, resamples: int | None = None
) -> Comparison:
    """Return the paired differences of every run from the first, with p-values adjusted over all of them.

    Areas under the ROC curve are tested by DeLong (Obuchowski where samples share a group), shares of right answers by McNemar
    (clustered where samples share a group), all others as `test` says. Intervals are of the bootstrap that the runs' own scores
    have, but for areas, whose interval is that of their test.

    Args:
        runs: Two runs or more, evaluated on the same samples.
        test: `bootstrap`, or `randomisation` (outputs exchanged group by group).
        members: Compare scores of single labels and types, too.
        most: How many of the samples that changed most are listed.
        resamples: Of the bootstrap; None: 10,000, or 1,000 of more than 10,000 samples. Their number limits how small a p-value can be.

    Raises:
        UsageError: there is one run alone, the samples differ, or no score is common.
    """
    if len(runs) < 2:
        raise UsageError("a comparison takes two runs or more", hint="medbench compare RUN_A RUN_B   (medbench runs)")
    first, sides = runs[0], _sides(runs)
    for run, side in zip(runs[1:], sides[1:], strict=True):
        require_same_samples(first.record, run.record, sides[0].run, side.run)
    drawn = resamples or (MANY if first.record.data.n <= LARGE else RESAMPLES)
    not_compared: dict[str, str] = {}
    found: list[Difference] = []
    changed: list[Changes] = []
    for run, side in zip(runs[1:], sides[1:], strict=True):
        pairs = _pairs(run, first, not_compared)
        found += _differences(run, pairs, (side.letter, sides[0].letter), test, drawn, members=members)
        changed += changes(run, first, [(b, a) for b, a in pairs], (side.letter, sides[0].letter), most)
    if not found:
        raise UsageError(f"{sides[0].run} and {sides[1].run} have no score in common", hint=_why(not_compared))
    return Comparison(
        task=first.record.task,
        data=first.record.data,
        sides=tuple(sides),
        differences=tuple(_adjusted(found)),
        changed=tuple(change for each in changed for change in each.first),
        changed_by=next((each.by for each in changed if each.by), ""),
        not_compared=dict(sorted(not_compared.items())),
        n_compared=sum(one.p_alone is not None for one in found),
    )


def require_same_samples(one: RunRecord, other: RunRecord, name_one: str, name_other: str) -> None:
    """Refuse runs on different samples: their difference would be one of samples as much as of models.

    Raises:
        UsageError: the manifests differ; says in what.
    """
    if one.data.manifest == other.data.manifest:
        return
    a, b = msgspec.structs.asdict(one.data), msgspec.structs.asdict(other.data)
    what = [f"{name} {_said(a[name])} and {_said(b[name])}" for name in SAME if a[name] != b[name]]
    why = ", ".join(what) or f"references or image files (manifests {one.data.manifest[:8]} and {other.data.manifest[:8]})"
    hint = "run both on the same data with the same --split, --variant and --limit; medbench diff shows every setting"
    raise UsageError(f"{name_one} and {name_other} were evaluated on different samples: {why}", hint=hint)


def run_name(kept: Kept) -> str:
    """Return task/model/fingerprint of a run."""
    return f"{kept.record.task}/{kept.record.model.name}/{kept.record.fingerprint}"


def _said(value: object) -> str:
    return "none" if value is None or value == "" else str(value)


def _why(not_compared: dict[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in list(not_compared.items())[:3]) or "score both under one metric: medbench score RUN"


def _sides(runs: Sequence[Kept]) -> list[Side]:
    return [
        Side(
            letter=chr(ord("A") + number) if number < 26 else f"R{number + 1}",
            run=run_name(run),
            model=run.record.model.name,
            options=as_text(run.record.model.options),
            protocol=" ".join(filter(None, (run.record.protocol, as_text(run.record.params)))),
            kind=run.record.model.kind,
            n_failed=run.record.n_failed,
        )
        for number, run in enumerate(runs)
    ]


def _pairs(run: Kept, first: Kept, not_compared: dict[str, str]) -> list[tuple[Measured, Measured]]:
    """Return what both measured alike: the same metric, conventions and condition; names what only one has."""
    mine, theirs = ({(one.plan.slug, as_text(one.condition)): one for one in kept.measured} for kept in (run, first))
    for here, there, kept in ((mine, theirs, first), (theirs, mine, run)):
        for slug, condition in here.keys() - there.keys():
            not_compared[f"{slug} {condition}".strip()] = f"{run_name(kept)} has no such score"
    for kept in (run, first):
        not_compared |= {f"{name} of {run_name(kept)}": why for name, why in kept.not_measured.items()}
    return [(mine[key], theirs[key]) for key in mine if key in theirs]


def _differences(
    run: Kept, pairs: Sequence[tuple[Measured, Measured]], letters: tuple[str, str], test: Test, resamples: int, *, members: bool
) -> Iterator[Difference]:
    names, record = run.groups, run.record
    weighted = [paired_targets(mine, theirs, names) for mine, theirs in pairs if mine.plan.card.weighted]
    resample([target for pair in weighted for target in pair], names, record.seed, resamples)
    over = run.plan.protocol.over
    yield from (
        _difference(pair, name, letters, record, test, resamples)
        for pair in pooled_pairs(weighted, over)
        for name in pair[0].point
        if name in pair[1].point and (members or ":" not in name)
    )


def _difference(pair: Pair, name: str, letters: tuple[str, str], record: RunRecord, test: Test, resamples: int) -> Difference:
    group = record.data.group

    def method(n_groups: int) -> str:
        several = f"{group[:-1]}ies" if group.endswith("y") else f"{group}s"
        return f"percentile bootstrap over {n_groups:,} {several}, {resamples:,} resamples, seed {record.seed}"

    made = contrast_of(name, pair, letters, dict(pair[0].one.condition), method)
    facts = pair[0].one.plan.card.facts(name)
    found = tested(pair, name, test, record.seed)
    if found is not None and found.low is not None:
        made = msgspec.structs.replace(made, low=found.low, high=found.high, method=found.method)
    wins = losses = ties = None
    values = [own_values(side.one).get(name) for side in pair]
    if values[0] is not None and values[1] is not None and not isinstance(pair[0], Pool):
        change = values[0][pair[0].rows] - values[1][pair[1].rows]
        change = change[np.isfinite(change)] * (-1.0 if facts.higher_is_better is False else 1.0)
        wins, losses = int((change > 1e-12).sum()), int((change < -1e-12).sum())
        ties = len(change) - wins - losses
    return Difference(
        contrast=made,
        value_one=pair[0].value(name),
        value_other=pair[1].value(name),
        higher_is_better=facts.higher_is_better,
        p_alone=found.p if found is not None else made.p,
        test=found.method if found is not None else made.method,
        wins=wins,
        losses=losses,
        ties=ties,
    )


def _adjusted(found: Sequence[Difference]) -> Iterator[Difference]:
    adjusted = holm(np.array([np.nan if one.p_alone is None else one.p_alone for one in found]))
    for one, p in zip(found, adjusted, strict=True):
        yield msgspec.structs.replace(one, contrast=msgspec.structs.replace(one.contrast, p=None if one.p_alone is None else float(p)))
