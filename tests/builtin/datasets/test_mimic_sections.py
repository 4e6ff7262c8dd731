"""The section parser on reports made up here, one for each rule and trap; expected results are those of the original code."""

from __future__ import annotations

import pytest

from medbench.builtin.datasets.mimic_exceptions import ALIASES, SLICES, STAND_INS
from medbench.builtin.datasets.mimic_sections import conclusion, last_section, normal_name, section, sections_of

TITLE = "          FINAL REPORT\n"

CASES = {
    "standard": (
        TITLE + " INDICATION:  ___F with cough\n \n FINDINGS: \n \n Clear.\n \n IMPRESSION: \n \n Normal.\n",
        ["preamble", "indication", "findings", "impression"],
        "Normal.",
    ),
    "title that looks like a section": (TITLE + " CHEST, PA LATERAL:\n \n FINDINGS:  Clear.\n", ["preamble", "findings"], "Clear."),
    "last paragraph": (
        TITLE + " EXAMINATION:  Chest.\n \n Lungs clear.\n \n Heart normal.\n",
        ["preamble", "examination", "last_paragraph"],
        "Lungs clear.\n \n Heart normal.",
    ),
    "no header": (TITLE + " Lungs clear.\n \n Heart normal.\n", ["full report", "last_paragraph"], "Heart normal."),
    "no space before the lines": ("FINDINGS:\nClear.\n", ["full report"], ""),
    "empty impression": (TITLE + " FINDINGS:  Effusion.\n \n IMPRESSION: \n", ["preamble", "findings"], "Effusion."),
    "two impressions": (
        TITLE + " IMPRESSION:  One.\n \n ADDENDUM:  More.\n \n IMPRESSION:  Two.\n",
        ["preamble", "impression", "addendum", "impression"],
        "Two.",
    ),
    "both in one": (TITLE + " FINDINGS/IMPRESSION:  Edema.\n", ["preamble", "impression"], "Edema."),
    "header in the text of another": (
        TITLE + " COMPARISON:  ___ FINDINGS:  Clear.\n \n Normal.\n",
        ["preamble", "comparison", "last_paragraph"],
        "Normal.",
    ),
    "wet read before": (
        "   WET READ: ___ 7:12 AM\n  Clear.\n ____________\n" + TITLE + " FINDINGS:  Opacity.\n",
        ["preamble", "findings"],
        "Opacity.",
    ),
    "headers on neighbouring lines": (
        TITLE + " INDICATION:  Cough.\n FINDINGS:  Clear.\n IMPRESSION:  Fine.\n",
        ["preamble", "indication", "findings", "impression"],
        "Fine.",
    ),
    "small letters": (TITLE + " Findings:  Clear.\n \n Impression:  Fine.\n", ["full report", "last_paragraph"], "Impression:  Fine."),
    "view as header": (TITLE + " PORTABLE AP CHEST:  Lines unchanged.\n", ["preamble", "findings"], "Lines unchanged."),
    "comparison alone": (TITLE + " COMPARISON:  None.\n", ["preamble", "comparison"], "None."),
    "nothing": ("", ["full report"], ""),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_rules(name):
    text, names, concluded = CASES[name]
    found = sections_of(text)
    assert [section_name for section_name, _ in found] == names
    assert conclusion("50000001", text) == concluded


def test_sections_keep_every_character_but_the_headers():
    text = CASES["standard"][0]
    assert sections_of(text)[2] == ("findings", "\n \n Clear.\n ")
    assert last_section(sections_of(text), "findings") == "Clear."
    assert last_section(sections_of(text), "history") == ""


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("IMPRESSON", "impression"),
        ("REASON FOR EXAM", "indication"),
        ("CHEST, TWO VIEWS", "findings"),
        ("PATIENT HISTORY ", "history"),
        ("RIBS", "findings"),
        ("TECHNIQUE", "technique"),
        ("NEW COMPARISON FILMS", "comparison"),
        ("NOTE", "note"),
    ],
)
def test_names_are_normalised(name, normal):
    assert normal_name(name) == normal


def test_the_exceptions():
    assert (len(SLICES), len(STAND_INS), sum(part == (0, 0) for part in SLICES.values())) == (31, 23, 8)
    assert not set(SLICES) & set(STAND_INS)
    assert len(ALIASES) == 58
    text = TITLE + " RECOMMENDATIONS:  Follow up.\n \n FINDINGS:  Nodule.\n"
    assert conclusion("50913680", text) == "Follow up."
    assert conclusion("50196495", "x" * 59 + " inside " + "y" * 400) == ("inside " + "y" * 332).strip()
    assert conclusion("58235663", text) == ""
    assert [section(study, text, "findings") for study in ("50913680", "50196495", "50000001")] == ["", "", "Nodule."]
    assert section("50913680", text, "conclusion") == "Follow up."


def test_a_report_of_one_endless_header_takes_no_time():
    assert [name for name, _ in sections_of("\n " + "A" * 1_000_000)] == ["full report"]
