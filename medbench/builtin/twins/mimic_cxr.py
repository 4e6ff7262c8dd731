"""The twin of MIMIC-CXR: MIMIC-CXR-JPG's tables and pictures, MIMIC-CXR's reports, and both packagings, side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medbench.builtin.datasets import mimic_layout as parts
from medbench.builtin.datasets.chexpert_labels import LABELS
from medbench.builtin.datasets.mimic_packagings import ANNOTATION, chat_file
from medbench.builtin.twins.chest import Chest, chest_film, draw_chest
from medbench.builtin.twins.film_labels import chexpert_fields, radiologist_fields
from medbench.builtin.twins.lateral import chest_lateral
from medbench.builtin.twins.mimic_reports import (
    SHAPES,
    findings_text,
    folded,
    has_findings,
    impression_text,
    indication_text,
    report_text,
)
from medbench.builtin.twins.packing import write_bytes, write_grey_jpeg, write_table, write_zip
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_json, write_marker
from medbench.types import Struct

DATASET = "mimic-cxr"
SIDE = 112
"""Pixels along a side of the pictures."""

JPG = "mimic-cxr-jpg/2.1.0"
TEXT = "mimic-cxr/2.1.0"
RADLAVA = "llava-rad-mimic-cxr-annotation/1.0.0"
OWN = rf"({JPG}|{TEXT}|mimic_cxr|{RADLAVA})/[^/]+|{JPG}/files/p1\d/p1\d{{7}}/s5\d{{7}}/[0-9a-f-]{{44}}\.jpg"

METADATA_COLUMNS = (
    *("dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns", "StudyDate"),
    *("StudyTime", "ProcedureCodeSequence_CodeMeaning", "ViewCodeSequence_CodeMeaning", "PatientOrientationCodeSequence_CodeMeaning"),
)
_NAMES = {"train": "train", "val": "validate", "test": "test"}


class Film(Struct):
    """A picture of a study."""

    dicom: str
    position: str


class Visit(Struct):
    """A study."""

    index: int
    subject: str
    number: str
    split: str
    chest: Chest
    films: tuple[Film, ...]
    shape: str
    findings: str
    indication: str

    @property
    def folder(self) -> str:
        """Where its pictures and report lie below `files/`."""
        return parts.study_folder(self.subject, self.number)


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` test patients (0: 100), three times as many for train and two fifths for val.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    patients = {"train": 3 * made.size, "val": max(1, made.size * 2 // 5), "test": made.size}
    with new_twin(root, OWN) as folder:
        visits = list(_visits(seed, patients))
        for visit in visits:
            _write_films(folder / JPG / "files" / visit.folder, seed, visit)
        _write_tables(folder / JPG, seed, visits)
        _write_reports(folder / TEXT, visits)
        _write_r2gen(folder / "mimic_cxr", visits)
        _write_llavarad(folder / RADLAVA, seed, visits)
        counts = Counter(visit.split for visit in visits for _ in visit.films)
        write_marker(folder, made, {split: counts[split] for split in patients})


def _visits(seed: int, patients: dict[str, int]) -> Iterator[Visit]:
    names = [split for split, count in patients.items() for _ in range(count)]
    order = generator(seed, DATASET, "splits").permutation(len(names)).tolist()
    order.remove(len(names) - 1)  # the first patient has the odd reports and views, and belongs to test
    index = 0
    for patient, place in enumerate([len(names) - 1, *order]):
        for number in range(_studies(patient)):
            yield _visit(seed, index, patient, names[place], first=number == 0)
            index += 1


def _studies(patient: int) -> int:
    """Return how many studies a patient has: one, now and then two or three; the first patient has one of each shape."""
    return len(SHAPES) if patient == 0 else 3 if patient % 25 == 3 else 2 if patient % 8 == 5 else 1


def _subject(patient: int) -> str:
    """Return a number: the first lie below every real one, the rest fill two other group folders."""
    if patient < 30 and patient % 10 < 8:
        return str(10000001 + patient)
    return str((19000000 if patient % 5 == 4 else 11000000) + patient)


def _visit(seed: int, index: int, patient: int, split: str, *, first: bool) -> Visit:
    rng = generator(seed, DATASET, index)
    chest = draw_chest(rng)
    shape = SHAPES[index] if patient == 0 else _shape(rng, first=first)
    return Visit(
        index=index,
        subject=_subject(patient),
        number=str(50000001 + index),
        split=split,
        chest=chest,
        films=tuple(Film(dicom=_dicom(rng), position=position) for position in _positions(index, rng)),
        shape=shape,
        findings=findings_text(chest, rng),
        indication=indication_text(rng),
    )


def _shape(rng: np.random.Generator, *, first: bool) -> str:
    """Return the shape of a report; a patient's first one has a section of findings, so that no patient is without."""
    shape = "standard" if rng.random() < 0.6 else SHAPES[rng.integers(len(SHAPES))]
    return shape if has_findings(shape) or not first else "standard"


