"""Reports in the format of MIMIC-CXR: one space before each line, capital headers, `___` for what was removed."""

from __future__ import annotations

import textwrap

import numpy as np

from medbench.builtin.twins.chest import Chest
from medbench.builtin.twins.film_labels import chexpert_findings
from medbench.builtin.twins.reports import report_of

SHAPES = (
    *("standard", "findings only", "last paragraph", "empty impression", "wet read", "addendum", "no header", "small headers"),
    *("both in one", "portable"),
)
"""The shapes that a report may have; about half of all are `standard`."""

TITLE = "                                 FINAL REPORT"
RULE = " " + "_" * 78
_WIDTH = 78

_INDICATIONS = (
    "___ year old woman with cough  // eval for pneumonia",
    "___-year-old man with shortness of breath.  Evaluate for effusion.",
    "History of chest pain, question of acute process.",
    "___M with fever, hypoxia // infiltrate?",
    "Status post line placement.",
)


def findings_text(chest: Chest, rng: np.random.Generator) -> str:
    """Return the findings of a film in sentences on one line."""
    return report_of(chest, rng).replace("XXXX", "___").replace("±", "+/-").replace(". ", ".  ")


def indication_text(rng: np.random.Generator) -> str:
    """Return why a film was taken."""
    return _INDICATIONS[rng.integers(len(_INDICATIONS))]


def impression_text(chest: Chest) -> str:
    """Return the conclusion: what the film shows, in one line, without saying where."""
    shown = [name.lower() for name, is_ in chexpert_findings(chest).items() if is_ and name != "Support Devices"]
    return f"Findings of {', '.join(shown[:3])}." if shown else "No acute cardiopulmonary process."


def report_text(shape: str, findings: str, indication: str, impression: str) -> str:
    """Return a whole report of a shape (one of `SHAPES`)."""
    found, concluded = _body(findings), _body(impression)
    reason = f" INDICATION:  {indication}\n \n COMPARISON:  ___\n \n"
    both = f" FINDINGS: \n \n{found} \n IMPRESSION: \n \n{concluded}"
    made = {
        "standard": f"{TITLE}\n EXAMINATION:  CHEST (PA AND LAT)\n \n{reason}{both}",
        "findings only": f"{TITLE}\n CHEST, PA LATERAL:\n \n{reason} FINDINGS: \n{found}",
        "last paragraph": f"{TITLE}\n EXAMINATION:  Chest radiograph.\n \n{found}",
        "empty impression": f"{TITLE}\n{reason} FINDINGS: \n \n{found} \n IMPRESSION: \n",
        "wet read": f"{TITLE.replace('FINAL REPORT', 'WET READ: ___ ___ ___ 7:12 AM')}\n{concluded}{RULE}\n{TITLE}\n{reason}{both}",
        "addendum": f"{TITLE.replace('FINAL REPORT', 'ADDENDUM')}\n The study was reviewed again.\n{RULE}\n{TITLE}\n{reason}{both}",
        "no header": f"{TITLE}\n Chest radiograph of ___.\n \n{found}",
        "small headers": f"{TITLE}\n Findings: \n \n{found}",
        "both in one": f"{TITLE}\n HISTORY:  {indication}\n \n FINDINGS AND IMPRESSION: \n{found}",
        "portable": f"{TITLE}\n{reason} PORTABLE AP CHEST: \n{found}",
    }
    return made[shape]


def has_findings(shape: str) -> bool:
    """Say whether a report of that shape has a section of findings."""
    return shape not in ("last paragraph", "no header", "small headers", "both in one")


def folded(findings: str) -> str:
    """Return the findings as the section of a report holds them, with its line breaks."""
    return _body(findings).strip()


def _body(text: str) -> str:
    lines = textwrap.wrap(text, _WIDTH, break_long_words=False, replace_whitespace=False, fix_sentence_endings=True)
    return "".join(f" {line}\n" for line in lines)
