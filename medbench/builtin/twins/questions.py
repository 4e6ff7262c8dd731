"""Questions about drawn pictures and their answers, in the manner of VQA-RAD: several wordings for every fact."""

from __future__ import annotations

import numpy as np

from medbench.builtin.twins.abdomen import Abdomen
from medbench.builtin.twins.chest import ENLARGED, Chest
from medbench.builtin.twins.head import Head
from medbench.builtin.twins.reports import effusion_size, zone_words
from medbench.types import Struct


class Fact(Struct):
    """One thing that can be asked about a picture."""

    kind: str
    """The question type as VQA-RAD codes it; may be joined by a comma."""
    answer: str | int
    closed: bool
    wordings: tuple[str, ...]
    """Ways to ask it; all of them have the same answer."""


_GIVEN_AWAY = frozenset({"MODALITY", "PLANE", "ORGAN", "COLOR"})
"""Question types whose answer hardly depends on the picture."""


def facts_of(shown: Chest | Head | Abdomen) -> list[Fact]:
    """Return everything that can be asked about a picture, in a fixed order."""
    if isinstance(shown, Chest):
        return [*_chest_closed(shown), *_chest_open(shown)]
    if isinstance(shown, Head):
        return [*_head_closed(shown), *_head_open(shown)]
    return [*_abdomen_closed(shown), *_abdomen_open(shown)]


def choose(facts: list[Fact], count: int, rng: np.random.Generator) -> list[Fact]:
    """Choose facts, about 40 % of them open and yes about as often as no; what the wording alone gives away comes up less."""
    rank = {id(fact): rng.random() + (0.7 if fact.kind in _GIVEN_AWAY else 0.0) for fact in facts}
    ordered = sorted(facts, key=lambda fact: rank[id(fact)], reverse=True)
    pools = {
        "open": [fact for fact in ordered if not fact.closed],
        "no": [fact for fact in ordered if fact.answer == "no"],
        "yes": [fact for fact in ordered if fact.closed and fact.answer != "no"],
    }
    chosen: list[Fact] = []
    while len(chosen) < count and any(pools.values()):
        wanted = str(rng.choice(list(pools), p=[0.4, 0.25, 0.35]))
        if pools[wanted]:
            chosen.append(pools[wanted].pop())
    return chosen


def organ_of(shown: Chest | Head | Abdomen) -> str:
    """Return VQA-RAD's code of the region: `CHEST`, `HEAD` or `ABD`."""
    return {Chest: "CHEST", Head: "HEAD", Abdomen: "ABD"}[type(shown)]


def _yes_no(kind: str, true: bool, *wordings: str) -> Fact:
    return Fact(kind=kind, answer="yes" if true else "no", closed=True, wordings=wordings)


def _choice(kind: str, answer: str, *wordings: str) -> Fact:
    return Fact(kind=kind, answer=answer, closed=True, wordings=wordings)


def _open(kind: str, answer: str | int, *wordings: str) -> Fact:
    return Fact(kind=kind, answer=answer, closed=False, wordings=wordings)


# --- chest ------------------------------------------------------------------------------------------------------------


def _chest_closed(chest: Chest) -> list[Fact]:
    fluid, large = bool(chest.effusions), chest.ratio > ENLARGED
    right = [spot for spot in (chest.opacity, chest.nodule) if spot and spot.side == "right"]
    return [
        _yes_no("PRES", fluid, "Is there a pleural effusion?", "Does the film show pleural fluid?", "Is a pleural effusion present?"),
        _yes_no("SIZE", large, "Is the heart enlarged?", "Is there cardiomegaly?", "Is the cardiac silhouette larger than normal?"),
        _yes_no(
            "PRES",
            bool(chest.pneumothorax),
            "Is there a pneumothorax?",
            "Is there evidence of a pneumothorax",
            "Is air seen in the pleural space?",
        ),
        _yes_no(
            "PRES",
            bool(chest.opacity),
            "Is there a lung opacity?",
            "Is there airspace consolidation?",
            "Does this patient have an airspace opacity?",
        ),
        _yes_no(
            "PRES",
            bool(chest.nodule),
            "Is there a pulmonary nodule?",
            "Is a nodule seen in the lungs?",
            "Does the film show a lung nodule?",
        ),
        _yes_no(
            "PRES",
            bool(chest.device),
            "Is there a medical device in the image?",
            "Are any lines, tubes or devices seen?",
            "Is hardware visible?",
        ),
        _yes_no("POS, PRES", bool(right), "Is there a lesion in the right lung?", "Does the right lung contain an opacity or nodule?"),
        _yes_no("ABN", chest.normal, "Is this a normal film?", "Is the chest normal?", "Is this image free of abnormalities?"),
        _yes_no(
            "ABN", chest.flat, "Are the lungs hyperinflated?", "Are the diaphragms flattened?", "Is there hyperinflation of the lungs?"
        ),
        _yes_no("MODALITY", True, "Is this an x-ray?", "Was this image taken with x-rays?", "Is this a plain film?"),
        _yes_no("MODALITY", False, "Is this a CT scan?", "Is this an MRI?", "Was this taken by magnetic resonance imaging?"),
        _choice(
            "SIZE", "enlarged" if large else "normal", "Is the heart size normal or enlarged?", "Is the heart normal or enlarged in size?"
        ),
    ]


