"""RadNLI: pairs of sentences of chest X-ray reports, and whether the second follows from the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from medbench.builtin.datasets.layout import absent, require_options, require_split
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.identity import digest
from medbench.types import Sample, Split

DATASET = "radnli"
FILES: dict[Split, str] = {"val": "radnli_dev_v1.jsonl", "test": "radnli_test_v1.jsonl"}
FOLDERS = ("", "radnli-report-inference/1.0.0", "physionet.org/files/radnli-report-inference/1.0.0")
LABEL = "entailment"
NEUTRAL = ("masked", "negative")


class Pair(msgspec.Struct, frozen=True):
    """One line of a file; it may hold more than is read here."""

    pair_id: str
    sentence1: str
    sentence2: str
    gold_label: Literal["entailment", "neutral", "contradiction"]


class RadNli:
    """Reads the two annotated files; a sample has the first sentence as prompt and the second as reference."""

    PARAMS = ("neutral",)

    def check(self, root: Path, variant: str = "") -> list[Problem]:  # noqa: ARG002 - there are none
        """Return what is missing from the folder, or how much of a twin is gone."""
        problems = absent(root)
        if not problems:
            problems = [
                Problem(f"{root}: no {name}", "expected it here or in radnli-report-inference/1.0.0/", part=split)
                for split, name in FILES.items()
                if _file(root, split) is None
            ]
        marker = read_marker(root)
        return shortfalls(root, marker, _counts(root)) if marker and not problems else problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the pairs of one split in the order of the file.

        The one label is 1 for entailment and 0 for contradiction; neutral pairs are masked, or 0 too with `neutral=negative`.

        Raises:
            UsageError: there is no such split or parameter.
            DataError: the file is missing or torn, or a pair is there twice.
        """
        require_split(DATASET, split, tuple(FILES))
        chosen = require_options(DATASET, params, {"neutral": NEUTRAL})
        require_whole(root, _counts(root))
        truth = {"entailment": 1.0, "contradiction": 0.0, "neutral": 0.0 if chosen.get("neutral") == "negative" else None}
        for known in FILES:
            if known == split:
                yield from (_sample(pair, known, truth[pair.gold_label]) for pair in _pairs(root, known))

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:  # noqa: ARG002 - only the samples
        """Return how the three relations are distributed."""
        told = Counter(sample.meta["relation"] for sample in samples)
        parts = ", ".join(f"{name} {told[name]:,}" for name in ("entailment", "neutral", "contradiction"))
        return [f"relations of the pairs: {parts}; masked ones enter no score"] if samples else []

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write synthetic pairs: `size` first sentences (0: 100) in each split, three pairs each."""
        from medbench.builtin.twins.radnli import write  # noqa: PLC0415 - numpy, which reading does without

        write(root, seed, size)


def _file(root: Path, split: Split) -> Path | None:
    return next((path for folder in FOLDERS if (path := root / folder / FILES[split]).is_file()), None)


def _counts(root: Path) -> dict[str, int]:
    return {split: len(_pairs(root, split)) for split in FILES if _file(root, split)}


def _pairs(root: Path, split: Split) -> list[Pair]:
    path = _file(root, split)
    if path is None:
        raise DataError(f"{root}: no {FILES[split]}", hint="expected it here or in radnli-report-inference/1.0.0/")
    found: dict[str, Pair] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            pair = msgspec.json.decode(line, type=Pair)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: line {number}: {error}", hint="mend the line or fetch the file again") from error
        if not (pair.pair_id.strip() and pair.sentence1.strip() and pair.sentence2.strip()):
            raise DataError(
                f"{path}: line {number}: pair_id, sentence1 or sentence2 is empty", hint="mend the line or fetch the file again"
            )
        if pair.pair_id in found:
            raise DataError(f"{path}: line {number}: the pair_id {pair.pair_id} is there twice", hint="mend the file or fetch it again")
        found[pair.pair_id] = pair
    if not found:
        raise DataError(f"{path}: it holds no pair", hint="is the download complete?")
    return list(found.values())


def _sample(pair: Pair, split: Split, truth: float | None) -> Sample:
    first = pair.sentence1.strip()
    return Sample(
        id=f"{split}-{pair.pair_id}",
        group=f"{split}-{digest(first)[:12]}",
        split=split,
        prompt=first,
        references=(pair.sentence2.strip(),),
        labels={LABEL: truth},
        meta={"relation": pair.gold_label},
    )
