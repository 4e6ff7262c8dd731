"""R2Gen's `annotation.json` of IU X-ray: its items, and what is odd about the copies that go round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.strict import inner_path, place, read_json, required_field, rows_of
from medbench.errors import DataError
from medbench.types import Image, Sample, Split, Struct

ANNOTATION = "annotation.json"
PICTURES = "images"

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

    @property
    def group(self) -> str:
        """The report's uid: `CXR2384` of `CXR2384_IM-0942`."""
        return self.id.partition("_")[0]

    def sample(self) -> Sample:
        """Return the study as a sample."""
        images = tuple(Image(path=name) for name in self.images)
        return Sample(id=self.id, group=self.group, split=self.split, images=images, references=(self.report,))


def read_items(path: Path) -> list[Item]:
    """Return all items of the file; an item's own `split` decides, since copies with a damaged top-level key go round.

    Raises:
        DataError: the file is missing or torn, an id is there twice, or an item cannot be used.
    """
    try:
        status = path.stat()
    except OSError:
        return _parsed(path, 0, 0)  # reading it says why it cannot be read
    return _parsed(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _parsed(path: Path, _modified_ns: int, _size: int) -> list[Item]:
    """Parse the file once for those who ask in turn: the check, the samples, the remarks."""
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


def counts(items: Sequence[Item]) -> dict[str, int]:
    """Return split -> studies, without the splits that have none."""
    return dict(Counter(item.split for item in items))


def oddities(items: Sequence[Item]) -> list[str]:
    """Return a line for each thing that is odd about the file."""
    return [*_odd_keys(items), *_odd_splits(items), *_empty(items)]


def sizes(held: Mapping[Any, int]) -> str:
    """Return the sizes of the three splits as one word.

    >>> sizes({"train": 2069, "val": 296, "test": 590})
    '2,069/296/590'
    """
    return "/".join(f"{held.get(split, 0):,}" for split in PUBLISHED_COUNTS)


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
