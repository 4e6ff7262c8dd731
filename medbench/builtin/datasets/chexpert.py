"""CheXpert, full size or small: one sample for each study."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.builtin.datasets.chexpert_labels import LABELS, POLICIES, Labels, label_maker
from medbench.builtin.datasets.layout import absent, masked, require_options, require_split
from medbench.builtin.datasets.tables import find_table, read_table, refuse
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.types import Image, Sample

DATASET = "chexpert"
ARCHIVES = ("CheXpert-v1.0-small", "CheXpert-v1.0", "CheXpert")
TABLES = {"train": ("train.csv",), "val": ("valid.csv", "val_labels.csv"), "test": ("test.csv", "test_labels.csv")}
OPTIONS = {"views": ("frontal", "all"), **POLICIES}
"""Reader parameters and their values, the default first."""

_PATH = re.compile(r"(?:^|/)((?:train|valid|val|test)/(patient\d+)/(study\d+)/(view\d+_(frontal|lateral)\.jpg))$")


class View(msgspec.Struct, frozen=True):
    """A row: one picture of a study."""

    line: int
    inner: str
    patient: str
    study: str
    frontal: bool
    position: str
    sex: str
    age: str
    labels: Labels


class CheXpert:
    """Reads `train.csv`, `valid.csv` and, where it is, `test_labels.csv`, from the archive's folder or the one around it."""

    PARAMS = tuple(OPTIONS)

    def check(self, root: Path, variant: str = "") -> list[Problem]:  # noqa: ARG002 - there are none
        """Return what is missing from the folder, or how much of a twin is gone."""
        problems = absent(root)
        if not problems and not any(_table(root, split) for split in ("val", "test")):
            problems = [Problem(f"{root}: no valid.csv", f"expected it here or in {ARCHIVES[0]}/, beside the folder valid/")]
        marker = read_marker(root)
        if marker and not problems:
            return shortfalls(root, marker, _counts(root))
        return problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the studies of one split, in the order of the table.

        Raises:
            UsageError: there is no such split or parameter.
            DataError: the table is missing or torn, a path is there twice, or a row cannot be used.
        """
        require_split(DATASET, split, tuple(TABLES))
        options = require_options(DATASET, params, OPTIONS)
        path = _table(root, split)
        if path is None:
            raise DataError(f"{root}: no {TABLES[split][0]}", hint=f"expected it here or in {ARCHIVES[0]}/")
        if read_marker(root):
            require_whole(root, _counts(root))
        folder = path.parent.relative_to(root).as_posix()
        base = "" if folder == "." else f"{folder}/"
        for views in _studies(path, _views(path, options)):
            if chosen := _chosen(views, options["views"]):
                yield _sample(chosen, split, base)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any], total: int | None = None) -> list[str]:
        """Return how many studies have no frontal view, what is masked, and odd values."""
        found = masked(samples)
        if not samples:
            return found
        path = _table(root, samples[0].split)
        options = require_options(DATASET, params, OPTIONS)
        views = list(_views(path, options)) if path else []
        told = len({(view.patient, view.study) for view in views})
        left_out = told - (len(samples) if total is None else total)
        if left_out > 0 and options["views"] == "frontal":
            found.append(f"{left_out:,} of the {told:,} studies have no frontal view: they are left out")
        odd = Counter(f"{name} {value}" for view in views for name, value, bad in _odd(view) if bad)
        found += [f"images with {what}: {count:,}" for what, count in sorted(odd.items())]
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic CheXpert-small: `size` patients in valid (0: 100)."""
        from medbench.builtin.twins.chexpert import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def _odd(view: View) -> tuple[tuple[str, str, bool], ...]:
    return (
        ("view", view.position, view.position in ("LL", "RL")),
        ("sex", view.sex, view.sex == "Unknown"),
        ("age", view.age, view.age == "0"),
    )


def _table(root: Path, split: str) -> Path | None:
    return next((path for folder in ("", *ARCHIVES) if (path := find_table(root / folder, *TABLES[split]))), None)


def _counts(root: Path) -> dict[str, int]:
    tables = {split: _table(root, split) for split in TABLES}
    return {split: sum(1 for _ in read_table(path, ("Path",))) for split, path in tables.items() if path}


def _views(path: Path, options: Mapping[str, str]) -> Iterator[View]:
    make = label_maker(LABELS, options["uncertain"], options["blank"])
    seen = set()
    for line, (named, *fields) in read_table(path, ("Path", *LABELS), optional=("Sex", "Age", "Frontal/Lateral", "AP/PA")):
        match = _PATH.search(named.replace("\\", "/"))
        if match is None:
            refuse(path, line, f"Path is {named!r}", "expected …/train/patient00001/study1/view1_frontal.jpg")
        inner, patient, study, _, side = match.groups()
        if inner in seen:
            refuse(path, line, f"{inner} is there twice")
        seen.add(inner)
        sex, age, seen_from, position = fields[len(LABELS) :]
        frontal = (seen_from or side).strip().lower() == "frontal"
        yield View(line, inner, patient, study, frontal, position.strip(), sex, age, make(path, line, tuple(fields[: len(LABELS)])))


def _studies(path: Path, views: Iterable[View]) -> Iterator[list[View]]:
    """Yield the views of each study; its labels stand in every row, and must be the same."""
    by_study: dict[tuple[str, str], list[View]] = {}
    for view in views:
        held = by_study.setdefault((view.patient, view.study), [])
        if held and held[0].labels != view.labels:
            refuse(path, view.line, f"{view.patient}/{view.study} has other labels than in line {held[0].line}")
        held.append(view)
    yield from by_study.values()


def _chosen(views: list[View], wanted: str) -> list[View]:
    """Return all views, frontal ones first, or the first frontal one; PA comes before AP."""
    ordered = sorted(views, key=lambda view: (not view.frontal, view.position != "PA", view.inner))
    if wanted == "all":
        return ordered
    return ordered[:1] if ordered[0].frontal else []


def _sample(views: list[View], split: str, base: str) -> Sample:
    first = views[0]
    return Sample(
        id=f"{first.patient}/{first.study}",
        group=first.patient,
        split=split,  # type: ignore[arg-type]
        images=tuple(Image(path=f"{base}{view.inner}", role="image" if view.frontal else "lateral") for view in views),
        labels=first.labels,
        meta={"sex": first.sex, "age": first.age, "view": first.position or ("frontal" if first.frontal else "lateral")},
    )
