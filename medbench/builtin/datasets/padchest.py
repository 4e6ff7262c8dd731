"""PadChest: 160,000 chest X-rays of one Spanish hospital, with labels; those that ChestX-ray14 has too are read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.layout import absent, hashed_split, require_options, require_split
from medbench.builtin.datasets.strict import inner_path
from medbench.builtin.datasets.tables import Line, filled, find_table, read_table, refuse
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.types import Image, Sample

DATASET = "padchest"
TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
SALT = "medbench-padchest-v1"
"""Name of the split: there is no official one, so patients are split by hash."""

TERMS: dict[str, tuple[str, ...]] = {
    "Atelectasis": (
        *("atelectasis", "laminar atelectasis", "lobar atelectasis", "segmental atelectasis", "round atelectasis", "total atelectasis"),
        "atelectasis basal",
    ),
    "Cardiomegaly": ("cardiomegaly",),
    "Consolidation": ("consolidation",),
    "Edema": ("pulmonary edema",),
    "Effusion": ("pleural effusion", "loculated pleural effusion", "loculated fissural effusion"),
    "Emphysema": ("emphysema",),
    "Fibrosis": ("pulmonary fibrosis",),
    "Hernia": ("hiatal hernia",),
    "Infiltration": ("infiltrates",),
    "Mass": ("mass", "pulmonary mass"),
    "Nodule": ("nodule", "multiple nodules"),
    "Pleural_Thickening": ("pleural thickening", "apical pleural thickening"),
    "Pneumonia": ("pneumonia", "atypical pneumonia"),
    "Pneumothorax": ("pneumothorax", "hydropneumothorax"),
}
"""ChestX-ray14's label -> PadChest's, so that models of one can be asked about the other."""

OPTIONS = {"views": ("frontal", "all"), "labelled_by": ("anybody", "physician")}
"""Reader parameters and their values, the default first."""

COLUMNS = ("ImageID", "ImageDir", "PatientID", "Projection", "MethodLabel", "Labels")
FURTHER = ("PatientBirth", "PatientSex_DICOM")
FRONTAL = ("PA", "AP", "AP_horizontal")

_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_SPLITS = ("train", "val", "test")
_KNOWN = {term: label for label, terms in TERMS.items() for term in terms}


class PadChest:
    """Reads the table of 160,000 images; pictures lie in one folder, or in folders by the table's `ImageDir`."""

    PARAMS = tuple(OPTIONS)

    def check(self, root: Path, variant: str = "") -> list[Problem]:  # noqa: ARG002 - there are none
        """Return what is missing from the folder, or how much of a twin is gone."""
        problems = absent(root)
        if not problems and find_table(root, TABLE) is None:
            problems = [Problem(f"{root}: no {TABLE} (or {TABLE}.gz)", "from BIMCV: the table beside the images' zips")]
        marker = read_marker(root)
        if marker and not problems:
            return shortfalls(root, marker, _counts(root))
        return problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the images of one split (by hash of the patient, 70/10/20), in the order of the table.

        Raises:
            UsageError: there is no such split or parameter.
            DataError: the table is missing or torn, an image is there twice, or a row cannot be used.
        """
        require_split(DATASET, split, _SPLITS)
        options = require_options(DATASET, params, OPTIONS)
        if read_marker(root):
            require_whole(root, _counts(root))
        path, flat = _table(root), _flat_folder(root)
        seen: set[str] = set()
        for line, values in _rows(path):
            name, folder, patient, projection, method, text, birth, sex = values
            if name in seen:
                refuse(path, line, f"the image {name} is there twice")
            seen.add(name)
            labels = label_list(path, line, text)
            if hashed_split(SALT, patient) != split or not labels or not _wanted(projection, method, options):
                continue
            inner = inner_path(path, name, f"line {line}")
            yield Sample(
                id=name,
                group=filled(path, line, "PatientID", patient),
                split=split,
                images=(Image(path=f"{flat}{inner}" if flat is not None else f"{inner_path(path, folder, f'line {line}')}/{inner}"),),
                labels=_labels(labels),
                meta={"view": projection, "method": method, "sex": sex, "birth": birth.partition(".")[0]},
            )

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return that the split is ours, and who is left out."""
        options = require_options(DATASET, params, OPTIONS)
        found = [f"there is no official split: patients are split by hash ({SALT})"]
        if not samples:
            return found
        path, left = _table(root), Counter[str]()
        for line, (_, _, patient, projection, method, text, _, _) in _rows(path):
            if hashed_split(SALT, patient) == samples[0].split:
                kind = "" if label_list(path, line, text) else "labels"
                left[kind or ("" if _wanted(projection, method, options) else "view or labeller")] += 1
        for what in ("labels", "view or labeller"):
            if left[what]:
                reason = "have no label, which does not mean normal" if what == "labels" else "have another view or labeller"
                found.append(f"{left[what]:,} images {reason}: they are left out")
        machine = sum(sample.meta["method"] != "Physician" for sample in samples)
        if machine:
            found.append(f"{machine:,} of the {len(samples):,} images were labelled by a network that read the report, not by a physician")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic PadChest: `size` test patients (0: 100)."""
        from medbench.builtin.twins.padchest import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def label_list(path: Path, line: int, text: str) -> list[str]:
    """Return the labels of a field that holds a list as Python prints it; empty for a blank.

    >>> label_list(Path("x.csv"), 2, "['normal', ' pneumonia']")
    ['normal', 'pneumonia']

    Raises:
        DataError: the field is no such list.
    """
    text = text.strip()
    if text in ("", "nan", "[]"):
        return []
    if not (text.startswith("[") and text.endswith("]")) or _QUOTED.sub("", text[1:-1]).strip(" ,\n"):
        refuse(path, line, f"Labels is {text[:80]!r}, expected a list such as ['normal']")
    return [found for one, two in _QUOTED.findall(text) if (found := (one or two).strip())]


def _rows(path: Path) -> Iterator[Line]:
    return read_table(path, COLUMNS, optional=FURTHER)


def _table(root: Path) -> Path:
    path = find_table(root, TABLE)
    if path is None:
        raise DataError(f"{root}: no {TABLE}", hint="is this the right data folder?")
    return path


def _flat_folder(root: Path) -> str | None:
    """Return the folder that holds all pictures; None: they lie in folders by their zip's number."""
    if any((root / str(number)).is_dir() for number in range(55)):
        return None
    return "images/" if (root / "images").is_dir() else ""


def _counts(root: Path) -> dict[str, int]:
    return dict(Counter(hashed_split(SALT, patient) for _, (_, _, patient, *_) in _rows(_table(root))))


def _wanted(projection: str, method: str, options: Mapping[str, str]) -> bool:
    seen = options["views"] == "all" or projection in FRONTAL
    return seen and (options["labelled_by"] == "anybody" or method == "Physician")


def _labels(labels: Sequence[str]) -> dict[str, float | None]:
    shown = {_KNOWN[label] for label in labels if label in _KNOWN}
    return {label: float(label in shown) for label in TERMS}