def _chest_open(chest: Chest) -> list[Fact]:
    facts = [
        _open("MODALITY", "x-ray", "What imaging modality was used?", "What kind of image is this?", "How was this image taken?"),
        _open("PLANE", "PA", "In which plane was the film taken?", "What view is this?", "What is the projection of this film?"),
        _open("ORGAN", "chest", "What part of the body is shown?", "Which region is pictured?", "What body part does this image show?"),
        _open("COLOR", "black", "What color is the air in the lungs?", "In what color is air displayed?"),
    ]
    if chest.opacity:
        where = zone_words(chest.opacity)
        facts.append(
            _open("POS", where, "Where is the opacity?", "Where is the airspace opacity located?", "In which zone is the consolidation?")
        )
    if chest.nodule:
        where = zone_words(chest.nodule)
        facts.append(
            _open("POS", where, "Where is the nodule?", "Where is the pulmonary nodule located?", "In which zone does the nodule lie?")
        )
    if chest.pneumothorax:
        side = chest.pneumothorax
        facts.append(
            _open("POS", side, "Which side is the pneumothorax on?", "On which side is the lung collapsed?", "Where is the pneumothorax?")
        )
    if chest.effusions:
        sides = "bilateral" if len(chest.effusions) == 2 else next(iter(chest.effusions))
        facts.append(
            _open("POS", sides, "Which side is the effusion on?", "Where is the pleural effusion?", "On which side is the pleural fluid?")
        )
    if len(chest.effusions) == 1:
        size = effusion_size(next(iter(chest.effusions.values())))
        facts.append(_open("SIZE", size, "What is the size of the effusion?", "How large is the pleural effusion?"))
    if chest.device:
        facts.append(_open("OTHER", chest.device, "What device is seen?", "What is the device in this image?", "Which hardware is shown?"))
    return facts


# --- head -------------------------------------------------------------------------------------------------------------


def _head_closed(head: Head) -> list[Fact]:
    ct = head.modality == "CT"
    facts = [
        _yes_no(
            "PRES",
            head.lesion == "hemorrhage",
            "Is there a hemorrhage?",
            "Is there evidence of intracerebral hemorrhage?",
            "Has the brain bled?",
        ),
        _yes_no(
            "PRES",
            head.lesion == "infarct",
            "Is there an infarct?",
            "Are regions of the brain infarcted?",
            "Has this patient had a stroke?",
        ),
        _yes_no(
            "PRES", head.lesion == "mass", "Is there a mass?", "Is a ring-enhancing lesion present?", "Does this image show a brain tumor?"
        ),
        _yes_no(
            "ABN",
            not head.lesion and not head.wide,
            "Is the brain normal?",
            "Is this a normal image?",
            "Is this slice free of abnormalities?",
        ),
        _yes_no("SIZE", head.wide, "Are the ventricles enlarged?", "Is there ventriculomegaly?", "Are the lateral ventricles dilated?"),
        _yes_no("MODALITY", ct, "Is this a CT scan?", "Was a CT used to take this image?", "Is this computed tomography?"),
        _yes_no("MODALITY", not ct, "Is this an MRI?", "Is this an MR image?", "Was this taken by magnetic resonance imaging?"),
        _yes_no("PLANE", True, "Is this an axial plane?", "Is this an axial slice?", "Is this image taken in the axial plane?"),
        _yes_no("PLANE", False, "Is this a sagittal plane?", "Is this a coronal image?"),
        _choice("MODALITY", "CT" if ct else "MRI", "Is this a CT or an MRI?", "Was this taken by CT or MRI?"),
    ]
    if head.lesion:
        facts.append(_yes_no("POS, PRES", head.side == "left", "Is there a lesion on the left side?", "Is the left hemisphere affected?"))
        facts.append(_choice("POS", head.side, "Is the lesion on the left or right side?", "Is the left or right hemisphere abnormal?"))
    return facts


