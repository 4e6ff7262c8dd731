"""The twin of ROCO in both layouts: drawn figures with captions and concepts, several to an article."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from medbench.builtin.datasets.roco_layouts import SUBSETS, V1_FOLDERS, V2_NAMES
from medbench.builtin.twins.canvas import Canvas, expose
from medbench.builtin.twins.figures import MODALITY_CUI, NAMES, Figure, draw_figure
from medbench.builtin.twins.packing import write_table
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_jpeg, write_marker
from medbench.types import Split, Struct

DATASET = "roco"
SIDE = 128
"""Pixels along a side of the pictures."""

FIRST_FIGURE = 90_001
"""Above every number in the real ids, whose last is ROCO_87950."""

FIRST_ARTICLE = 90_000_001

_SPLITS = "|".join(V1_FOLDERS.values())
OWN = (
    rf"data/({_SPLITS})/(non-)?radiology/(images/ROCO_9\d+\.jpg|(captions|cuis|dlinks|keywords|licences|semtypes)\.txt)"
    r"|(train|valid|test)_images/(train|valid|test)/ROCOv2_2023_(train|valid|test)_09\d+\.jpg"
    r"|(train|valid|test)_(captions|concepts|concepts_manual)\.csv|(cui_mapping|license_information)\.csv"
)
_DIAGRAMS: tuple[Split, ...] = ("train", "train", "val", "test")
"""Splits of the figures that are no radiology."""

_LICENCES = ("CC BY", "CC BY-NC", "CC BY-NC-SA", "CC BY-NC-ND", "CC0")
_DIAGNOSTIC = frozenset(MODALITY_CUI.values())


class Row(Struct):
    """A figure of the twin, as both layouts list it."""

    number: int
    split: Split
    subset: str
    article: str
    caption: str
    concepts: tuple[str, ...]
    licence: str
    withdrawn: bool


def write(root: Path, seed: int, size: int) -> None:
    """Write the figures of `size` test articles (0: 100), three times as many for train and two fifths for validation.

    A third of the test articles also has a figure in train. One picture of train is withdrawn, one figure has no concept,
    two test figures have one caption, and a few are no radiology.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    rows: list[Row] = []
    with new_twin(root, OWN) as folder:
        for number, (split, article) in enumerate(_articles(seed, made.size)):
            rows.append(_figure(folder, seed, number, split, article))
        rows += [_diagram(folder, seed, len(rows) + at, split) for at, split in enumerate(_DIAGRAMS)]
        rows = _roughened(rows)
        for split in V1_FOLDERS:
            for subset in SUBSETS:
                _write_v1(folder, [row for row in rows if (row.split, row.subset) == (split, subset)], split, subset)
            _write_v2(folder, [row for row in rows if row.split == split and row.subset == SUBSETS[0]], split)
        _write_shared(folder, rows)
        counts = {split: sum(row.split == split for row in rows) for split in V1_FOLDERS}
        radiology = {f"v2/{split}": sum(row.split == split and row.subset == SUBSETS[0] for row in rows) for split in V1_FOLDERS}
        write_marker(folder, made, counts | radiology)


