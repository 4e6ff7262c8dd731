"""The twin of MEDIQA-M3G: drawn skin, questions and several answers about it in three languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medbench.builtin.datasets.mediqa_m3g import AUTHORS, NAMES, VARIANTS
from medbench.builtin.twins.packing import write_table
from medbench.builtin.twins.skin import CONDITIONS, TONES, Condition, skin_picture
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_jpeg, write_json, write_marker

DATASET = "mediqa-m3g"
SIDE = 144
"""Pixels along a side of the pictures."""

FIRST_ENCOUNTER = 90_001
OWN = r"(train|valid|test)\.json|df_userinfo\.csv|images_(train|valid|test)/IMG_ENC9\d+_\d+\.jpg"

Row = dict[str, Any]
Said = dict[str, str]
"""Language -> text."""

_LEVELS = ("md4_validated", "md1_validated", "md_validated", "realid_validated", "", "md2_validated", "", "realid_validated")
_RANKS = ("level_8", "level_5", "level_3", "level_4", "level_1", "level_0", "unk", "level_6")

_NAMES: dict[Condition, Said] = {
    "psoriasis": {"en": "psoriasis", "zh": "银屑病", "es": "psoriasis"},
    "tinea corporis": {"en": "tinea corporis", "zh": "体癣", "es": "tiña corporal"},
    "vitiligo": {"en": "vitiligo", "zh": "白癜风", "es": "vitíligo"},
    "melanocytic nevus": {"en": "melanocytic nevus", "zh": "色素痣", "es": "nevo melanocítico"},
    "urticaria": {"en": "urticaria", "zh": "荨麻疹", "es": "urticaria"},
    "herpes zoster": {"en": "herpes zoster", "zh": "带状疱疹", "es": "herpes zóster"},
}
_TREATMENTS: dict[Condition, Said] = {
    "psoriasis": {"en": "calcipotriol ointment", "zh": "卡泊三醇软膏", "es": "pomada de calcipotriol"},
    "tinea corporis": {"en": "terbinafine cream", "zh": "特比萘芬乳膏", "es": "crema de terbinafina"},
    "vitiligo": {"en": "tacrolimus ointment and light therapy", "zh": "他克莫司软膏和光疗", "es": "pomada de tacrolimus y fototerapia"},
    "melanocytic nevus": {"en": "excision if it changes", "zh": "如有变化可手术切除", "es": "escisión si cambia"},
    "urticaria": {"en": "oral antihistamines", "zh": "口服抗组胺药", "es": "antihistamínicos orales"},
    "herpes zoster": {"en": "oral valaciclovir", "zh": "口服伐昔洛韦", "es": "valaciclovir oral"},
}
_TITLES: tuple[Said, ...] = (
    {"en": "What is this rash?", "zh": "这是什么皮疹?", "es": "¿Qué es esta erupción?"},
    {"en": "Please help with the diagnosis", "zh": "请帮忙诊断", "es": "Por favor, ayuden con el diagnóstico"},
    {"en": "Skin lesion, please advise", "zh": "皮肤病变,请指教", "es": "Lesión cutánea, aconsejen por favor"},
)
_ASKED: tuple[Said, ...] = (
    {
        "en": "It has been there for {n} days. How should it be treated?",
        "zh": "已有{n}天。应该如何治疗?",
        "es": "Lleva {n} días. ¿Cómo se trata?",
    },
    {"en": "The patient is {n} years old. What is it?", "zh": "患者{n}岁。这是什么?", "es": "El paciente tiene {n} años. ¿Qué es?"},
    {"en": "Noticed {n} days ago, a little itchy.", "zh": "{n}天前发现,轻微瘙痒。", "es": "Aparecida hace {n} días, pica un poco."},
)
_WHOLE: tuple[Said, ...] = (
    {"en": "This is {name}. Treat it with {drug}.", "zh": "这是{name}。可用{drug}治疗。", "es": "Es {name}. Se trata con {drug}."},
    {"en": "It looks like {name}; I would try {drug}.", "zh": "看起来像{name},可以试试{drug}。", "es": "Parece {name}; probaría {drug}."},
    {"en": "Diagnosis: {name}. Suggestion: {drug}.", "zh": "诊断:{name}。建议:{drug}。", "es": "Diagnóstico: {name}. Sugerencia: {drug}."},
)
_SHORT: tuple[Said, ...] = (
    {"en": "{name}", "zh": "{name}", "es": "{name}"},
    {"en": "I think of {name}.", "zh": "考虑{name}。", "es": "Pienso en {name}."},
    {"en": "Consider {name}, a biopsy is needed.", "zh": "考虑{name},需要活检。", "es": "Considerar {name}, hace falta biopsia."},
)


def write(root: Path, seed: int, size: int) -> None:
    """Write `size` test encounters (0: 100), three times as many for train and two fifths for validation.

    One train encounter has no Spanish, one lists a picture that is not there, one answer is blank, some authors are unknown.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    shares = {"train": 3 * made.size, "val": max(1, made.size * 2 // 5), "test": made.size}
    number = FIRST_ENCOUNTER
    with new_twin(root, OWN) as folder:
        for split, name in NAMES.items():
            (folder / f"images_{name}").mkdir()
            entries = [_encounter(folder / f"images_{name}", seed, number + at) for at in range(shares[split])]
            number += shares[split]
            if split == "train":
                _roughen(entries)
            write_json(folder / f"{name}.json", entries, indent=1)
        authors = [(f"U{at:03d}", level, rank) for at, (level, rank) in enumerate(zip(_LEVELS, _RANKS, strict=True))]
        write_table(folder / AUTHORS, ("author_id", "validation_level", "rank_level"), authors)
        write_marker(folder, made, shares)


def _encounter(pictures: Path, seed: int, number: int) -> Row:
    rng = generator(seed, DATASET, number)
    condition, tone = CONDITIONS[rng.integers(len(CONDITIONS))], TONES[rng.integers(len(TONES))]
    name, images = f"ENC{number}", []
    for at in range(int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))):
        images.append(f"IMG_{name}_{at + 1:05d}.jpg")
        write_jpeg(pictures / images[-1], skin_picture(condition, tone, SIDE, rng))
    title, asked, days = _TITLES[rng.integers(3)], _ASKED[rng.integers(3)], int(rng.integers(4, 70))
    row: Row = {"encounter_id": name, "image_ids": images}
    for language in VARIANTS:
        row[f"query_title_{language}"] = title[language]
        row[f"query_content_{language}"] = asked[language].replace("{n}", str(days))
    row["responses"] = [_response(condition, rng) for _ in range(int(rng.integers(1, 5)))]
    return row


def _response(condition: Condition, rng: np.random.Generator) -> Row:
    """One answer in five is wrong, half of them do not say what to do."""
    right = rng.random() < 0.8
    named = condition if right else CONDITIONS[rng.integers(len(CONDITIONS))]
    whole = rng.random() < 0.5
    words = (_WHOLE if whole else _SHORT)[rng.integers(3)]
    texts = {
        f"content_{language}": words[language].replace("{name}", _NAMES[named][language]).replace("{drug}", _TREATMENTS[named][language])
        for language in VARIANTS
    }
    author = f"U{rng.integers(len(_LEVELS) + 1):03d}"
    return {"author_id": author, **texts, "completeness": 1.0 if whole else 0.5, "contains_freq_ans": float(named == condition)}


def _roughen(entries: list[Row]) -> None:
    first, second = entries[0], entries[1]
    first["query_title_es"] = first["query_content_es"] = ""
    second["responses"].append({**second["responses"][0], "content_en": " "})
    entries[2]["image_ids"] = [*entries[2]["image_ids"], f"IMG_{entries[2]['encounter_id']}_00009.jpg"]
