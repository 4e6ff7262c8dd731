"""MIMIC-CXR with MIMIC-CXR-JPG's tables: reports, labels, and the packagings of R2Gen and LLaVA-Rad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.builtin.datasets import mimic_layout as parts
from medbench.builtin.datasets.archives import UTF8
from medbench.builtin.datasets.chexpert_labels import LABELS, POLICIES, Labels, label_maker
from medbench.builtin.datasets.layout import absent, masked, require_options, require_split, require_variant, unknown_variant
from medbench.builtin.datasets.mimic_exceptions import SLICES, STAND_INS
from medbench.builtin.datasets.mimic_packagings import (
    ANNOTATION,
    LLAVARAD,
    METHODS,
    R2GEN,
    chat_file,
    llavarad_samples,
    r2gen_samples,
)  # fmt: skip
from medbench.builtin.datasets.mimic_sections import section
from medbench.builtin.datasets.mimic_studies import PACKAGE, Studies, Study, frontal_share, read_studies
from medbench.builtin.datasets.novelty import copied_remark, with_novelty
from medbench.builtin.datasets.tables import header_of, read_table, refuse
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import Problem
from medbench.types import Image, Sample, Split

DATASET = "mimic-cxr"
VARIANTS = ("frontal", "chexpert", "negbio", "radiologist", "r2gen", "llavarad")
OPTIONS = {
    "section": ("findings", "impression", "conclusion"),
    "views": ("frontal", "all"),
    "pixels": ("auto", "jpg", "dicom"),
    "method": METHODS,
    "novelty": ("off", "on"),
    "encoding": ("utf-8", "latin-1"),
    **POLICIES,
}
"""Reader parameters and their values, the default first. `novelty` reads all reports of train too, which takes a minute."""

_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_TABLES = {"chexpert": parts.CHEXPERT, "negbio": parts.NEGBIO, "radiologist": parts.RADIOLOGIST}
_OTHER_NAMES = {"Airspace Opacity": "Lung Opacity", "No Findings": "No Finding"}
"""Columns of the radiologist's table that other tables name otherwise."""


