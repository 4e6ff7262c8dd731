"""IU X-ray (Open-I) in its three layouts: the original reports, Kaggle's tables, R2Gen's `annotation.json`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from medbench.builtin.datasets.iu_annotation import ANNOTATION, PICTURES, PUBLISHED_COUNTS, Item, counts, oddities, read_items, sizes
from medbench.builtin.datasets.iu_reports import PROJECTIONS, Layout, Study, layouts, read_studies
from medbench.builtin.datasets.novelty import copied_remark, with_novelty
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem, UsageError, suggestion
from medbench.types import Image, Sample, Split

VARIANTS = ("r2gen", "findings", "findings-impression", "all")
"""`r2gen`: reports with findings and two images or more, as R2Gen chose them, two images each; `findings`: every report with
findings and an image, all its images; `findings-impression`: both sections as the reference; `all`: as `findings`, every study
in test, for models that never saw the collection."""

HASH_SPLIT = "medbench-iu-v1"
"""The split where no annotation.json is there: by the hash of the uid, 70/10/20. It is not R2Gen's."""


class IuXray:
    """Reads whichever layout stands in the folder; with R2Gen's annotation.json beside the reports, its split holds."""

    LAYOUTS = get_args(Layout)
    PARAMS: tuple[str, ...] = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if variant and variant not in VARIANTS:
            return [Problem(f"iu-xray has no variant {variant}", suggestion(variant, VARIANTS))]
        if not root.is_dir():
            return [Problem(f"{root}: no such folder", "give the folder that holds the dataset with --data DIR")]
        layout = _layout(root, variant or VARIANTS[0])
        if isinstance(layout, Problem):
            return [layout, *(_missing(root, "r2gen") if ANNOTATION in layout.message else [])]
        problems = _missing(root, layout)
        marker = read_marker(root)
        return shortfalls(root, marker, _rows(root, layout)) if marker and not problems else problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the studies of one split, sorted by id; the reference is the report as it stands.

        Raises:
            UsageError: there is no such split or variant, or the layout does not hold it.
            DataError: a file is missing or torn, an id is there twice, or an item cannot be used.
        """
        variant = _require_known(split, params)
        layout = _require_layout(root, variant)
        if read_marker(root):
            require_whole(root, _rows(root, layout))
        samples = sorted(_samples(root, layout, variant), key=lambda sample: sample.id)
        train = {reference.strip() for sample in samples if sample.split == "train" for reference in sample.references}
        yield from with_novelty((sample for sample in samples if sample.split == split), train)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return how many references are copied from train, where the split comes from, and what is odd about the files."""
        variant = _require_known("test", params)
        layout = _require_layout(root, variant)
        items = read_items(root / ANNOTATION) if (root / ANNOTATION).is_file() else []
        found = [*copied_remark(samples), *oddities(items)]
        if layout != "r2gen":
            found += _on_reports(read_studies(root, layout), items, variant)
        if items and read_marker(root) is None and counts(items) != PUBLISHED_COUNTS:
            found.append(f"the splits hold {sizes(counts(items))} studies; R2Gen's file holds {sizes(PUBLISHED_COUNTS)}")
        return found

    def write_twin(self, root: Path, seed: int, size: int, layout: Layout = "r2gen") -> None:
        """Write a synthetic IU X-ray: `size` test studies (0: 100) in R2Gen's layout, or the same studies in another one."""
        from medbench.builtin.twins.iu_xray import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size, layout)


def hash_split(uid: str) -> Split:
    """Return the split of a report where nobody says which: a function of its uid alone.

    >>> [hash_split(f"CXR{number}") for number in (1, 2, 3)]
    ['test', 'train', 'test']
    """
    tenth = int.from_bytes(hashlib.sha256(f"{HASH_SPLIT}\0{uid}".encode()).digest()[:8], "big") % 10
    return "train" if tenth < 7 else "val" if tenth == 7 else "test"


def _layout(root: Path, variant: str) -> Layout | Problem:
    """Return the layout that a variant is read from, or why there is none."""
    found = layouts(root)
    if not found:
        inside = next((p.parent.name for p in sorted(root.glob(f"*/{ANNOTATION}"))), "")
        hint = f"it is in {inside}/: give that folder" if inside else "it is part of R2Gen's iu_xray.zip"
        others = "or NLMCXR_png/ with ecgen-radiology/ (Open-I), or indiana_reports.csv with images/images_normalized/ (Kaggle)"
        return Problem(f"{root}: no {ANNOTATION}", f"{hint}\n{others}")
    if variant != "r2gen" and found == ["r2gen"]:
        return Problem(f"{root}: variant {variant} needs the reports", "NLMCXR_reports.tgz of Open-I, or Kaggle's indiana_reports.csv")
    return next(layout for layout in found if layout != "r2gen" or variant == "r2gen")


