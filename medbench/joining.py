"""Rows of somebody else's predictions, joined to the samples they are for; what does not fit is named or refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from medbench.errors import DataError, suggestion
from medbench.foreign import Row
from medbench.types import Condition, Failed, Prediction, Sample, Struct


class Joined(Struct):
    """Predictions for samples, and what did not fit."""

    predictions: tuple[Prediction, ...]
    missing: tuple[str, ...] = ()
    """Ids of samples without a prediction: failed samples."""
    unknown: tuple[str, ...] = ()
    """Ids of the file that no sample of the split has."""
    repeated: tuple[str, ...] = ()
    """Ids that stand in the file more than once, with the same prediction each time."""
    matched_by: str = "id"


def join(rows: Sequence[Row], samples: Sequence[Sample], path: Path, *, alias: str = "", families: Sequence[Sequence[str]] = ()) -> Joined:
    """Join a file's rows to the samples of a split.

    Args:
        rows: What the file holds.
        samples: What was to be predicted.
        path: The file, for messages.
        alias: The samples' other name that the file uses (`qid`); empty: their ids.
        families: Aliases that packagings number differently, and which must not be mistaken for each other.

    Raises:
        DataError: an id stands there twice with different predictions, a question differs from the sample's, the alias is
            ambiguous, several samples share it, or nothing matches.
    """
    names = next((list(family) for family in families if alias in family), [alias])
    _known_alias(samples, alias, names, path)
    lookups = {name: {n: s for s in samples if (n := s.id if not name else s.aliases.get(name, ""))} for name in names}
    chosen = _numbering(rows, lookups, alias, path)
    by_name = lookups[chosen]
    if not any(row.id in by_name for row in rows):
        example = next(iter(by_name), "none")
        others = ", ".join(sorted({name for sample in samples for name in sample.aliases})) or "they have none"
        raise DataError(
            f"{path}: none of its {len(rows)} ids is an id of the split (it has {rows[0].id!r}, the split {example!r})",
            hint=f"--id NAME for another name of the samples: {others}",
        )
    _one_sample_each(rows, samples, chosen, path)
    _same_question(rows, by_name, path)
    kept, repeated = _unrepeated(rows, path)
    predictions = [Prediction(sample=by_name[r.id].id, value=r.value, condition=r.condition) for r in kept if r.id in by_name]
    absent = _absent(predictions, samples)
    return Joined(
        predictions=(*predictions, *absent),
        missing=tuple(dict.fromkeys(p.sample for p in absent)),
        unknown=tuple(dict.fromkeys(row.id for row in kept if row.id not in by_name)),
        repeated=repeated,
        matched_by=chosen or "id",
    )


def _known_alias(samples: Sequence[Sample], alias: str, names: Sequence[str], path: Path) -> None:
    """Refuse a name that no sample has, under any of the numberings it may mean."""
    known = {name for sample in samples for name in sample.aliases}
    if alias and known.isdisjoint(names):
        hint = suggestion(alias, known) if known else "the samples of this data have ids alone: leave --id out"
        raise DataError(f"{path}: --id {alias}: the samples have no such name", hint=hint)


def _numbering(rows: Sequence[Row], lookups: Mapping[str, Mapping[str, Sample]], alias: str, path: Path) -> str:
    """Return which of several numberings the file follows; refuse what cannot be told.

    Question text decides where the file has it; otherwise a numbering stands only if it knows every id and no other does.
    """
    if len(lookups) == 1:
        return alias
    if not any(row.id in known for row in rows for known in lookups.values()):
        return alias  # nothing matches, whatever the numbering: that is what is to be said
    fits = [name for name, known in lookups.items() if known and all(row.id in known for row in rows)]
    if any(row.question for row in rows):
        agreeing = [name for name, known in lookups.items() if known and not _differing(rows, known) and any(r.id in known for r in rows)]
        fits = agreeing or fits
    if len(fits) == 1:
        return fits[0]
    counts = ", ".join(f"{sum(row.id in known for row in rows)} of {len(rows)} are {name}s" for name, known in lookups.items() if known)
    raise DataError(
        f"{path}: --id {alias} is ambiguous: packagings of this data number differently ({counts})",
        hint="add the question text as a column named question, or use the samples' ids (medbench export)",
    )


def _one_sample_each(rows: Sequence[Row], samples: Sequence[Sample], alias: str, path: Path) -> None:
    """Refuse a name that several samples share: a prediction would go to one of them by chance."""
    shared = Counter(sample.aliases.get(alias, "") for sample in samples) if alias else Counter()
    row = next((row for row in rows if shared[row.id] > 1), None)
    if row:
        raise DataError(
            f"{path}:{row.line}: {shared[row.id]} samples have the {alias} {row.id}", hint="use a name that each sample has for itself"
        )


def _differing(rows: Sequence[Row], known: Mapping[str, Sample]) -> list[Row]:
    """Return the rows whose question is not the sample's; a rendered prompt that contains the question agrees with it."""
    differing = []
    for row in rows:
        sample = known.get(row.id)
        if row.question and sample and sample.prompt and _bare(sample.prompt) not in _bare(row.question):
            differing.append(row)
    return differing


def _bare(text: str) -> str:
    return " ".join(text.lower().split())


def _same_question(rows: Sequence[Row], known: Mapping[str, Sample], path: Path) -> None:
    differing = _differing(rows, known)
    if differing:
        lines = ", ".join(str(row.line) for row in differing[:5]) + (" …" if len(differing) > 5 else "")
        raise DataError(
            f"{path}: the question is not the sample's on {len(differing)} of {len(rows)} lines ({lines})",
            hint="the ids are of another packaging or split: --id NAME, --variant NAME, --split NAME",
        )


def _unrepeated(rows: Sequence[Row], path: Path) -> tuple[list[Row], tuple[str, ...]]:
    """Return each prediction once, and the ids that were there again; the same id with another prediction is refused."""
    first: dict[tuple[str, str], Row] = {}
    repeated: list[str] = []
    for row in rows:
        key = (row.id, json.dumps(row.condition, sort_keys=True))
        known = first.setdefault(key, row)
        if known is row:
            continue
        if known.value != row.value:
            raise DataError(
                f"{path}: {row.id} stands on lines {known.line} and {row.line} with different predictions", hint="keep one of them"
            )
        repeated.append(row.id)
    return list(first.values()), tuple(dict.fromkeys(repeated))


def _absent(predictions: Sequence[Prediction], samples: Sequence[Sample]) -> list[Prediction]:
    """Return a failed prediction for each sample that a condition of the file leaves out."""
    by_condition: dict[str, tuple[Condition, set[str]]] = {}
    for prediction in predictions:
        key = json.dumps(prediction.condition, sort_keys=True)
        by_condition.setdefault(key, (prediction.condition, set()))[1].add(prediction.sample)
    failed = Failed(kind="input", error="no prediction in the file")
    return [
        Prediction(sample=sample.id, value=failed, condition=condition)
        for condition, there in by_condition.values()
        for sample in samples
        if sample.id not in there
    ]
