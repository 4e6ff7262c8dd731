"""Everybody who said something of the same answers: people, judges, metrics; lined up unit by unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from medbench.agreement.ratings import Rating
from medbench.agreement.scales import Scale
from medbench.errors import DataError, UsageError, suggestion
from medbench.measuring import Measured
from medbench.registry import Registry
from medbench.report.measured import Kept, own_values
from medbench.runs import RunFolder
from medbench.stats.bootstrap import Array, group_index

Kind = Literal["rater", "judge", "metric"]


class Voice:
    """Somebody's verdicts on the units, NaN where there is none.

    Args:
        name: What tables call it.
        kind: A person, a judge, or a metric that compares texts.
        values: Verdicts, float64 (units,); larger is better.
        on_scale: Whether they are grades of the raters' scale.
        repeats: Verdicts of repeated calls, (calls, units); None: there are none.
        lower: Whether the metric itself says that lower is better; its values were turned round.
    """

    def __init__(
        self, name: str, kind: Kind, values: Array, *, on_scale: bool = False, repeats: Array | None = None, lower: bool = False
    ) -> None:
        self.name = name
        self.kind: Kind = kind
        self.values = values
        self.on_scale = on_scale
        self.repeats = repeats
        self.lower = lower


class Panel:
    """Units (an answer of a run to a sample) and all voices on them.

    Args:
        ratings: What people said.
        folders: The scored runs whose answers they rated.
        scale: The people's scale.
        registry: The cards at hand.

    Raises:
        DataError: a rating is of no sample of these runs.
        UsageError: several runs are given, and the ratings do not say which they are of.
    """

    def __init__(self, ratings: Sequence[Rating], folders: Sequence[RunFolder], scale: Scale, registry: Registry) -> None:
        self.scale = scale
        self.runs = {folder.path.name: Kept(folder, registry) for folder in folders}
        of_run = {name: self._named(name) for name in dict.fromkeys(rating.run for rating in ratings)}
        units = sorted({(of_run[rating.run], rating.sample) for rating in ratings})
        for rating in ratings:
            if rating.sample not in self.runs[of_run[rating.run]].samples:
                known = self.runs[of_run[rating.run]].samples
                raise DataError(
                    f"line {rating.line} rates {rating.sample}, which the run does not have", hint=suggestion(rating.sample, known)
                )
        self.units = units
        self._place = {unit: at for at, unit in enumerate(units)}
        owners = [self.runs[run].samples[sample].group for run, sample in units]
        self.groups = sorted(set(owners))
        self.index = group_index(owners, self.groups)
        self.raters = [self._rater(name, ratings, of_run) for name in sorted({rating.rater for rating in ratings})]
        self.others = list(self._others())

    @property
    def people(self) -> Array:
        """Mean rating of each unit, (units,)."""
        return mean_of([voice.values for voice in self.raters])

    def _named(self, name: str) -> str:
        """Return the run that a rating is of: by fingerprint, its beginning, the model, or since there is one run alone."""
        if not name:
            if len(self.runs) > 1:
                raise UsageError(f"{len(self.runs)} runs are given, and the ratings do not say which they are of", hint="add a column run")
            return next(iter(self.runs))
        last = name.rstrip("/").rpartition("/")[2]
        found = [fingerprint for fingerprint, kept in self.runs.items() if fingerprint.startswith(last) or kept.record.model.name == name]
        if len(found) != 1:
            known = [f"{fingerprint} ({kept.record.model.name})" for fingerprint, kept in self.runs.items()]
            raise DataError(
                f"the ratings name a run {name}, which {'means several' if found else 'is none'} of those given",
                hint=f"given: {', '.join(known)}",
            )
        return found[0]

    def _rater(self, name: str, ratings: Sequence[Rating], of_run: dict[str, str]) -> Voice:
        values = np.full(len(self.units), np.nan)
        for rating in ratings:
            if rating.rater == name:
                values[self._place[of_run[rating.run], rating.sample]] = rating.rating
        return Voice(name, "rater", values, on_scale=True)

    def _others(self) -> Iterator[Voice]:
        """Yield the metrics and judges of all runs, each lined up over the runs that have it."""
        made: dict[tuple[str, str, str], Voice] = {}
        for run, kept in self.runs.items():
            for one in kept.measured:
                if one.condition.get("images", "true") != "true":
                    continue
                for name, values in own_values(one).items():
                    self._add(made, run, one, name, values)
        for (column, named, judge), voice in made.items():
            siblings = [key for key in made if key[0] == column]
            by = f" by {_short(judge, [key[2] for key in siblings])}" if judge else ""
            voice.name = f"{column}{by}{f' ({named})' if len({key[1] for key in siblings}) > 1 else ''}"
            yield voice

    def _add(self, made: dict[tuple[str, str, str], Voice], run: str, one: Measured, name: str, values: Array) -> None:
        card = one.plan.card
        lower = card.facts(name).higher_is_better is False
        stated = dict(one.convention)
        judge = stated.pop("by", "")
        key = f"{card.name}/{name}", " ".join(stated[family] for family in sorted(stated)), judge
        voice = made.get(key)
        if voice is None:
            voice = made[key] = Voice("", "judge" if card.asks else "metric", np.full(len(self.units), np.nan), lower=lower)
        rows = {sample.id: at for at, sample in enumerate(one.samples)}
        places = [(at, rows[sample]) for at, (owner, sample) in enumerate(self.units) if owner == run and sample in rows]
        here, there = (np.array(side, dtype=np.int64) for side in (zip(*places, strict=True) if places else ((), ())))
        shift = self._shift(one) if next(iter(own_values(one))) == name else None
        voice.on_scale = shift is not None
        sign = -1.0 if lower else 1.0
        voice.values[here] = sign * values[there] + (shift or 0.0)
        if shift is not None and hasattr(one.metric, "repeats"):
            calls = np.asarray(one.metric.repeats(one.rows), dtype=np.float64)
            if len(calls) > 1:
                voice.repeats = _placed(voice.repeats, calls[:, there] + shift, here, len(self.units))

    def _shift(self, one: Measured) -> float | None:
        """Return what turns a judge's grades into the raters' own; None: they are not on a scale with as many equal steps."""
        given: Sequence[Any] = one.metric.scale() if hasattr(one.metric, "scale") else ()
        grades, ours = np.asarray(given, dtype=np.float64), np.asarray(self.scale.grades, dtype=np.float64)
        if len(grades) != len(ours) or not np.array_equal(grades - grades[0], ours - ours[0]):
            return None
        return float(ours[0] - grades[0])


def _short(judge: str, all_of_them: Sequence[str]) -> str:
    """Return a judge's identity with as little of its digest as tells it from the others."""
    stem, _, digest = judge.rpartition("-")
    short = f"{stem}-{digest[:4]}"
    return short if stem and sum(other.startswith(short) for other in set(all_of_them)) == 1 else judge


def mean_of(columns: Sequence[Array]) -> Array:
    """Return the mean of several columns row by row, NaN where none has a value."""
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns])
    known = ~np.isnan(table)
    count = known.sum(axis=0)
    total = np.where(known, table, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(table.shape[1], np.nan), where=count > 0))


def _placed(before: Array | None, calls: Array, here: Array, units: int) -> Array:
    """Return repeated verdicts of one run added to those of the runs before."""
    height = max(len(calls), len(before) if before is not None else 0)
    made = np.full((height, units), np.nan)
    if before is not None:
        made[: len(before)] = before
    made[np.ix_(np.arange(len(calls)), here)] = calls
    return made
