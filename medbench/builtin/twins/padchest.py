"""The twin of PadChest: its table of 36 columns, and drawn films as 16-bit PNG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pil

from medbench.builtin.datasets.layout import hashed_split
from medbench.builtin.datasets.padchest import SALT, TABLE
from medbench.builtin.twins.chest import Chest, chest_film, draw_chest
from medbench.builtin.twins.film_labels import nih_findings
from medbench.builtin.twins.lateral import chest_lateral
from medbench.builtin.twins.packing import write_table
from medbench.builtin.twins.rsna import names_for
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_marker

DATASET = "padchest"
SIDE = 96
OWN = rf"\d{{1,2}}/9\d+_\d+\.png|{TABLE}\.gz".replace("160K_01.02.19.csv", r"160K_01\.02\.19\.csv")
HEADER = (
    *("", "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "ViewPosition_DICOM"),
    *("Projection", "MethodProjection", "Pediatric", "Modality_DICOM", "Manufacturer_DICOM", "PhotometricInterpretation_DICOM"),
    *("PixelRepresentation_DICOM", "PixelAspectRatio_DICOM", "SpatialResolution_DICOM", "BitsStored_DICOM", "WindowCenter_DICOM"),
    *("WindowWidth_DICOM", "Rows_DICOM", "Columns_DICOM", "XRayTubeCurrent_DICOM", "Exposure_DICOM", "ExposureInuAs_DICOM"),
    *("ExposureTime", "RelativeXRayExposure_DICOM", "ReportID", "Report", "MethodLabel", "Labels", "Localizations"),
    *("LabelsLocalizationsBySentence", "labelCUIS", "LocalizationsCUIS"),
)
_WORDS = {
    "Atelectasis": ("laminar atelectasis", "atelectasis"), "Cardiomegaly": ("cardiomegaly",), "Consolidation": ("consolidation",),
    "Edema": ("pulmonary edema",), "Effusion": ("pleural effusion",), "Emphysema": ("emphysema",), "Fibrosis": ("pulmonary fibrosis",),
    "Hernia": ("hiatal hernia",), "Infiltration": ("infiltrates",), "Mass": ("mass", "pulmonary mass"),
    "Nodule": ("nodule", "multiple nodules"), "Pleural_Thickening": ("apical pleural thickening",), "Pneumonia": (" pneumonia",),
    "Pneumothorax": ("pneumothorax",),
}  # fmt: skip
_STEMS = {
    "cardiomegaly": "cardiomegali", "pleural effusion": "derram pleural", "nodule": "nodul pulmon", "pneumothorax": "neumotorax",
    "normal": "sin hallazg patolog",
}  # fmt: skip
"""Labels as the stemmed Spanish of the reports has them."""


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` patients that the hash puts into test (0: 100), three times as many for train, two fifths for val.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    patients = {"train": 3 * made.size, "val": max(1, made.size * 2 // 5), "test": made.size}
    rows: list[tuple[Any, ...]] = []
    with new_twin(root, OWN) as folder:
        for number, patient in enumerate(names_for(SALT, patients, map(str, range(900_000_000, 999_000_000)))):
            rows += ((len(rows) + place, *row) for place, row in enumerate(_patient(folder, seed, number, patient)))
        write_table(folder / f"{TABLE}.gz", HEADER, rows)
        counts: Counter[str] = Counter(hashed_split(SALT, row[5]) for row in rows)
        write_marker(folder, made, {split: counts[split] for split in patients})


def _patient(folder: Path, seed: int, number: int, patient: str) -> Iterator[tuple[Any, ...]]:
    """Write a patient's films and yield their rows without the leading number; a few have odd views or no label."""
    rng = generator(seed, DATASET, number)
    birth, sex = f"{rng.integers(1925, 2010)}.0", "FM"[rng.integers(2)]
    chest = draw_chest(rng, normal=0.4)
    frontal = "AP_horizontal" if number % 11 == 4 else "AP" if rng.random() < 0.2 else "PA"
    views = [frontal, "L"] if number % 7 == 2 else [frontal, "COSTAL"] if number == 5 else [frontal]
    labels = _labels(chest, rng)
    told = [labels for _ in views]
    if number % 40 == 12:
        views, told = [*views, frontal], [*told, []]
    for view, named in zip(views, told, strict=True):
        name = f"{patient}{rng.integers(1_000_000)}_{rng.integers(100_000):05d}.png"
        place = int(rng.integers(0, 55))
        _write_film(folder / str(place) / name, chest, view, rng)
        yield _row(name, place, number, patient, birth, sex, view, named, rng)


def _write_film(path: Path, chest: Chest, view: str, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = (chest_lateral if view == "L" else chest_film)(chest, SIDE, rng)
    # the real ones fill anything from 10 to 16 bits
    deep = (grey.astype(np.uint16) << 4) | (rng.integers(0, 4, grey.shape, dtype=np.uint16) << 2)
    Pil.fromarray(deep).save(path, format="PNG", compress_level=4, optimize=False)


def _labels(chest: Chest, rng: np.random.Generator) -> list[str]:
    found = [words[rng.integers(len(words))] for name in nih_findings(chest) for words in [_WORDS[name]]]
    if chest.device:
        found.append({"pacemaker": "pacemaker", "central line": "central venous catheter"}.get(chest.device, "endotracheal tube"))
    return found or ["normal"]


def _row(
    name: str, place: int, number: int, patient: str, birth: str, sex: str, view: str, labels: list[str], rng: np.random.Generator
) -> tuple[Any, ...]:
    spoken = f" {' . '.join(_STEMS.get(label, label.strip()) for label in labels)} . "
    cuis = "[" + " ".join(f"'C{len(label):07d}'" for label in labels) + "]"
    where = [[*[label], *["loc basal"][: len(label) % 2]] for label in labels]
    physician = rng.random() < 0.27
    dicom = ("CR", "ImagingDynamicsCompanyLtd", "MONOCHROME2", 0, "", 0.15, 12, 2048, 4096, SIDE, SIDE, "", "", "", "", "")
    return (
        name, place, 20140915, f"{number}", patient, birth, sex, "POSTEROANTERIOR" if view == "PA" else "", view,
        "Manual review of DICOM fields", "No", *dicom, 5_000_000 + number, spoken, "Physician" if physician else "RNN_model",
        str(labels) if labels else "", "['loc basal']", str(where), cuis, "['C1282378']",
    )  # fmt: skip