def _head_open(head: Head) -> list[Fact]:
    ct = head.modality == "CT"
    facts = [
        _open(
            "MODALITY", "CT" if ct else "MRI", "What imaging modality was used?", "What kind of scan is this?", "How was this image taken?"
        ),
        _open("PLANE", "axial", "In which plane is this image?", "What plane is this slice?", "What is the plane of section?"),
        _open("ORGAN", "brain", "What organ is shown?", "Which organ is pictured?", "What organ does this image show?"),
        _open(
            "COLOR", "white" if head.modality == "T2" else "black", "What color are the ventricles?", "In what color is the CSF displayed?"
        ),
    ]
    if not ct:
        facts.append(_open("MODALITY", head.modality, "What is the weighting of this MR image?", "Is this image T1 or T2 weighted?"))
    if head.lesion:
        name = "subdural hematoma" if head.lesion == "subdural" else head.lesion
        facts.append(
            _open("ABN", name, "What abnormality is seen?", "What is the abnormality in this image?", "What does the lesion represent?")
        )
    if head.lesion and head.lesion != "subdural":
        where = f"{head.side} {head.lobe} lobe"
        facts.append(_open("POS", where, "Where is the lesion?", "Where is the lesion located?", "In which lobe is the abnormality?"))
    return facts


# --- abdomen ----------------------------------------------------------------------------------------------------------


def _abdomen_closed(abdomen: Abdomen) -> list[Fact]:
    liver = abdomen.liver_lesions > 0
    facts = [
        _yes_no("PRES", liver, "Are there liver lesions?", "Is there a lesion in the liver?", "Are hypodense lesions seen in the liver?"),
        _yes_no("PRES", bool(abdomen.stone), "Is there a kidney stone?", "Are there stones in the kidneys?", "Is nephrolithiasis present?"),
        _yes_no("PRES", bool(abdomen.cyst), "Is there a renal cyst?", "Is a cyst seen in a kidney?", "Does a kidney have a cyst?"),
        _yes_no(
            "SIZE", abdomen.aneurysm, "Is the aorta enlarged?", "Is there an aortic aneurysm?", "Is there evidence of an aortic aneurysm?"
        ),
        _yes_no("PRES", abdomen.ascites, "Is there ascites?", "Is there free fluid in the abdomen?", "Is fluid seen around the organs?"),
        _yes_no(
            "OTHER", abdomen.contrast, "Was oral contrast given?", "Is there contrast in the stomach?", "Did the patient swallow contrast?"
        ),
        _yes_no("ABN", not liver, "Is the liver normal?", "Does the liver appear normal?", "Is the liver free of lesions?"),
        _yes_no("MODALITY", True, "Is this a CT scan?", "Was a CT used to take this image?"),
        _yes_no("MODALITY", False, "Is this an MRI?", "Is this an ultrasound?"),
        _choice(
            "SIZE",
            "enlarged" if abdomen.aneurysm else "normal",
            "Is the aorta normal or enlarged?",
            "Is the aorta of normal or enlarged size?",
        ),
    ]
    if liver:
        facts.append(
            _yes_no("COUNT", abdomen.liver_lesions > 1, "Is there more than one liver lesion?", "Are there multiple liver lesions?")
        )
    return facts


def _abdomen_open(abdomen: Abdomen) -> list[Fact]:
    facts = [
        _open("MODALITY", "CT", "What imaging modality was used?", "What kind of scan is this?", "How was this image taken?"),
        _open("PLANE", "axial", "In which plane is this image?", "What plane is this slice?", "What is the plane of section?"),
        _open("ORGAN", "abdomen", "What part of the body is shown?", "Which region is pictured?", "What body part does this image show?"),
        _open(
            "COLOR",
            "white" if abdomen.contrast else "gray",
            "What color is the content of the stomach?",
            "In what color is the stomach displayed?",
        ),
    ]
    if abdomen.liver_lesions:
        count = abdomen.liver_lesions
        facts.append(_open("COUNT", count, "How many lesions are in the liver?", "How many liver lesions are seen?"))
        facts.append(
            _open("ATTRIB", "hypodense", "How do the liver lesions compare with the liver?", "What is the density of the liver lesions?")
        )
    if abdomen.stone:
        facts.append(
            _open(
                "POS", f"{abdomen.stone} kidney", "Where is the stone?", "Which kidney contains a stone?", "Where is the calculus located?"
            )
        )
    if abdomen.cyst:
        facts.append(_open("POS", f"{abdomen.cyst} kidney", "Where is the cyst?", "Which kidney has a cyst?", "Where is the cyst located?"))
    return facts
