"""The twin of PathVQA in the authors' layout: drawn sections, questions about them in pickles."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pil

from medbench.builtin.datasets.pathvqa import SPLITS
from medbench.builtin.twins.tissue import CHANGES, KINDS, Section, draw_section, section_picture
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_jpeg, write_marker

DATASET = "pathvqa"
SIDE = 144
"""Pixels along a side of the pictures."""

FIRST_IMAGE = 9001
"""Above every number in the real names, which have four digits and stay below 3,022."""

_SPLIT = "(train|val|test)"
OWN = (
    rf"pvqa/images/{_SPLIT}/{_SPLIT}_9\d+\.jpg|pvqa/qas/{_SPLIT}/{_SPLIT}_qa\.pkl"
    rf"|pvqa/qas/({_SPLIT}_vqa|trainval_(ans2label|label2ans))\.pkl"
)

_PER_IMAGE = 5
Row = dict[str, Any]


def write(root: Path, seed: int, size: int) -> None:
    """Write questions about `size` test images (0: 100), three times as many train images and two fifths for validation.

    Two pictures are no RGB (one CMYK, one grey), and one question stands twice, as in the original.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    shares = {"train": 3 * made.size, "val": max(1, made.size * 2 // 5), "test": made.size}
    rows: dict[str, list[Row]] = {}
    with new_twin(root, OWN) as folder:
        for split in SPLITS:
            (folder / "pvqa" / "images" / split).mkdir(parents=True)
            (folder / "pvqa" / "qas" / split).mkdir(parents=True)
            rows[split] = [row for number in range(shares[split]) for row in _questions(folder, seed, split, number)]
        rows["train"].append(dict(rows["train"][0]))
        _write_pickles(folder / "pvqa" / "qas", rows)
        write_marker(folder, made, {split: len(found) for split, found in rows.items()})


def _questions(folder: Path, seed: int, split: str, number: int) -> list[Row]:
    rng = generator(seed, DATASET, split, number)
    section = draw_section(rng)
    pixels = section_picture(section, SIDE, rng)
    name = f"{split}_{FIRST_IMAGE + number}"
    path = folder / "pvqa" / "images" / split / f"{name}.jpg"
    if split == "train" and number < 2:
        Pil.fromarray(pixels).convert(("CMYK", "L")[number]).save(path, format="JPEG", quality=88, optimize=False, progressive=False)
    else:
        write_jpeg(path, pixels)
    facts = facts_of(section, rng)
    asked = [facts[at] for at in sorted(rng.permutation(len(facts))[:_PER_IMAGE].tolist())]
    return [{"image": name, "question": question, "answer": answer} for question, answer in asked]


def facts_of(section: Section, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Return questions about a section and their answers: about as often yes as no, and open ones."""
    change, kind, corner = section.change, section.kind, section.corner
    other = str(rng.choice([c for c in CHANGES if c not in ("", change)]))
    tissue = str(rng.choice([k for k in KINDS if k != kind]))
    facts = [
        (f"is {other} present?", "no"),
        (f"does this image show {tissue}?", "no"),
        (f"does this image show {kind}?", "yes"),
        ("what kind of tissue is shown?", kind),
        ("is the tissue normal?", "no" if change else "yes"),
        ("what stain was used?", "hematoxylin and eosin"),
    ]
    if change:
        wrong = str(rng.choice([c for c in ("upper left", "upper right", "lower left", "lower right") if c != corner]))
        facts += [
            (f"is {change} present?", "yes"),
            ("what is present in this image?", change),
            (f"where is the {change} located?", f"{corner} of the image"),
            (f"is the {change} in the {wrong} of the image?", "no"),
            (f"is the {change} in the {corner} of the image?", "yes"),
            (f"what does the {corner} of the image show?", f"{change} in {kind}"),
        ]
    return facts


def _write_pickles(qas: Path, rows: dict[str, list[Row]]) -> None:
    """Write the questions plain and in the manner of VQA-v2, and the two tables of answers."""
    number = 0
    for split, found in rows.items():
        _write(qas / split / f"{split}_qa.pkl", found)
        items = []
        for row in found:
            closed = row["answer"] in {"yes", "no"}
            items.append(
                {
                    "img_id": row["image"],
                    "question_id": number,
                    "sent": row["question"],
                    "label": {row["answer"]: 1.0},
                    "answer_type": "yes/no" if closed else "other",
                    "question_type": row["question"].split()[0],
                }
            )
            number += 1
        _write(qas / f"{split}_vqa.pkl", items)
    answers = list(dict.fromkeys(row["answer"] for split in ("train", "val") for row in rows[split]))
    _write(qas / "trainval_ans2label.pkl", {answer: at for at, answer in enumerate(answers)})
    _write(qas / "trainval_label2ans.pkl", answers)


def _write(path: Path, value: Any) -> None:
    path.write_bytes(pickle.dumps(value, protocol=2))
