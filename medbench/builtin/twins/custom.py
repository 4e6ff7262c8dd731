"""A folder of one's own, synthetic: a manifest with questions, reports and labels about drawn chest films."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np

from medbench.builtin.datasets.custom import MANIFEST
from medbench.builtin.twins.chest import ENLARGED, Chest, chest_film, draw_chest
from medbench.builtin.twins.questions import choose, facts_of
from medbench.builtin.twins.reports import report_of
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_jpeg, write_marker

DATASET = "custom"
SIDE = 128
"""Pixels along a side of the pictures."""

LABELS = ("cardiomegaly", "effusion", "opacity", "nodule", "pneumothorax")
HEADER = ("id", "patient", "image", "split", "sex", "question", "answer", "report", *LABELS)
OWN = rf"{re.escape(MANIFEST)}|films/p\d+-\d\.jpg"

Cells = list[str | int]


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` test patients (0: 100), three times as many for train and two fifths for val, with one or two films each.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    patients = {"train": 3 * made.size, "val": max(1, made.size * 2 // 5), "test": made.size}
    names = [split for split, count in patients.items() for _ in range(count)]
    order = generator(seed, DATASET, "splits").permutation(len(names)).tolist()
    with new_twin(root, OWN) as folder:
        (folder / "films").mkdir()
        rows = [row for number, place in enumerate(order) for row in _patient(folder, seed, number, names[place])]
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
        (folder / MANIFEST).write_text(text.getvalue(), encoding="utf-8", newline="\n")
        splits = [row[HEADER.index("split")] for row in rows]
        write_marker(folder, made, {split: splits.count(split) for split in patients})


def _patient(folder: Path, seed: int, number: int, split: str) -> list[Cells]:
    rng = generator(seed, DATASET, number)
    sex = "F" if rng.random() < 0.5 else "M"
    return [_film(folder, rng, number, film, [split, sex]) for film in range(1 + int(rng.random() < 0.3))]


def _film(folder: Path, rng: np.random.Generator, number: int, film: int, about: Cells) -> Cells:
    """Draw a film and return its row; the very first one has two pictures, labels now and then are blank or uncertain."""
    chest = draw_chest(rng)
    (fact,) = choose(facts_of(chest), 1, rng)
    question = fact.wordings[int(rng.integers(len(fact.wordings)))]
    report = report_of(chest, rng)
    paths = [f"films/p{number:04d}-{2 * film + view}.jpg" for view in range(2 if number == film == 0 else 1)]
    for path in paths:
        write_jpeg(folder / path, chest_film(chest, SIDE, rng))
    labels: Cells = [_label(value, rng) for value in _shown(chest)]
    return [f"p{number:04d}-{film}", f"p{number:04d}", "|".join(paths), *about, question, fact.answer, report, *labels]


def _shown(chest: Chest) -> tuple[bool, ...]:
    return (
        chest.ratio >= ENLARGED,
        bool(chest.effusions),
        chest.opacity is not None,
        chest.nodule is not None,
        chest.pneumothorax is not None,
    )


def _label(true: bool, rng: np.random.Generator) -> str:
    chance = rng.random()
    return "" if chance < 0.05 else "-1" if chance < 0.08 else str(int(true))
