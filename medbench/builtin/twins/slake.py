"""The twin of SLAKE in the authors' layout: drawn pictures, questions in two languages about what was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.datasets.slake import FOLDER, PICTURES
from medbench.builtin.twins.abdomen import Abdomen, abdomen_slice, draw_abdomen
from medbench.builtin.twins.chest import Chest, chest_film, draw_chest
from medbench.builtin.twins.chinese import in_chinese
from medbench.builtin.twins.head import Head, draw_head, head_slice
from medbench.builtin.twins.questions import Fact, choose, facts_of
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_jpeg, write_json, write_marker

DATASET = "slake"
SIDE = 160
"""Pixels along a side of the pictures."""

FIRST_IMAGE = 9001
"""Above every number in the real names, which run to 641."""

FILES = {"train": "train.json", "val": "validate.json", "test": "test.json"}
OWN = rf"{FOLDER}/(train|validate|test)\.json|{FOLDER}/{PICTURES}/xmlab9\d+/source\.jpg"

Language = Literal["en", "zh"]
Row = dict[str, Any]
Shown = Chest | Head | Abdomen

_CONTENT = {
    "PRES": "Abnormality", "ABN": "Abnormality", "OTHER": "Abnormality", "POS": "Position", "POS, PRES": "Position", "SIZE": "Size",
    "MODALITY": "Modality", "PLANE": "Plane", "ORGAN": "Organ", "COLOR": "Color", "COUNT": "Quantity", "ATTRIB": "Shape",
}  # fmt: skip
"""VQA-RAD's question types in SLAKE's words."""

_KNOWLEDGE: dict[str, tuple[tuple[str, str, str, str, str], ...]] = {
    "Lung": (
        (
            "Which system does the main organ in this picture belong to?",
            "Respiratory System",
            "图中的主要器官属于什么系统?",
            "呼吸系统",
            "belong to",
        ),
        ("What is the function of the main organ in this picture?", "Breathe", "图中的主要器官的功能是什么?", "呼吸", "function"),
    ),
    "Brain": (
        (
            "Which system does the main organ in this picture belong to?",
            "Nervous System",
            "图中的主要器官属于什么系统?",
            "神经系统",
            "belong to",
        ),
        (
            "What is the function of the main organ in this picture?",
            "Control the body",
            "图中的主要器官的功能是什么?",
            "控制身体",
            "function",
        ),
    ),
    "Abdomen": (
        ("Which system does the liver in this picture belong to?", "Digestive System", "图中的肝脏属于什么系统?", "消化系统", "belong to"),
        ("What is the function of the kidneys in this picture?", "Filter blood", "图中肾脏的功能是什么?", "过滤血液", "function"),
    ),
}
"""Location -> what cannot be seen but must be known: question and answer in English and Chinese, relation."""


def write(root: Path, seed: int, size: int) -> None:
    """Write questions about `size` test images (0: 100), three times as many train images and two fifths for validation.

    The languages are split apart from each other, as the original's are: a tenth of the test images of either language
    stands in another split of the other.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    splits = _splits(seed, made.size)
    rows: dict[str, list[Row]] = {split: [] for split in FILES}
    with new_twin(root, OWN) as folder:
        for index, split in enumerate(splits["en"]):
            asked = _questions(folder / FOLDER / PICTURES, seed, index)
            rows[split] += asked["en"]
            rows[splits["zh"][index]] += asked["zh"]
        _number(rows)
        for split, name in FILES.items():
            write_json(folder / FOLDER / name, rows[split])
        write_marker(folder, made, {split: len(found) for split, found in rows.items()})


def _splits(seed: int, size: int) -> dict[Language, list[str]]:
    names = [split for split, count in (("train", 3 * size), ("val", max(1, size * 2 // 5)), ("test", size)) for _ in range(count)]
    english = [names[place] for place in generator(seed, DATASET, "splits").permutation(len(names)).tolist()]
    chinese = list(english)
    places: dict[str, list[int]] = {split: [at for at, name in enumerate(english) if name == split] for split in FILES}
    for number in range(max(1, size // 10)):
        ours, theirs = places["test"][number], places["val" if number % 2 == 0 else "train"][number // 2]
        chinese[ours], chinese[theirs] = chinese[theirs], chinese[ours]
    return {"en": english, "zh": chinese}


def _draw(rng: np.random.Generator) -> tuple[Shown, NDArray[np.uint8], str, str]:
    """Return what is shown, its picture, and SLAKE's words for region and modality."""
    which = rng.integers(3)
    if which == 0:
        chest = draw_chest(rng, normal=0.12)
        return chest, chest_film(chest, SIDE, rng), "Lung", "X-Ray"
    if which == 1:
        head = draw_head(rng)
        return head, head_slice(head, SIDE, rng), "Brain", "CT" if head.modality == "CT" else "MRI"
    abdomen = draw_abdomen(rng)
    return abdomen, abdomen_slice(abdomen, SIDE, rng), "Abdomen", "CT"


def _questions(pictures: Path, seed: int, index: int) -> dict[Language, list[Row]]:
    rng = generator(seed, DATASET, index)
    shown, picture, location, modality = _draw(rng)
    name = f"xmlab{FIRST_IMAGE + index}"
    (pictures / name).mkdir(parents=True)
    write_jpeg(pictures / name / "source.jpg", picture)
    base = {"img_id": FIRST_IMAGE + index, "img_name": f"{name}/source.jpg", "location": location, "modality": modality}
    facts = facts_of(shown)
    asked: dict[Language, list[Row]] = {"en": [], "zh": []}
    for fact in choose(facts, 3, rng):
        wording, answer = fact.wordings[rng.integers(len(fact.wordings))], str(fact.answer)
        asked["en"].append(_row(base, fact, wording, answer.capitalize() if answer in {"yes", "no"} else answer, "en"))
    for fact in choose([fact for fact in facts if in_chinese(fact)], 3, rng):
        if said := in_chinese(fact):
            asked["zh"].append(_row(base, fact, said.wordings[rng.integers(len(said.wordings))], said.answer, "zh"))
    if rng.random() < 0.35 or index < 2:
        _ask_knowledge(asked, base, location, rng)
    return asked


def _row(base: Row, fact: Fact, question: str, answer: str, language: Language) -> Row:
    return {
        **base,
        "question": question,
        "answer": answer,
        "q_lang": language,
        "answer_type": "CLOSED" if fact.closed else "OPEN",
        "base_type": "vqa",
        "content_type": _CONTENT[fact.kind],
        "triple": ["vhead", "_", "_"],
    }


def _ask_knowledge(asked: dict[Language, list[Row]], base: Row, location: str, rng: np.random.Generator) -> None:
    known = _KNOWLEDGE[location]
    english, answer, chinese, chinese_answer, relation = known[rng.integers(len(known))]
    more = {"answer_type": "OPEN", "base_type": "kvqa", "content_type": "KG", "triple": [location, relation, "_"]}
    asked["en"].append({**base, "question": english, "answer": answer, "q_lang": "en", **more})
    asked["zh"].append({**base, "question": chinese, "answer": chinese_answer, "q_lang": "zh", **more})


def _number(rows: dict[str, list[Row]]) -> None:
    """Give numbers that run through train, validation and test, and keys in an order that differs, as in the original."""
    number = 0
    for found in rows.values():
        found.sort(key=lambda row: str(row["q_lang"]))
        for at, row in enumerate(found):
            row["qid"] = number
            number += 1
            if at % 2:
                row["content_type"] = row.pop("content_type")
