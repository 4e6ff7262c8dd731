"""MS-CXR-T: how five findings changed between two chest X-rays of a patient, on MIMIC-CXR-JPG's pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.layout import absent, require_options, require_split
from medbench.builtin.datasets.mimic_layout import picture_base, study_folder
from medbench.builtin.datasets.tables import filled, find_table, read_table, refuse
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.types import Image, Sample

DATASET = "ms-cxr-t"
TABLE = "MS_CXR_T_temporal_image_classification_v1.0.0.csv"
FOLDERS = ("", "ms-cxr-t/1.0.0", "ms-cxr-t", "physionet.org/files/ms-cxr-t/1.0.0")
FINDINGS = ("consolidation", "edema", "pleural_effusion", "pneumonia", "pneumothorax")
CLASSES = ("improving", "stable", "worsening")
IDS = ("subject_id", "study_id", "dicom_id", "previous_study_id", "previous_dicom_id")
COLUMNS = (*IDS, *(f"{finding}_progression" for finding in FINDINGS))


class MsCxrT:
    """Reads the table of pairs beside MIMIC-CXR-JPG's `files/`; one sample for each pair and annotated finding."""

    PARAMS: tuple[str, ...] = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:  # noqa: ARG002 - there are none
        """Return what is missing from the folder, or how much of a twin is gone."""
        problems = absent(root)
        if not problems and _table(root) is None:
            problems = [Problem(f"{root}: no {TABLE}", "expected it here or in ms-cxr-t/1.0.0/, beside MIMIC-CXR-JPG's files/")]
        marker = read_marker(root)
        if marker and not problems:
            return shortfalls(root, marker, {"test": sum(1 for _ in _samples(root))})
        return problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the annotated findings of all pairs, in the order of the table; the set is all test.

        Raises:
            UsageError: there is no such split.
            DataError: the table is missing or torn, or a row cannot be used.
        """
        require_split(DATASET, split, ("test",))
        require_options(DATASET, params, {})
        samples = list(_samples(root))
        require_whole(root, {"test": len(samples)})
        yield from samples

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:  # noqa: ARG002 - only the samples
        """Return how the classes are distributed within each finding."""
        told = Counter((sample.meta["finding"], sample.references[0]) for sample in samples)
        parts = [
            f"{finding} {'/'.join(str(told[finding, name]) for name in CLASSES)}"
            for finding in FINDINGS
            if any(told[finding, name] for name in CLASSES)
        ]
        return [f"{'/'.join(CLASSES)}: {', '.join(parts)}"] if parts else []

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic MS-CXR-T with its pictures: `size` patients (0: 100)."""
        from medbench.builtin.twins.ms_cxr_t import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def _table(root: Path) -> Path | None:
    return next((path for folder in FOLDERS if (path := find_table(root / folder, TABLE))), None)


def _samples(root: Path) -> Iterator[Sample]:
    path = _table(root)
    if path is None:
        raise DataError(f"{root}: no {TABLE}", hint="expected it here or in ms-cxr-t/1.0.0/")
    base = picture_base(root, "jpg")[0]
    seen: set[str] = set()
    qualities = tuple(f"{finding}_label_quality" for finding in FINDINGS)
    for line, values in read_table(path, COLUMNS, optional=qualities):
        subject, study, dicom, before, earlier = (
            filled(path, line, name, value).rpartition("/")[2] for name, value in zip(IDS, values[:5], strict=True)
        )
        if not all(part.replace("-", "").isalnum() for part in (subject, study, dicom, before, earlier)):
            refuse(path, line, "an id has characters that no id has")
        study, before = study.removeprefix("s"), before.removeprefix("s")
        if dicom in seen:
            refuse(path, line, f"the dicom_id {dicom} is there twice")
        seen.add(dicom)
        images = (
            Image(path=f"{base}{study_folder(subject, study)}/{dicom}.jpg", role="current"),
            Image(path=f"{base}{study_folder(subject, before)}/{earlier}.jpg", role="prior"),
        )
        for finding, change, quality in zip(FINDINGS, values[5:10], values[10:], strict=True):
            told = change.strip().lower()
            if told and told not in CLASSES:
                refuse(path, line, f"{finding}_progression is {change!r}", f"allowed: {', '.join(CLASSES)} and a blank")
            if told:
                yield _sample(subject, dicom, images, finding, told, quality)


def _sample(subject: str, dicom: str, images: tuple[Image, ...], finding: str, told: str, quality: str) -> Sample:
    return Sample(
        id=f"{dicom}:{finding}",
        group=subject,
        split="test",
        images=images,
        prompt=finding.replace("_", " "),
        references=(told,),
        labels={name: float(name == told) for name in CLASSES},
        meta={"finding": finding, "quality": quality},
    )