def _positions(index: int, rng: np.random.Generator) -> list[str]:
    """Return the views of a study; a few have no position, two frontal ones, or a lateral alone."""
    odd = {2: [""], 6: ["AP", "PA", "LATERAL"], 7: ["LL"], 9: ["AP", "AP"]}
    if index in odd:
        return odd[index]
    frontal = "PA" if rng.random() < 0.5 else "AP"
    return [frontal, "LATERAL"] if frontal == "PA" and rng.random() < 0.3 else [frontal]


def _dicom(rng: np.random.Generator) -> str:
    return "-".join(f"{part:08x}" for part in rng.integers(0, 1 << 32, 5).tolist())


def _write_films(folder: Path, seed: int, visit: Visit) -> None:
    for number, film in enumerate(visit.films):
        draw = chest_lateral if film.position in ("LATERAL", "LL") else chest_film
        write_grey_jpeg(folder / f"{film.dicom}.jpg", draw(visit.chest, SIDE, generator(seed, DATASET, visit.index, number)))


# --- MIMIC-CXR-JPG ----------------------------------------------------------------------------------------------------


def _write_tables(folder: Path, seed: int, visits: Sequence[Visit]) -> None:
    films = [(visit, film) for visit in visits for film in visit.films]
    paths = "".join(f"files/{visit.folder}/{film.dicom}.jpg\n" for visit, film in films)
    write_bytes(folder / "IMAGE_FILENAMES", paths.encode())
    split = ((film.dicom, visit.number, visit.subject, _NAMES[visit.split]) for visit, film in films)
    write_table(folder / f"{parts.SPLIT}.gz", ("dicom_id", "study_id", "subject_id", "split"), split)
    write_table(folder / f"{parts.METADATA}.gz", METADATA_COLUMNS, (_metadata(seed, visit, film) for visit, film in films))
    names = sorted(LABELS)
    for table in (parts.CHEXPERT, parts.NEGBIO):
        rows = (_label_row(seed, visit, table, names) for visit in visits if visit.index != 4)
        write_table(folder / f"{table}.gz", ("subject_id", "study_id", *names), rows)
    named = sorted("Airspace Opacity" if name == "Lung Opacity" else name for name in LABELS)
    seen = [(visit, radiologist_fields(visit.chest)) for visit in visits if visit.split == "test"]
    judged = ((visit.number, *(fields["Lung Opacity" if name == "Airspace Opacity" else name] for name in named)) for visit, fields in seen)
    write_table(folder / parts.RADIOLOGIST, ("study_id", *named), judged)


