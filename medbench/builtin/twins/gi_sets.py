"""The twins of the endoscopy datasets: one kind of drawn picture, three layouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from medbench.builtin.datasets import kvasir_vqa, medvqa_gi, medvqa_gi_2024
from medbench.builtin.datasets.gi_questions import QUESTIONS, image_split
from medbench.builtin.twins.colon import Scene, Seen, draw_scene, scene_picture
from medbench.builtin.twins.packing import write_table
from medbench.builtin.twins.scene_words import answers_of, prompts_of
from medbench.builtin.twins.writing import Stamp, generator, new_twin, stamp, write_jpeg, write_json, write_marker
from medbench.identity import digest

SIDE = 128
"""Pixels along a side of the pictures."""

_LETTERS = np.array(list("0123456789abcdefghijklmnopqrstuvwxyz"))
_NAME = r"ctwin[0-9a-z]{20}"
_JPEG = r"\.jpg"

Row = dict[str, Any]


def write_medvqa_gi(root: Path, seed: int, size: int) -> None:
    """Write MEDVQA-GI 2023's development set with `size` test images (0: 100), three times as many for train.

    Some questions are spelt as the original's slips spell them, one has no answer, and polyps and instruments have masks.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp("medvqa-gi", seed, size)
    entries: list[Row] = []
    with new_twin(root, rf"{medvqa_gi.TRUTH}|images/{_NAME}{_JPEG}|masks/{_NAME}_mask{_JPEG}") as folder:
        for name in ("images", "masks"):
            (folder / name).mkdir()
        for number, (image, scene, seen, rng) in enumerate(_images(made)):
            write_jpeg(folder / "images" / f"{image}.jpg", seen.pixels)
            entries.append({"ImageID": image, "Labels": [*_labels(scene, number, rng), *_mask_labels(folder, image, scene, seen)]})
        entries[0]["Labels"][5]["Answer"] = [""]
        write_json(folder / medvqa_gi.TRUTH, entries, indent=2)
        write_marker(folder, made, _counted([image for entry in entries for image in [entry["ImageID"]] * 18], lost=entries[0]["ImageID"]))


def write_medvqa_gi_2024(root: Path, seed: int, size: int) -> None:
    """Write MEDVQA-GI 2024's development set with `size` test images (0: 100), several prompts to each image, and their centres.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp("medvqa-gi-2024", seed, size)
    rows: list[tuple[str, str]] = []
    base = medvqa_gi_2024.FOLDER
    with new_twin(root, rf"{base}/prompt-gt\.csv|{base}/centres\.csv|{base}/images/{_NAME}{_JPEG}") as folder:
        (folder / base / "images").mkdir(parents=True)
        for image, scene, seen, rng in _images(made):
            write_jpeg(folder / base / "images" / f"{image}.jpg", seen.pixels)
            rows += [(prompt, f"{image}.jpg") for prompt in prompts_of(scene, rng)]
        rows.append(rows[0])
        write_table(folder / base / medvqa_gi_2024.PROMPTS, ("Prompt", "Filename"), rows, delimiter=";")
        centres = [(name, "multi" if digest(name) < "6" else "single") for name in dict.fromkeys(name for _, name in rows)]
        write_table(folder / base / medvqa_gi_2024.CENTRES, ("Filename", "Centre"), centres, delimiter=";")
        write_marker(folder, made, _counted([name.removesuffix(".jpg") for _, name in rows]))


def write_kvasir_vqa(root: Path, seed: int, size: int) -> None:
    """Write Kvasir-VQA as a table and pictures, with `size` test images (0: 100); one question stands twice.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp("kvasir-vqa", seed, size)
    rows: list[tuple[str, str, str, str]] = []
    with new_twin(root, rf"metadata\.csv|images/{_NAME}{_JPEG}") as folder:
        (folder / "images").mkdir()
        for image, scene, seen, rng in _images(made):
            write_jpeg(folder / "images" / f"{image}.jpg", seen.pixels)
            source = "Kvasir-Instrument" if scene.instrument else "HyperKvasir"
            said = answers_of(scene)
            asked = sorted(rng.permutation(18)[:9].tolist())
            rows += [(source, QUESTIONS[number][0], "; ".join(said[number]).lower(), image) for number in asked]
        rows.append(rows[0])
        write_table(folder / kvasir_vqa.TABLE, kvasir_vqa.COLUMNS, rows)
        write_marker(folder, made, _counted([row[-1] for row in rows]))


def _images(made: Stamp) -> Iterator[tuple[str, Scene, Seen, np.random.Generator]]:
    """Yield named scenes with their pictures; names are drawn until each split has its share."""
    wanted = Counter({"train": 3 * made.size, "val": max(1, made.size * 2 // 5), "test": made.size})
    names = generator(made.seed, made.dataset, "names")
    while wanted.total():
        image = "ctwin" + "".join(_LETTERS[names.integers(36, size=20)].tolist())
        split = image_split(image)
        if not wanted[split]:
            continue
        wanted[split] -= 1
        rng = generator(made.seed, made.dataset, image)
        scene = draw_scene(rng)
        yield image, scene, scene_picture(scene, SIDE, rng), rng


def _labels(scene: Scene, number: int, rng: np.random.Generator) -> list[Row]:
    rows = []
    for (question, kind), answers in zip(QUESTIONS[:18], answers_of(scene), strict=True):
        wording = question
        if rng.random() < 0.1 or number == 0:
            wording = question.replace("artifact", "artefact").replace("many instruments", "many instrumnets")
        rows.append({"Question": wording, "AnswerType": "Number" if kind.endswith("-count") else "String", "Answer": answers})
    return rows


def _mask_labels(folder: Path, image: str, scene: Scene, seen: Seen) -> list[Row]:
    """Write the mask of the polyps, else of the instrument, and return the question that it answers."""
    if not scene.polyps and not scene.instrument:
        return []
    mask, (question, _) = (seen.polyps, QUESTIONS[18]) if scene.polyps else (seen.instrument, QUESTIONS[19])
    write_jpeg(folder / "masks" / f"{image}_mask.jpg", mask, "L")
    return [{"Question": question, "AnswerType": "segmentation", "Answer": [f"{image}_mask.jpg"]}]


def _counted(images: list[str], lost: str = "") -> dict[str, int]:
    """Return split -> rows, given the image of each row, less one row of the image `lost`."""
    counts = Counter(image_split(image) for image in images)
    if lost:
        counts[image_split(lost)] -= 1
    return {split: counts[split] for split in ("train", "val", "test")}
