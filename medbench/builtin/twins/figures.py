"""Figures as articles print them: a picture of one of six modalities, its caption, and the UMLS concepts in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medbench.builtin.twins.abdomen import Abdomen, abdomen_slice, draw_abdomen
from medbench.builtin.twins.chest import ENLARGED, Chest, chest_film, draw_chest
from medbench.builtin.twins.fluoroscopy import Swallow, draw_swallow, swallow_picture
from medbench.builtin.twins.head import Head, draw_head, head_slice
from medbench.builtin.twins.reports import effusion_size, zone_words
from medbench.builtin.twins.ultrasound import Scan, draw_scan, scan_picture
from medbench.builtin.twins.vessels import Angiogram, angiogram_picture, draw_angiogram
from medbench.types import Struct

Modality = Literal["ct", "mri", "ultrasound", "fluoroscopy", "x-ray", "angiography"]
Finding = tuple[str, str]
"""What is seen, in words and as a CUI."""

WORDS: dict[Modality, tuple[str, ...]] = {
    "ct": ("CT scan", "Computed tomography", "CT image", "Axial CT"),
    "mri": ("MRI", "Magnetic resonance imaging", "MR image", "MRI scan"),
    "ultrasound": ("Ultrasound", "Ultrasonography", "Sonogram", "Ultrasound image"),
    "fluoroscopy": ("Fluoroscopy", "Fluoroscopic image", "Contrast fluoroscopy"),
    "x-ray": ("X-ray", "Radiograph", "Plain radiograph", "X-ray image"),
    "angiography": ("Angiography", "Angiogram", "Selective angiography"),
}
MODALITY_CUI: dict[Modality, str] = {
    "ct": "C0040405", "mri": "C0024485", "ultrasound": "C0041618", "fluoroscopy": "C0016356", "x-ray": "C1306645",
    "angiography": "C0002978",
}  # fmt: skip
NAMES = {
    "C0040405": "X-Ray Computed Tomography", "C0024485": "Magnetic Resonance Imaging", "C0041618": "Ultrasonography",
    "C0016356": "Fluoroscopy", "C1306645": "Plain x-ray", "C0002978": "angiogram", "C0817096": "Chest", "C0006104": "Brain",
    "C0000726": "Abdomen", "C0016976": "Gallbladder", "C0022646": "Kidney", "C0023884": "Liver", "C0205042": "Coronary artery",
    "C0007770": "Cerebral arteries", "C0014876": "Esophagus", "C0009368": "Colon structure (body structure)",
    "C0018800": "Cardiomegaly", "C0032227": "Pleural effusion disorder", "C0521530": "Lung consolidation", "C0034079": "Lung nodule",
    "C0032326": "Pneumothorax", "C0025080": "Medical Devices", "C0019080": "Hemorrhage", "C0021308": "Infarction",
    "C0027651": "Neoplasms", "C0018946": "Hematoma, Subdural", "C0020255": "Hydrocephalus", "C0577053": "Lesion of liver",
    "C0022650": "Kidney Calculi", "C0010709": "Cyst", "C0002940": "Aneurysm", "C0003962": "Ascites", "C0006736": "Calculi",
    "C1261287": "Stenosis", "C0028778": "Obstruction", "C0012817": "Diverticulum",
}  # fmt: skip
"""CUI -> canonical name."""

_REGIONS = {
    "chest": "C0817096", "brain": "C0006104", "abdomen": "C0000726", "gallbladder": "C0016976", "kidney": "C0022646", "liver": "C0023884",
    "coronary artery": "C0205042", "cerebral arteries": "C0007770", "esophagus": "C0014876", "colon": "C0009368",
}  # fmt: skip
_LESIONS: dict[str, Finding] = {
    "hemorrhage": ("hemorrhage", "C0019080"),
    "infarct": ("infarct", "C0021308"),
    "mass": ("mass", "C0027651"),
    "subdural": ("subdural hematoma", "C0018946"),
}
_MARKS = ("(arrow)", "(arrows)", "(asterisk)", "(white arrow)", "", "", "")
_NORMAL = ("no abnormality", "normal findings", "a normal appearance")
_OPENINGS = ("", "", "", "", "Case 2. ", "Follow-up. ", "Preoperative imaging. ", "Reproduced from Müller et al. ")

Pixels = NDArray[np.uint8]


class Figure(Struct):
    """A picture and what is printed below it."""

    modality: Modality
    pixels: Any
    """Grey values, shape (size, size)."""
    caption: str
    concepts: tuple[str, ...]
    """CUIs: the modality's, the region's, one for each finding named."""


def draw_figure(size: int, rng: np.random.Generator) -> Figure:
    """Return a random figure; a tenth of the captions names no modality, and a few name two."""
    draw = _DRAW[rng.integers(len(_DRAW))]
    modality, region, findings, pixels = draw(size, rng)
    kept = [findings[at] for at in rng.permutation(len(findings))[:2].tolist()]
    concepts = (MODALITY_CUI[modality], _REGIONS[region], *(cui for _, cui in kept))
    return Figure(
        modality=modality,
        pixels=pixels,
        caption=_caption(modality, region, [words for words, _ in kept], rng),
        concepts=tuple(dict.fromkeys(concepts)),
    )


Drawn = tuple[Modality, str, list[Finding], Pixels]


def _chest(size: int, rng: np.random.Generator) -> Drawn:
    chest = draw_chest(rng, normal=0.12)
    return "x-ray", "chest", _chest_findings(chest), chest_film(chest, size, rng)


def _chest_findings(chest: Chest) -> list[Finding]:
    found = [(f"{effusion_size(amount)} {side} pleural effusion", "C0032227") for side, amount in sorted(chest.effusions.items())]
    if chest.ratio > ENLARGED:
        found.append(("cardiomegaly", "C0018800"))
    if chest.opacity:
        found.append((f"consolidation in the {zone_words(chest.opacity)}", "C0521530"))
    if chest.nodule:
        found.append((f"a nodule in the {zone_words(chest.nodule)}", "C0034079"))
    if chest.pneumothorax:
        found.append((f"{chest.pneumothorax} pneumothorax", "C0032326"))
    if chest.device:
        found.append((f"a {chest.device}", "C0025080"))
    return found


def _head(size: int, rng: np.random.Generator) -> Drawn:
    head = draw_head(rng)
    return "ct" if head.modality == "CT" else "mri", "brain", _head_findings(head), head_slice(head, size, rng)


def _head_findings(head: Head) -> list[Finding]:
    found = [("enlarged ventricles", "C0020255")] if head.wide else []
    if head.lesion:
        words, cui = _LESIONS[head.lesion]
        lobe = "" if head.lesion == "subdural" else f" in the {head.lobe} lobe"
        found.append((f"{head.side} {words}{lobe}", cui))
    return found


def _abdomen(size: int, rng: np.random.Generator) -> Drawn:
    abdomen = draw_abdomen(rng)
    return "ct", "abdomen", _abdomen_findings(abdomen), abdomen_slice(abdomen, size, rng)


def _abdomen_findings(abdomen: Abdomen) -> list[Finding]:
    found = []
    if abdomen.liver_lesions:
        found.append(("multiple liver lesions" if abdomen.liver_lesions > 1 else "a hypodense liver lesion", "C0577053"))
    if abdomen.stone:
        found.append((f"a stone in the {abdomen.stone} kidney", "C0022650"))
    if abdomen.cyst:
        found.append((f"a {abdomen.cyst} renal cyst", "C0010709"))
    if abdomen.aneurysm:
        found.append(("an aortic aneurysm", "C0002940"))
    if abdomen.ascites:
        found.append(("ascites", "C0003962"))
    return found


def _scan(size: int, rng: np.random.Generator) -> Drawn:
    scan: Scan = draw_scan(rng)
    found = {
        "stone": (f"a {scan.organ} stone with acoustic shadowing", "C0006736"),
        "cyst": ("an anechoic cyst", "C0010709"),
        "mass": (f"a {'hypo' if scan.organ == 'liver' else 'hyper'}echoic mass", "C0027651"),
    }
    return "ultrasound", scan.organ, [found[scan.finding]] if scan.finding else [], scan_picture(scan, size, rng)


def _angiogram(size: int, rng: np.random.Generator) -> Drawn:
    shown: Angiogram = draw_angiogram(rng)
    region = "coronary artery" if shown.vessel == "coronary" else "cerebral arteries"
    found = {
        "stenosis": ("a high-grade stenosis", "C1261287"),
        "aneurysm": ("a saccular aneurysm", "C0002940"),
        "occlusion": ("an abrupt occlusion", "C0028778"),
    }
    return "angiography", region, [found[shown.fault]] if shown.fault else [], angiogram_picture(shown, size, rng)


def _swallow(size: int, rng: np.random.Generator) -> Drawn:
    shown: Swallow = draw_swallow(rng)
    found = {"stricture": ("a short stricture", "C1261287"), "diverticulum": ("a diverticulum filled with barium", "C0012817")}
    return "fluoroscopy", shown.part, [found[shown.finding]] if shown.finding else [], swallow_picture(shown, size, rng)


_DRAW: tuple[Callable[[int, np.random.Generator], Drawn], ...] = (_chest, _head, _abdomen, _scan, _angiogram, _swallow, _head, _chest)


def _caption(modality: Modality, region: str, findings: list[str], rng: np.random.Generator) -> str:
    words = str(rng.choice(WORDS[modality]))
    seen = " and ".join(findings) if findings else str(rng.choice(_NORMAL))
    mark = f" {rng.choice(_MARKS)}".rstrip() if findings else ""
    named = rng.random()
    if named < 0.1:
        body = f"Image of the {region} showing {seen}{mark}."
    elif named < 0.14:
        other = str(rng.choice([WORDS[name][0] for name in WORDS if name != modality]))
        body = f"{words} of the {region} showing {seen}{mark}, compared with {other}."
    else:
        body = str(
            rng.choice(
                [
                    f"{words} of the {region} showing {seen}{mark}.",
                    f"{words} of the {region} demonstrates {seen}{mark}.",
                    f"{seen[0].upper()}{seen[1:]}{mark} on {_lower(words)} of the {region}.",
                    f"{words} revealed {seen}{mark} in a {rng.integers(19, 88)}-year-old patient ({region}).",
                ]
            )
        )
    return f"{rng.choice(_OPENINGS)}{body}"


def _lower(words: str) -> str:
    first = words.partition(" ")[0]
    return words if first.isupper() or first == "X-ray" or "CT" in words else words[0].lower() + words[1:]