def _metadata(seed: int, visit: Visit, film: Film) -> tuple[Any, ...]:
    rng = generator(seed, DATASET, "taken", visit.index)
    date = f"21{rng.integers(10, 99)}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
    hour = 8 if visit.index % 3 == 0 else int(rng.integers(10, 24))
    time = f"{hour}{rng.integers(60):02d}{rng.integers(60):02d}.{rng.integers(100, 1000)}"
    lateral = film.position in ("LATERAL", "LL")
    procedure = "CHEST (PORTABLE AP)" if visit.films[0].position == "AP" else "CHEST (PA AND LAT)"
    seen = "lateral" if lateral else "antero-posterior" if film.position == "AP" else "postero-anterior" if film.position else ""
    return (
        film.dicom, visit.subject, visit.number, procedure, film.position, SIDE, SIDE, date, time, procedure, seen, "Erect"
    )  # fmt: skip


def _label_row(seed: int, visit: Visit, table: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return one labeller's fields; the sixth study has no label at all, as real ones do whose report says nothing."""
    fields = chexpert_fields(visit.chest, generator(seed, DATASET, table, visit.index))
    return (visit.subject, visit.number, *("" if visit.index == 5 else fields[name] for name in names))


# --- texts ------------------------------------------------------------------------------------------------------------


def _write_reports(folder: Path, visits: Sequence[Visit]) -> None:
    texts = {
        f"files/{visit.folder}.txt": report_text(visit.shape, visit.findings, visit.indication, impression_text(visit.chest))
        for visit in sorted(visits, key=lambda visit: visit.folder)
    }
    write_zip(folder / parts.REPORTS, texts)
    records = (
        (visit.subject, visit.number, film.dicom, f"files/{visit.folder}/{film.dicom}.dcm") for visit in visits for film in visit.films
    )
    write_table(folder / "cxr-record-list.csv.gz", ("subject_id", "study_id", "dicom_id", "path"), records)
    studies = ((visit.subject, visit.number, f"files/{visit.folder}.txt") for visit in visits)
    write_table(folder / "cxr-study-list.csv.gz", ("subject_id", "study_id", "path"), studies)


def _write_r2gen(folder: Path, visits: Sequence[Visit]) -> None:
    listed: dict[str, list[dict[str, Any]]] = {split: [] for split in _NAMES}
    for visit in visits:
        if has_findings(visit.shape):
            listed[visit.split] += [
                {
                    "id": film.dicom,
                    "study_id": int(visit.number),
                    "subject_id": int(visit.subject),
                    "report": folded(visit.findings),
                    "image_path": [f"{visit.folder}/{film.dicom}.jpg"],
                    "split": visit.split,
                }
                for film in visit.films
            ]
    folder.mkdir(parents=True)
    write_json(folder / ANNOTATION, listed)


def _write_llavarad(folder: Path, seed: int, visits: Sequence[Visit]) -> None:
    folder.mkdir(parents=True)
    for split in _NAMES:
        items = [
            _chat(seed, visit, film) for visit in visits if visit.split == split for film in visit.films if film.position in ("AP", "PA")
        ]
        (folder / chat_file(split)).write_text(json.dumps(items, indent=2), encoding="utf-8", newline="\n")


def _chat(seed: int, visit: Visit, film: Film) -> dict[str, Any]:
    """Return one item; labels that were not given are bare NaN, which makes the file no strict JSON, as the real one is."""
    fields = chexpert_fields(visit.chest, generator(seed, DATASET, parts.CHEXPERT, visit.index))
    ruled = has_findings(visit.shape)
    said: Any = visit.findings if ruled or visit.index % 2 else float("nan")
    return {
        "id": f"{visit.subject}_{visit.number}",
        "image": f"mimic/{visit.folder}/{film.dicom}.jpg",
        "generate_method": "rule-based" if ruled else "gpt4",
        "reason": None if visit.index % 7 == 3 else visit.indication,
        "impression": impression_text(visit.chest),
        "indication": visit.indication,
        "history": None,
        "view": film.position,
        "orientation": "Erect",
        "chexpert_labels": {name: float(field) if field else float("nan") for name, field in fields.items()},
        "conversations": [
            {"from": "human", "value": "<image>\nProvide a description of the findings in the radiology image."},
            {"from": "gpt", "value": said},
        ],
    }
