"""What readers ask of a run before they open a file: is there a folder, and are split, variant and parameters known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.errors import Problem, UsageError, suggestion
from medbench.types import Sample, Split


def absent(root: Path) -> list[Problem]:
    """Return the problem of a root that is no folder; empty: it is one."""
    if root.is_dir():
        return []
    return [Problem(f"{root}: no such folder", "give the folder that holds the dataset with --data DIR")]


def unknown_variant(dataset: str, variant: str, variants: Sequence[str]) -> list[Problem]:
    """Return the problem of a variant that the dataset does not have; an empty name is its default."""
    if not variant or variant in variants:
        return []
    return [Problem(f"{dataset} has no variant {variant}", suggestion(variant, variants))]


def require_variant(dataset: str, params: Mapping[str, Any], variants: Sequence[str]) -> str:
    """Return the variant that `params` name, or the default one.

    Raises:
        UsageError: the dataset has no such variant.
    """
    variant = str(params.get("variant") or variants[0])
    if variant not in variants:
        raise UsageError(f"{dataset} has no variant {variant}", hint=suggestion(variant, variants))
    return variant


def require_split(dataset: str, split: str, splits: Sequence[str]) -> None:
    """Do nothing for a split that the dataset has.

    Raises:
        UsageError: it does not have it.
    """
    if split not in splits:
        raise UsageError(f"{dataset} has no split {split}", hint=f"it has {', '.join(splits)}")


def require_options(dataset: str, params: Mapping[str, Any], allowed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the reader's parameters, each with its first allowed value where `params` leave it open.

    Raises:
        UsageError: a parameter is unknown, or its value is not allowed.
    """
    unknown = [name for name in params if name not in allowed and name not in ("variant", "preset")]
    if unknown:
        raise UsageError(f"{dataset} has no reader parameter {unknown[0]}", hint=suggestion(unknown[0], allowed))
    chosen = {name: str(params.get(name, values[0])) for name, values in allowed.items()}
    for name, value in chosen.items():
        if value not in allowed[name]:
            raise UsageError(f"{dataset}: reader parameter {name} is {value!r}", hint=f"one of {', '.join(allowed[name])}")
    return chosen


def masked(samples: Iterable[Sample]) -> list[str]:
    """Return, as a remark, how many labels of the samples are masked; empty: none is."""
    labels = [value for sample in samples for value in sample.labels.values()]
    lost = sum(value is None for value in labels)
    if not lost:
        return []
    return [f"{lost:,} of the {len(labels):,} labels ({100 * lost / len(labels):.1f} %) are uncertain or not given: they are left out"]


def hashed_split(salt: str, group: str) -> Split:
    """Return the split of a group in data that has no official one: 70 % train, 10 % val, 20 % test.

    It depends on the salt and the group's name alone, so that every copy of the data, whole or in part, is split alike.

    >>> hashed_split("medbench-rsna-v1", "0004cfab-14fd-4e49-80ba-63a80b6bddd6")
    'train'
    """
    drawn = int.from_bytes(hashlib.sha256(f"{salt}\0{group}".encode()).digest()[:8], "big") / 2**64
    return "test" if drawn < 0.2 else "val" if drawn < 0.3 else "train"
