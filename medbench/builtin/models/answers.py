"""How often each answer stands in the train split, by kind of question: what the answer baselines learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from medbench.errors import DataError, UsageError
from medbench.interfaces import Example
from medbench.record import to_json
from medbench.types import Generate, Struct, Text

FILE = "answers.json"
S = TypeVar("S", bound=Struct)


class AnswerTable(Struct):
    """Counts of train answers."""

    n_examples: int
    """Train examples with a target that is not blank."""
    seed: int
    """Seed of the fit."""
    kinds: dict[str, dict[str, int]]
    """Kind of question -> answer as it is spelled -> how often."""

    def counts(self, kind: str) -> dict[str, int]:
        """Return answer -> how often for a kind of question.

        A comma-joined kind (`POS, PRES`) that never occurs in train stands for its parts together; a kind of which no part
        occurs either stands for all of train.
        """
        wanted = kind.strip()
        if wanted in self.kinds:
            return self.kinds[wanted]
        known = [part for part in sorted({p.strip() for p in wanted.split(",")} - {""}) if part in self.kinds]
        pooled: Counter[str] = Counter()
        for name in known or sorted(self.kinds):
            pooled.update(self.kinds[name])
        return dict(pooled)


def count_answers(examples: Iterable[Example], seed: int) -> AnswerTable:
    """Return the counts of the stripped targets.

    Raises:
        DataError: no example has a target.
    """
    kinds: dict[str, Counter[str]] = {}
    for request, text in targets(examples):
        kinds.setdefault(request.kind.strip(), Counter())[text.strip()] += 1
    total = sum(found.total() for found in kinds.values())
    if not total:
        raise nothing_to_learn()
    return AnswerTable(n_examples=total, seed=seed, kinds={kind: dict(found) for kind, found in kinds.items()})


def spellings(counts: Mapping[str, int]) -> dict[str, int]:
    """Return each answer in its most frequent spelling -> how often it occurs in any spelling, most frequent first.

    Spellings differ by case only. Ties are broken by the text itself, so the order of train does not matter.

    >>> spellings({"Yes": 2, "yes": 3, "No": 4})
    {'yes': 5, 'No': 4}
    """
    variants: dict[str, list[str]] = {}
    for spelled in counts:
        variants.setdefault(spelled.casefold(), []).append(spelled)
    totals = {key: sum(counts[s] for s in found) for key, found in variants.items()}
    ranked = sorted(variants, key=lambda key: (-totals[key], key))
    return {min(variants[key], key=lambda s: (-counts[s], s)): totals[key] for key in ranked}


def targets(examples: Iterable[Example]) -> Iterator[tuple[Generate, str]]:
    """Yield request and target text of the examples, leaving out blank targets: they teach nothing.

    Raises:
        TypeError: an example is not made of a `Generate` and a `Text`.
    """
    for request, output in examples:
        if not isinstance(request, Generate) or not isinstance(output, Text):
            raise TypeError(f"a text baseline is fitted on (Generate, Text), not ({type(request).__name__}, {type(output).__name__})")
        if output.text.strip():
            yield request, output.text


def write_weights(out: Path, name: str, value: Struct) -> None:
    """Write a struct as JSON with sorted keys into a weights folder, which is made when absent."""
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(to_json(value))


def read_weights(folder: str | Path, name: str, kind: type[S]) -> S:
    """Read what `write_weights` wrote.

    Raises:
        DataError: the file is missing, torn, or something else.
    """
    path = Path(folder) / name
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", hint="weights is the folder that a fit of this model wrote") from error
    except msgspec.MsgspecError as error:
        raise DataError(f"{path}: {error}", hint="fit the model again") from error


def not_fitted(model: str) -> UsageError:
    """Return the error for a model that is asked before it was fitted."""
    return UsageError(f"{model} was not fitted", hint="run it on a task with a train split, or give weights=FOLDER of an earlier fit")


def nothing_to_learn() -> DataError:
    """Return the error for a train split without a single usable example."""
    return DataError("no train example can be used", hint="does the train split have references, and images that can be read?")
