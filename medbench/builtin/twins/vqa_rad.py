"""The twin of VQA-RAD in its public layout: drawn pictures, questions asked about what was drawn."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.datasets.vqa_rad import PICTURES, PUBLIC
from medbench.builtin.twins.abdomen import Abdomen, abdomen_slice, draw_abdomen
from medbench.builtin.twins.chest import Chest, chest_film, draw_chest
from medbench.builtin.twins.head import Head, draw_head, head_slice
from medbench.builtin.twins.questions import Fact, choose, facts_of, organ_of
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_jpeg, write_json, write_marker

DATASET = "vqa-rad"
SIDE = 160
"""Pixels along a side of the pictures."""

FIRST_IMAGE = 9_000_001
"""Above every number in the real names, which have six digits at most."""

OWN = rf"{re.escape(PUBLIC)}|{re.escape(PICTURES)}/synpic9\d{{6}}\.jpg"

Use = Literal["train", "test", "both"]
Row = dict[str, Any]


def write(root: Path, seed: int, size: int) -> None:
    """Write questions about `size` test images (0: 100) and three times as many train images; a tenth of test is in both.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    shared = max(1, made.size // 10)
    shares: dict[Use, int] = {"both": shared, "test": made.size - shared, "train": 3 * made.size}
    uses = [use for use, count in shares.items() for _ in range(count)]
    order = generator(seed, DATASET, "uses").permutation(len(uses)).tolist()
    rows: list[Row] = []
    with new_twin(root, OWN) as folder:
        (folder / PICTURES).mkdir()
        for index, place in enumerate(order):
            rows += _questions(folder / PICTURES, seed, index, uses[place])
        write_jpeg(folder / PICTURES / _name(len(order)), _draw(generator(seed, DATASET, len(order)))[1])  # nobody asks about it
        _roughen(rows)
        counts = {"train": 0, "test": 0}
        for row in rows:
            counts["test" if row["phrase_type"].startswith("test_") else "train"] += 1
        write_json(folder / PUBLIC, rows, indent=1)
        write_marker(folder, made, counts)


def _draw(rng: np.random.Generator) -> tuple[Chest | Head | Abdomen, NDArray[np.uint8]]:
    which = rng.integers(3)
    if which == 0:
        chest = draw_chest(rng, normal=0.12)
        return chest, chest_film(chest, SIDE, rng)
    if which == 1:
        head = draw_head(rng)
        return head, head_slice(head, SIDE, rng)
    abdomen = draw_abdomen(rng)
    return abdomen, abdomen_slice(abdomen, SIDE, rng)


def _questions(folder: Path, seed: int, index: int, use: Use) -> list[Row]:
    """Draw a picture and return the rows about it; a picture of both sides is asked different things on each."""
    rng = generator(seed, DATASET, index)
    shown, picture = _draw(rng)
    write_jpeg(folder / _name(index), picture)
    chosen = choose(facts_of(shown), 6 if use == "both" else 3, rng)
    sides: dict[str, list[Fact]] = {"train": chosen} if use == "train" else {"test": chosen}
    if use == "both":
        sides = {"train": chosen[::2], "test": chosen[1::2]}
    rows: list[Row] = []
    for side, facts in sides.items():
        prefix = "test_" if side == "test" else ""
        for fact in facts:
            rows += _asked(fact, index, organ_of(shown), prefix, rng)
    return rows


def _asked(fact: Fact, index: int, organ: str, prefix: str, rng: np.random.Generator) -> Iterator[Row]:
    """Yield the question, and about half the time a second wording of it that is linked to the first."""
    first, second = rng.permutation(len(fact.wordings))[:2].tolist()
    link = str(uuid.UUID(bytes=rng.bytes(16), version=4))
    again = rng.random() < 0.45
    answer = fact.answer
    if fact.answer in ("yes", "no") and rng.random() < 0.3:
        answer = str(fact.answer).capitalize()
    phrases = [("freeform", first), *([("para", second)] if again else [])]
    for phrase, wording in phrases:
        yield {
            "qid": 0,
            "phrase_type": prefix + phrase,
            "qid_linked_id": link,
            "image_case_url": f"https://twin.invalid/case?id={FIRST_IMAGE + index}",
            "image_name": _name(index),
            "image_organ": organ,
            "evaluation": "evaluated" if again else "not evaluated",
            "question": fact.wordings[wording],
            "question_rephrase": fact.wordings[second] if again else "NULL",
            "question_relation": "strict agreement" if again else "NULL",
            "question_frame": "NULL",
            "question_type": fact.kind,
            "answer": answer,
            "answer_type": "CLOSED" if fact.closed else "OPEN",
        }


def _name(index: int) -> str:
    return f"synpic{FIRST_IMAGE + index}.jpg"


# --- the flaws of the original ----------------------------------------------------------------------------------------


def _roughen(rows: list[Row]) -> None:
    """Give the rows the flaws of the original, so that whatever reads the twin can read the original."""
    train = [row for row in rows if not row["phrase_type"].startswith("test_")]
    test = [row for row in rows if row["phrase_type"].startswith("test_")]
    in_both = {row["image_name"] for row in train} & {row["image_name"] for row in test}
    leaked = next(row for row in test if row["image_name"] in in_both)
    rows.append({**leaked, "phrase_type": "freeform"})
    rows.append(dict(train[0]))
    for side in (train, test):
        for row in [row for row in side if row["answer_type"] == "CLOSED"][:1]:  # a very small twin may have none
            row["answer_type"] = "CLOSED "
    train[1]["question"] += " "
    test[1]["question"] = " " + test[1]["question"]
    train[2]["answer"] = f"{train[2]['answer']} "
    _lose_cases(rows, [row["image_name"] for row in train if row["image_name"] not in in_both])
    for number, row in enumerate(rows):
        row["qid"] = number or "0"


def _lose_cases(rows: list[Row], names: list[str]) -> None:
    """Of four train images, one has no case, one the word NULL, and two are of one case."""
    lost, void, first, second = [*dict.fromkeys(names), *[""] * 4][:4]
    case = next((row["image_case_url"] for row in rows if row["image_name"] == first), "")
    for row in rows:
        if row["image_name"] == lost:
            del row["image_case_url"]
        elif row["image_name"] == void:
            row["image_case_url"] = "NULL"
        elif row["image_name"] == second and case:
            row["image_case_url"] = case