def _articles(seed: int, size: int) -> list[tuple[Split, str]]:
    """Return (split, article) of each figure, neighbours of one article standing together as in the original."""
    found: list[tuple[Split, str]] = []
    shares: tuple[tuple[Split, int], ...] = (("train", 3 * size), ("val", max(1, size * 2 // 5)), ("test", size))
    rng = generator(seed, DATASET, "articles")
    number = FIRST_ARTICLE
    for split, count in shares:
        for _ in range(count):
            number += 1
            found += [(split, f"PMC{number}")] * (2 if rng.random() < 0.15 else 1)
            if split == "test" and rng.random() < 0.33:
                found.append(("train", f"PMC{number}"))
    return found


def _figure(folder: Path, seed: int, number: int, split: Split, article: str) -> Row:
    rng = generator(seed, DATASET, number)
    figure: Figure = draw_figure(SIDE, rng)
    row = Row(
        number=FIRST_FIGURE + number,
        split=split,
        subset=SUBSETS[0],
        article=article,
        caption=figure.caption,
        concepts=figure.concepts,
        licence="NO-CC CODE" if rng.random() < 0.12 else _LICENCES[rng.integers(len(_LICENCES))],
        withdrawn=number == 0,
    )
    if not row.withdrawn:
        write_jpeg(_v2_picture(folder, row), figure.pixels)
        write_jpeg(_v1_picture(folder, row), figure.pixels)
    return row


def _diagram(folder: Path, seed: int, number: int, split: Split) -> Row:
    """Draw a bar chart: a figure that is no radiology, which only the first layout has."""
    rng = generator(seed, DATASET, number)
    row = Row(
        number=FIRST_FIGURE + number,
        split=split,
        subset=SUBSETS[1],
        article=f"PMC{FIRST_ARTICLE + 5000 + number}",
        caption=f"Number of patients in {rng.integers(3, 7)} groups by year of admission.",
        concepts=("C0030705",),
        licence="CC BY",
        withdrawn=False,
    )
    write_jpeg(_v1_picture(folder, row), _bars(rng))
    return row


def _bars(rng: np.random.Generator) -> NDArray[np.uint8]:
    film = Canvas(SIDE)
    film.pixels += np.float32(0.97)
    film.blend(film.strokes([[(0.12, 0.1), (0.12, 0.88)], [(0.12, 0.88), (0.92, 0.88)]], 0.012, 0.001), 0.1)
    for x in np.linspace(0.22, 0.82, 5):
        top = rng.uniform(0.2, 0.75)
        film.blend(film.strokes([[(x, top), (x, 0.87)]], 0.08, 0.001), 0.45)
    return expose(film.pixels, rng, noise=0.0, low=0.0, high=1.0, gamma=1.0)


def _roughened(rows: list[Row]) -> list[Row]:
    """Give the rows the flaws of the original: a figure without concepts, two test figures with one caption."""
    bare = next(at for at, row in enumerate(rows) if row.split == "train" and not row.withdrawn)
    rows[bare] = replace(rows[bare], concepts=())
    first, *others = _alike(rows, [at for at, row in enumerate(rows) if row.split == "test" and row.subset == SUBSETS[0]])
    for other in others:
        rows[other] = replace(rows[other], caption=rows[first].caption, concepts=rows[first].concepts)
    return rows


def _alike(rows: list[Row], places: list[int]) -> list[int]:
    """Return the first two of the places whose figures show the same, so that one caption is true of both; else the first two."""
    seen: dict[tuple[str, ...], int] = {}
    for at in places:
        if rows[at].concepts in seen:
            return [seen[rows[at].concepts], at]
        seen[rows[at].concepts] = at
    return places[:2]


# --- ROCO -------------------------------------------------------------------------------------------------------------


def _v1_name(row: Row) -> str:
    return f"ROCO_{row.number:05d}"


def _v1_picture(folder: Path, row: Row) -> Path:
    path = folder / "data" / V1_FOLDERS[row.split] / row.subset / "images" / f"{_v1_name(row)}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write_v1(folder: Path, rows: list[Row], split: Split, subset: str) -> None:
    place = folder / "data" / V1_FOLDERS[split] / subset
    place.mkdir(parents=True, exist_ok=True)
    _write(place / "captions.txt", (f"{_v1_name(row)}\t {row.caption}" for row in rows))
    _write(place / "cuis.txt", (f"{_v1_name(row)}\t" + "".join(f"\t{cui}" for cui in row.concepts) for row in rows))
    _write(place / "keywords.txt", (f"{_v1_name(row)}\t" + "".join(f"\t{word}" for word in _keywords(row)) for row in rows))
    _write(place / "semtypes.txt", (f"{_v1_name(row)}\t" + "".join(f"\t{kind}" for kind in _kinds(row)) for row in rows))
    link = "wget -r ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/oa_package/00/00"
    _write(place / "dlinks.txt", (f"{_v1_name(row)}\t{link}/{row.article}.tar.gz -P /path/to/Dir\tfigure.jpg" for row in rows))
    _write(place / "licences.txt", ["ROCO_ID,PMC_ID,CC", *(f"{_v1_name(row)},{row.article},{row.licence}" for row in rows)])


def _keywords(row: Row) -> list[str]:
    return [word.strip(".,()").lower() for word in row.caption.split() if len(word) > 5][:6]


def _kinds(row: Row) -> list[str]:
    kinds = (("T060", "Diagnostic Procedure") if cui in _DIAGNOSTIC else ("T047", "Disease or Syndrome") for cui in row.concepts)
    return [part for kind in dict.fromkeys(kinds) for part in kind]


# --- ROCOv2 -----------------------------------------------------------------------------------------------------------


def _v2_name(row: Row) -> str:
    return f"ROCOv2_2023_{V2_NAMES[row.split]}_{row.number:06d}"


def _v2_picture(folder: Path, row: Row) -> Path:
    name = V2_NAMES[row.split]
    path = folder / f"{name}_images" / name / f"{_v2_name(row)}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write_v2(folder: Path, rows: list[Row], split: Split) -> None:
    name = V2_NAMES[split]
    write_table(folder / f"{name}_captions.csv", ("ID", "Caption"), ((_v2_name(row), row.caption) for row in rows))
    write_table(folder / f"{name}_concepts.csv", ("ID", "CUIs"), ((_v2_name(row), ";".join(row.concepts)) for row in rows))
    manual = ((_v2_name(row), ";".join(row.concepts[:2])) for row in rows)
    write_table(folder / f"{name}_concepts_manual.csv", ("ID", "CUIs"), manual)


def _write_shared(folder: Path, rows: list[Row]) -> None:
    write_table(folder / "cui_mapping.csv", ("CUI", "Canonical name"), sorted(NAMES.items()))
    licences = [
        (_v2_name(row), row.article, f"{row.licence} [Nobody et al. (2026)]", f"https://twin.invalid/{row.article}")
        for row in rows
        if row.subset == SUBSETS[0]
    ]
    write_table(folder / "license_information.csv", ("ID", "PMCID", "Attribution", "Link"), licences)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
