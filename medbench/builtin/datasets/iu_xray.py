"""IU X-ray (Open-I) in R2Gen's layout: one `annotation.json` and a folder of pictures per study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.strict import inner_path, place, read_json, required_field, rows_of
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem, UsageError, suggestion
from medbench.types import Image, Sample, Split, Struct

ANNOTATION = "annotation.json"
PICTURES = "images"
VARIANTS = ("r2gen",)

PUBLISHED_COUNTS: dict[Split, int] = {"train": 2069, "val": 296, "test": 590}
"""Studies per split in R2Gen's file."""

_SPLITS: dict[str, Split] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validate": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


class Item(Struct):
    """A study as the file lists it."""

    id: str
    report: str
    images: tuple[str, ...]
    split: Split
    named: str
    """The split that the item itself names; empty: none."""
    listed: str
    """The top-level key under which it stands."""


class IuXray:
    """Reads `annotation.json`; an item's own `split` decides, since copies with a damaged top-level key go round."""

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if variant and variant not in VARIANTS:
            return [Problem(f"iu-xray has no variant {variant}", suggestion(variant, VARIANTS))]
        if not root.is_dir():
            return [Problem(f"{root}: no such folder", "give the folder that holds the dataset with --data DIR")]
        problems = [*_missing_annotation(root)]
        if not (root / PICTURES).is_dir():
            problems.append(Problem(f"{root}: no folder {PICTURES}/", f"expected {PICTURES}/<study>/0.png, 1.png"))
        marker = read_marker(root)
        if marker and not problems:
            return shortfalls(root, marker, _counts(_items(root / ANNOTATION)))
        return problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the studies of one split, sorted by id; the reference is the report as it stands.

        Raises:
            UsageError: there is no such split or variant.
            DataError: the file is missing or torn, an id is there twice, or an item cannot be used.
        """
        _require_known(split, params)
        items = _items(root / ANNOTATION)
        require_whole(root, _counts(items))
        yield from (_sample(item) for item in sorted(items, key=lambda item: item.id) if item.split == split)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return how many references are copied from train, and what is odd about the file."""
        _require_known("test", params)
        items = _items(root / ANNOTATION)
        train = {item.report.strip() for item in items if item.split == "train"}
        found = _copied([sample for sample in samples if sample.split != "train"], train)
        found += [*_odd_keys(items), *_odd_splits(items), *_empty(items)]
        counts = _counts(items)
        if read_marker(root) is None and counts != PUBLISHED_COUNTS:
            found.append(f"the splits hold {_sizes(counts)} studies; R2Gen's file holds {_sizes(PUBLISHED_COUNTS)}")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic IU X-ray in R2Gen's layout: `size` test studies (0: 100)."""
        from medbench.builtin.twins.iu_xray import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def _missing_annotation(root: Path) -> list[Problem]:
    if (root / ANNOTATION).is_file():
        return []
    inside = next((p.parent.name for p in sorted(root.glob(f"*/{ANNOTATION}"))), "")
    hint = f"it is in {inside}/: give that folder" if inside else "it is part of R2Gen's iu_xray.zip"
    return [Problem(f"{root}: no {ANNOTATION}", hint)]


def _require_known(split: str, params: Mapping[str, Any]) -> None:
    variant = str(params.get("variant") or VARIANTS[0])
    if variant not in VARIANTS:
        raise UsageError(f"iu-xray has no variant {variant}", hint=suggestion(variant, VARIANTS))
    if split not in PUBLISHED_COUNTS:
        raise UsageError(f"iu-xray has no split {split}", hint="it has train, val and test")


def _items(path: Path) -> list[Item]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: the file holds no object with train, val and test", hint="is this R2Gen's annotation.json?")
    items = [
        _item(path, row, key, place(index, repr(key)))
        for key, rows in content.items()
        for index, row in enumerate(rows_of(path, rows, repr(key)))
    ]
    if not items:
        raise DataError(f"{path}: there is no study in it", hint="is this R2Gen's annotation.json?")
    name, count = Counter(item.id for item in items).most_common(1)[0]
    if count > 1:
        raise DataError(f"{path}: the id {name} is there {count} times", hint="ids are unique over all splits; mend the file")
    return items


def _item(path: Path, row: Mapping[str, Any], key: str, where: str) -> Item:
    name = required_field(path, row, "id", where)
    where = f"{where} ({name})"
    report = row.get("report")
    if not isinstance(report, str):
        raise DataError(f"{path}: {where}: report is no text", hint="mend the item or fetch the file again")
    named = row.get("split")
    if not isinstance(named, str | None):
        raise DataError(f"{path}: {where}: split is no text", hint="one of train, val, test")
    split = _SPLITS.get((named or key).strip().lower())
    if split is None:
        raise DataError(f"{path}: {where}: unknown split {named or key!r}", hint="one of train, val, test")
    return Item(id=name, report=report, images=_images(path, row, where), split=split, named=named or "", listed=key)


def _images(path: Path, row: Mapping[str, Any], where: str) -> tuple[str, ...]:
    listed = row.get("image_path")
    if not isinstance(listed, list) or not listed or not all(isinstance(name, str) for name in listed):
        raise DataError(f"{path}: {where}: image_path is no list of paths", hint='expected ["CXR…/0.png", "CXR…/1.png"]')
    return tuple(f"{PICTURES}/{inner_path(path, name, where)}" for name in listed)


def _sample(item: Item) -> Sample:
    return Sample(
        id=item.id,
        group=item.id.partition("_")[0],
        split=item.split,
        images=tuple(Image(path=name) for name in item.images),
        references=(item.report,),
    )


def _counts(items: Iterable[Item]) -> dict[str, int]:
    return {split: n for split, n in Counter(item.split for item in items).items() if n}


def _sizes(counts: Mapping[Any, int]) -> str:
    return "/".join(f"{counts.get(split, 0):,}" for split in PUBLISHED_COUNTS)


def _copied(samples: Sequence[Sample], train: set[str]) -> list[str]:
    copied = sum(sample.references[0].strip() in train for sample in samples)
    if not copied:
        return []
    split = samples[0].split
    share = f"{copied} of the {len(samples)} {split} references ({100 * copied / len(samples):.1f} %)"
    return [f"{share} occur word for word in train: a model that recites train is rewarded"]


def _odd_keys(items: Sequence[Item]) -> list[str]:
    odd = Counter(item.listed for item in items if item.listed not in PUBLISHED_COUNTS)
    return [f"{n} studies stand under the unknown key {key!r}: taken into the split that each names" for key, n in sorted(odd.items())]


def _odd_splits(items: Sequence[Item]) -> list[str]:
    found = []
    if silent := sum(not item.named for item in items):
        found.append(f"{silent} studies name no split: taken into the one they are listed under")
    other = sum(bool(item.named) and _SPLITS.get(item.listed.strip().lower(), item.split) != item.split for item in items)
    if other:
        found.append(f"{other} studies name another split than they are listed under: taken into the one they name")
    return found


def _empty(items: Sequence[Item]) -> list[str]:
    empty = sum(not item.report.strip() for item in items)
    return [f"{empty} reports are empty"] if empty else []