class MimicCxr:
    """Reads the packages as downloaded; a sample is a study, or a picture in the packagings of R2Gen and LLaVA-Rad."""

    PARAMS = tuple(OPTIONS)

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder for a variant, or how much of a twin is gone."""
        problems = absent(root) or unknown_variant(DATASET, variant, VARIANTS) or _missing(root, variant or VARIANTS[0])
        marker = read_marker(root)
        if marker and not problems:
            return shortfalls(root, marker, read_studies(root, "test").pictures)
        return problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the samples of one split: studies by number, pictures in the order of their file.

        Raises:
            UsageError: there is no such split, variant or parameter.
            DataError: a part is missing, torn, or holds something that cannot be used.
        """
        variant = require_variant(DATASET, params, VARIANTS)
        require_split(DATASET, split, _SPLITS)
        options = require_options(DATASET, params, OPTIONS)
        samples = _samples(root, split, variant, options)
        if options["novelty"] == "on" and split != "train" and variant not in _TABLES:
            train = {text.strip() for sample in _samples(root, "train", variant, options) for text in sample.references}
            samples = with_novelty(samples, train)
        yield from samples

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any], total: int | None = None) -> list[str]:
        """Return who is left out and why, and what repeats among the samples."""
        variant = require_variant(DATASET, params, VARIANTS)
        options = require_options(DATASET, params, OPTIONS)
        found = [*copied_remark(samples), *_repeats(samples), *masked(samples)]
        if variant in ("r2gen", "llavarad") or not samples:
            return [*_shared_studies(samples), *found]
        studies = read_studies(root, samples[0].split)
        if options["views"] == "frontal":
            found += frontal_share(studies)
        told = len(studies.found) if options["views"] == "all" else sum(bool(study.chosen("frontal")) for study in studies.found)
        if variant == "frontal" and options["section"] != "conclusion":
            found += _exceptions(studies)
        left_out = told - (len(samples) if total is None else total)
        if left_out > 0:
            what = f"no {options['section']} section" if variant == "frontal" else f"no row in {_TABLES[variant]}"
            found.append(f"{left_out:,} of {told:,} studies have {what}: they are left out")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic MIMIC-CXR with all its packages: `size` test patients (0: 100)."""
        from medbench.builtin.twins.mimic_cxr import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def _samples(root: Path, split: str, variant: str, options: Mapping[str, str]) -> Iterator[Sample]:
    base = parts.picture_base(root, options["pixels"])
    if variant in ("r2gen", "llavarad"):
        if read_marker(root):
            require_whole(root, read_studies(root, split).pictures)
        made = r2gen_samples(root, split, base) if variant == "r2gen" else llavarad_samples(root, split, base, options["method"])
        yield from made
        return
    studies = read_studies(root, split)
    require_whole(root, studies.pictures)
    if variant == "frontal":
        yield from _reported(root, studies, split, base, options)
    else:
        yield from _labelled(root, studies, split, base, options, _TABLES[variant])


def _missing(root: Path, variant: str) -> list[Problem]:
    wanted: list[tuple[str, str]] = {
        "r2gen": [(ANNOTATION, R2GEN)],
        "llavarad": [(chat_file("test"), LLAVARAD)],
    }.get(variant, [(parts.SPLIT, PACKAGE), (parts.METADATA, PACKAGE)])
    if variant in _TABLES:
        wanted.append((_TABLES[variant], PACKAGE))
    problems = [
        Problem(f"{root}: no {name} (or {name}.gz)", f"it is part of {origin}")
        for name, origin in wanted
        if not parts.find_part(root, name)
    ]
    if variant == "frontal" and not parts.has_reports(root):
        problems.append(Problem(f"{root}: no reports", f"expected {parts.REPORTS} or files/p10/…/s….txt, which come with MIMIC-CXR"))
    return problems


def _reported(root: Path, studies: Studies, split: str, base: tuple[str, str], options: Mapping[str, str]) -> Iterator[Sample]:
    """Yield the studies that have a picture of the wanted views and the wanted section."""
    with parts.Reports(root, options["encoding"].replace("utf-8", UTF8)) as reports:
        for study in studies.found:
            if images := _images(study, base, options["views"]):
                text = section(study.number, reports.read(study.subject, study.number), options["section"])
                if text:
                    yield _sample(study, split, images, references=(text,))


def _labelled(root: Path, studies: Studies, split: str, base: tuple[str, str], options: Mapping[str, str], table: str) -> Iterator[Sample]:
    """Yield the studies that have a picture of the wanted views and a row of labels."""
    labels = _labels(parts.require_part(root, table, PACKAGE), {study.number for study in studies.found}, options)
    for study in studies.found:
        if study.number in labels and (images := _images(study, base, options["views"])):
            yield _sample(study, split, images, labels=labels[study.number])


def _labels(path: Path, wanted: set[str], options: Mapping[str, str]) -> dict[str, Labels]:
    theirs = {_OTHER_NAMES.get(name, name): name for name in header_of(path)}
    make = label_maker(LABELS, options["uncertain"], options["blank"])
    found: dict[str, Labels] = {}
    columns = ["study_id", *(theirs.get(name, name) for name in LABELS)]
    for line, (study, *fields) in read_table(path, columns):
        if study not in wanted:
            continue  # its row is another split's to check
        if study in found:
            refuse(path, line, f"the study {study} is there twice")
        found[study] = make(path, line, tuple(fields))
    return found


def _images(study: Study, base: tuple[str, str], views: str) -> tuple[Image, ...]:
    folder = f"{base[0]}{parts.study_folder(study.subject, study.number)}/"
    return tuple(Image(path=f"{folder}{view.dicom}{base[1]}", role=view.role) for view in study.chosen(views))


def _sample(
    study: Study, split: str, images: tuple[Image, ...], *, references: tuple[str, ...] = (), labels: Labels | None = None
) -> Sample:
    return Sample(
        id=f"s{study.number}",
        group=study.subject,
        split=split,  # type: ignore[arg-type]
        images=images,
        references=references,
        labels=labels or {},
        meta={"view": study.views[0].position, "taken": study.taken},
    )


def _repeats(samples: Sequence[Sample]) -> Iterator[str]:
    texts = Counter(text.strip() for sample in samples for text in sample.references)
    twice = sum(count for count in texts.values() if count > 1)
    if twice:
        yield f"{twice:,} of the {len(samples):,} references stand word for word under more than one sample"
    if blanked := sum("___" in text for sample in samples for text in sample.references):
        share = 100 * blanked / len(samples)
        yield f"{blanked:,} references ({share:.1f} %) hold ___ for words that were removed: a prediction that copies it gains overlap"


def _exceptions(studies: Studies) -> Iterator[str]:
    """Say how many reports the authors' own table of sections leaves out, and this reader with it."""
    if count := sum(study.number in SLICES or study.number in STAND_INS for study in studies.found):
        yield f"studies whose report the authors of the data cut by hand: {count:,}; they have no section of their own and are left out"


def _shared_studies(samples: Sequence[Sample]) -> Iterator[str]:
    studies = Counter(sample.meta["study"] for sample in samples)
    several = sum(count > 1 for count in studies.values())
    if several:
        yield f"{several:,} of the {len(studies):,} studies count more than once: a sample is a picture, and its views share one report"
