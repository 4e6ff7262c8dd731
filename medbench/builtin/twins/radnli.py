"""The twin of RadNLI: made-up sentences about findings, each with one that follows, one that does not, and one that says neither."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from medbench.builtin.datasets.radnli import FILES
from medbench.builtin.twins.packing import write_bytes
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_marker

DATASET = "radnli"
OWN = r"radnli_(?:dev|test)_v1\.jsonl"
FINDINGS = (
    "pleural effusion",
    "pneumothorax",
    "consolidation",
    "atelectasis",
    "pulmonary edema",
    "lung nodule",
    "rib fracture",
    "airspace opacity",
)
SIZES = ("small", "moderate", "large", "minimal")
PLACES = ("on the left", "on the right", "on both sides")
VERBS = ("There is a {size} {finding} {place}.", "A {size} {finding} is seen {place}.", "{Size} {finding} {place} is again noted.")


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` first sentences (0: 100) to each split, three pairs each.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    with new_twin(root, OWN) as folder:
        counts: dict[str, int] = {}
        for split, name in FILES.items():
            lines = [json.dumps(pair) for pair in _pairs(seed, split, made.size)]
            write_bytes(folder / name, "".join(f"{line}\n" for line in lines).encode())
            counts[split] = len(lines)
        write_marker(folder, made, counts)


def _pairs(seed: int, split: str, count: int) -> Iterator[dict[str, str]]:
    rng = generator(seed, DATASET, split)
    kinds = list(product(VERBS, FINDINGS, SIZES, PLACES))
    order = rng.permutation(len(kinds))
    for number in range(count):
        verb, finding, size, place = kinds[order[number % len(kinds)]]
        again = f" Image {number // len(kinds) + 1}." if number >= len(kinds) else ""
        first = verb.format(size=size, Size=size.capitalize(), finding=finding, place=place) + again
        other = FINDINGS[(FINDINGS.index(finding) + 1 + int(rng.integers(len(FINDINGS) - 1))) % len(FINDINGS)]
        said = {
            "entailment": f"{finding.capitalize()} is present.",
            "neutral": f"There may be {other}.",
            "contradiction": f"There is no evidence of {finding}.",
        }
        for relation, second in said.items():
            yield {"pair_id": f"{number}-{relation[0]}", "sentence1": first, "sentence2": second, "gold_label": relation}