def _missing(root: Path, layout: Layout) -> list[Problem]:
    if layout == "r2gen" and not (root / PICTURES).is_dir():
        return [Problem(f"{root}: no folder {PICTURES}/", f"expected {PICTURES}/<study>/0.png, 1.png")]
    if layout == "kaggle" and not (root / PROJECTIONS).is_file():
        return [Problem(f"{root}: no {PROJECTIONS}", "it is part of Kaggle's raddar/chest-xrays-indiana-university")]
    return []


def _require_layout(root: Path, variant: str) -> Layout:
    layout = _layout(root, variant)
    if isinstance(layout, Problem):
        raise DataError(layout.message, hint=layout.hint)
    return layout


def _require_known(split: str, params: Mapping[str, Any]) -> str:
    variant = str(params.get("variant") or VARIANTS[0])
    if variant not in VARIANTS:
        raise UsageError(f"iu-xray has no variant {variant}", hint=suggestion(variant, VARIANTS))
    if split not in PUBLISHED_COUNTS:
        raise UsageError(f"iu-xray has no split {split}", hint="it has train, val and test")
    return variant


def _rows(root: Path, layout: Layout) -> dict[str, int]:
    """Return what a twin's marker counts: the items of each split, or the reports and those that R2Gen would have chosen."""
    if layout == "r2gen":
        return counts(read_items(root / ANNOTATION))
    studies = read_studies(root, layout)
    return {"reports": len(studies), "studies": sum(_chosen_by_r2gen(study) for study in studies)}


def _samples(root: Path, layout: Layout, variant: str) -> Iterator[Sample]:
    if layout == "r2gen":
        yield from (item.sample() for item in read_items(root / ANNOTATION))
        return
    listed = {item.group: item for item in read_items(root / ANNOTATION)} if (root / ANNOTATION).is_file() else None
    for study in read_studies(root, layout):
        item = listed.get(study.uid) if listed else None
        if variant == "r2gen":
            if _chosen_by_r2gen(study) and (item or listed is None):
                yield _as_r2gen(study, item)
        elif study.images and _reference(study, variant):
            yield _whole(study, item, variant)


def _chosen_by_r2gen(study: Study) -> bool:
    return len(study.images) >= 2 and bool(study.findings.strip())


def _as_r2gen(study: Study, item: Item | None) -> Sample:
    """Return the study as R2Gen's file has it: its findings and two of its images."""
    return Sample(
        id=item.id if item else study.name,
        group=study.uid,
        split=item.split if item else hash_split(study.uid),
        images=tuple(Image(path=path) for _, path in study.images[:2]),
        references=(study.findings,),
    )


def _whole(study: Study, item: Item | None, variant: str) -> Sample:
    split = "test" if variant == "all" else item.split if item else hash_split(study.uid)
    columns = {"indication": study.indication, "comparison": study.comparison, "mesh": ";".join(study.mesh)}
    return Sample(
        id=item.id if item else study.name,
        group=study.uid,
        split=split,
        images=tuple(Image(path=path) for _, path in study.images),
        references=(_reference(study, variant),),
        meta={name: value.strip() for name, value in columns.items() if value.strip()},
    )


def _reference(study: Study, variant: str) -> str:
    if variant != "findings-impression":
        return study.findings if study.findings.strip() else ""
    return "\n".join(text.strip() for text in (study.findings, study.impression) if text.strip())


def _on_reports(studies: Sequence[Study], items: Sequence[Item], variant: str) -> list[str]:
    held = Counter(min(len(study.images), 2) for study in studies)
    silent = sum(not study.findings.strip() for study in studies)
    found = [f"{len(studies):,} reports: {held[0]:,} have no image, {held[1]:,} one, {silent:,} no findings"]
    if variant == "all":
        return [*found, "every study is in test: for models that were not trained on this collection"]
    if not items:
        return [
            *found,
            f"the split is {HASH_SPLIT} (70/10/20 by hash of the uid), not R2Gen's: put its {ANNOTATION} into the folder for that",
        ]
    lacking = sum(study.uid not in {item.group for item in items} for study in studies if _chosen_by_r2gen(study))
    return [*found, f"{lacking} studies are not in {ANNOTATION}"] if lacking else found
