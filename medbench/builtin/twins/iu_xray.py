"""The twin of IU X-ray in R2Gen's layout, and the same studies as Open-I and Kaggle give them out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.datasets.iu_annotation import ANNOTATION, PICTURES
from medbench.builtin.datasets.iu_reports import NORMALIZED, PNG, PROJECTIONS, REPORTS, XML_FOLDERS, Layout
from medbench.builtin.twins.chest import Chest, chest_film, draw_chest
from medbench.builtin.twins.iu_files import FullReport, write_kaggle, write_original
from medbench.builtin.twins.lateral import chest_lateral
from medbench.builtin.twins.reports import impression_of, indication_of, report_of, terms_of
from medbench.builtin.twins.writing import Stamp, generator, new_twin, stamp, write_json, write_marker, write_png

DATASET = "iu-xray"
SIDE = 128
"""Pixels along a side of the pictures."""

FIRST_UID = 9001
"""Above every uid of the real collection, whose last is 3999."""

LEFT_OUT = ((0, True), (1, True), (1, False), (2, False), (4, False), (0, False), (3, False), (1, True))
"""(images, findings) of the reports that R2Gen leaves out, over and over, one for every eight that it takes."""

OWN = "|".join(
    (
        rf"{re.escape(ANNOTATION)}|{PICTURES}/CXR9\d+[^/]*/\d+\.png",
        rf"{XML_FOLDERS[0]}/9\d+\.xml|{PNG}/CXR9\d+_[^/]*\.png",
        rf"{re.escape(REPORTS)}|{re.escape(PROJECTIONS)}|{NORMALIZED[0]}/9\d+_[^/]*\.dcm\.png",
    )
)


def write(root: Path, seed: int, size: int, layout: Layout = "r2gen") -> None:
    """Write `size` test studies (0: 100), three times as many for train and two fifths for val.

    The other layouts hold the very same studies without a split, and reports that R2Gen leaves out among them.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    counts = {"train": 3 * made.size, "val": max(1, made.size * 2 // 5), "test": made.size}
    with new_twin(root, OWN) as folder:
        if layout == "r2gen":
            _write_r2gen(folder, made, counts)
        else:
            counts = _write_reports(folder, made, sum(counts.values()), layout)
        write_marker(folder, made, counts)


def _write_r2gen(folder: Path, made: Stamp, counts: dict[str, int]) -> None:
    names = [split for split, count in counts.items() for _ in range(count)]
    order = generator(made.seed, DATASET, "splits").permutation(len(names)).tolist()
    annotation: dict[str, list[dict[str, Any]]] = {split: [] for split in counts}
    for index, place in enumerate(order):
        split = names[place]
        annotation[split].append(_study(folder, made.seed, index, split))
    write_json(folder / ANNOTATION, annotation)


def _study(folder: Path, seed: int, index: int, split: str) -> dict[str, Any]:
    name = _id(index)
    rng = generator(seed, DATASET, index)
    chest = draw_chest(rng, normal=0.3)
    report = report_of(chest, rng)
    films = folder / PICTURES / name
    films.mkdir(parents=True)
    paths = []
    for number, film in enumerate(_films(chest, rng, _listed(index, rng))):
        write_png(films / f"{number}.png", film)
        paths.append(f"{name}/{number}.png")
    return {"id": name, "report": report, "image_path": paths, "split": split}


def _films(chest: Chest, rng: np.random.Generator, count: int) -> Iterator[NDArray[np.uint8]]:
    for number in range(count):
        yield (chest_lateral if number == 1 else chest_film)(chest, SIDE, rng)


def _id(index: int) -> str:
    """Return an id in one of the three patterns that the real ones have; the long ones are rare."""
    uid = FIRST_UID + index
    if index % 50 == 3:
        return f"CXR{uid}_IM-{index:04d}-1001"
    return f"CXR{uid}_1_IM-{index:04d}" if index % 200 == 2 else f"CXR{uid}_IM-{index:04d}"


def _listed(index: int, rng: np.random.Generator) -> int:
    """Return how many pictures a study lists: two, now and then one or three; the first studies have one of each."""
    if index < 2:
        return (1, 3)[index]
    return int(rng.choice([1, 2, 3], p=[0.05, 0.9, 0.05]))


# --- the other layouts ------------------------------------------------------------------------------------------------


def _write_reports(folder: Path, made: Stamp, studies: int, layout: Layout) -> dict[str, int]:
    """Write the reports that R2Gen takes, then those that it leaves out; return what the marker counts."""
    left_out = max(len(LEFT_OUT), studies // 8)
    reports = [_taken(made.seed, index) for index in range(studies)]
    reports += [_left_out(made.seed, studies + index, *LEFT_OUT[index % len(LEFT_OUT)]) for index in range(left_out)]
    (write_kaggle if layout == "kaggle" else write_original)(folder, reports)
    return {"reports": len(reports), "studies": studies}


def _taken(seed: int, index: int) -> FullReport:
    """Return a study of R2Gen's layout; where that lists one picture, the second one is here too."""
    rng = generator(seed, DATASET, index)
    chest = draw_chest(rng, normal=0.3)
    findings = report_of(chest, rng)
    films = list(_films(chest, rng, max(2, _listed(index, rng))))
    return _report(seed, index, chest, findings, films)


def _left_out(seed: int, index: int, images: int, findings: bool) -> FullReport:
    rng = generator(seed, DATASET, index)
    chest = draw_chest(rng, normal=0.3)
    text = report_of(chest, rng) if findings else ""
    made = _report(seed, index, chest, text, list(_films(chest, rng, images)))
    return made.without_impression() if not findings and images != 2 else made


def _report(seed: int, index: int, chest: Chest, findings: str, films: list[NDArray[np.uint8]]) -> FullReport:
    rng = generator(seed, DATASET, index, "sections")
    return FullReport(
        uid=FIRST_UID + index,
        names=tuple(_picture(index, number) for number in range(len(films))),
        films=tuple(films),
        findings=findings,
        impression=impression_of(chest, rng),
        indication=indication_of(rng),
        comparison="XXXX" if rng.random() < 0.4 else "None." if rng.random() < 0.5 else "",
        terms=terms_of(chest),
    )


def _picture(index: int, number: int) -> str:
    """Return an image id; now and then the later images are of another series than the first."""
    name = _id(index)
    if number and index % 100 == 7:
        name = f"CXR{FIRST_UID + index}_IM-{index + 5000:04d}"
    return f"{name}-{number + 1}001"
