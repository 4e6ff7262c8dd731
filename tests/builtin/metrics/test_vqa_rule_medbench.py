from __future__ import annotations

import pytest

from medbench.builtin.metrics.vqa_rules import RULES, Item, word_overlap

FULL_STOPS = "." * 40


def judge(truth, answer, *, closed=True, question=""):
    return RULES["medbench"].judge(Item(truth, answer, closed, question))


@pytest.mark.parametrize(
    ("truth", "answer", "value", "unparsable"),
    [
        ("Yes", "yes", 1, False),
        ("Yes", "Yes.", 1, False),
        ("no", "No, there is none.", 1, False),
        ("no", "**No**", 1, False),
        ("no", "Yes, no doubt", 0, False),
        ("no", "The lungs look normal", 0, True),
        ("no", "normal", 0, True),
        ("no", "not seen", 0, True),
        ("yes", "It is: yes", 0, True),
        ("yes", "yesterday", 0, True),
        ("yes", "...", 0, True),
    ],
)
def test_medbench_yes_no_takes_the_leading_word(truth, answer, value, unparsable):
    verdict = judge(truth, answer)
    assert (verdict.closed, verdict.yes_no, verdict.right, verdict.unparsable) == (True, True, value, unparsable)


SIDE = "Is the gastric bubble shown on the left or right side of the patient?"


@pytest.mark.parametrize(
    ("truth", "answer", "question", "value", "unparsable"),
    [
        ("Right side", "right side", SIDE, 1, False),
        ("Right side", "right", SIDE, 1, False),
        ("Right side", "right side, clearly", SIDE, 1, False),
        ("Right side", "the left", SIDE, 0, False),
        ("Right side", "right lung", SIDE, 0, False),
        ("Right", "right lung", "Is the lesion on the left or right?", 1, False),
        ("Right", "upper right", "Is the lesion on the left or right?", 0, True),
        ("MRI", "MRI, of course", "Is this an MRI or a CT scan?", 1, False),
        ("MRI", "CT", "Is this an MRI or a CT scan?", 0, False),
        ("MRI", "yes", "Is this an MRI or a CT scan?", 0, True),
        ("one", "1", "Are there multiple or just 1 metastatic focus?", 1, False),
        ("abnormal", "normal", "Is this image normal or abnormal?", 0, False),
        # Begins both options alike: only the whole answer tells them apart.
        ("larger left", "larger right", "Is it larger left or larger right?", 0, False),
        ("larger left", "larger", "Is it larger left or larger right?", 0, False),
        ("in the left lung", "in the right lung", "Is it in the left or right lung?", 0, False),
        # No options are known where the question offers none.
        ("Axial", "it is coronal", "What plane is this?", 0, False),
        ("Axial", "coronal", "", 0, False),
        ("A", "the", "", 0, False),
        ("A", "a", "", 1, False),
        ("+", "+", "", 1, False),
        ("+", "***", "", 0, False),
        ("+", "***", "Is it + or -?", 0, True),
    ],
)
def test_medbench_choice(truth, answer, question, value, unparsable):
    verdict = judge(truth, answer, question=question)
    assert (verdict.closed, verdict.yes_no, verdict.right, verdict.unparsable) == (True, False, value, unparsable)


def test_medbench_open_is_exact_match_and_word_overlap_apart():
    verdict = judge("Right upper lobe", "right lower lobe of the lung", closed=False)
    assert verdict.right == 0
    assert verdict.recall == pytest.approx(2 / 3)
    assert verdict.precision == pytest.approx(2 / 5)
    assert verdict.f1 == pytest.approx(2 * 2 / (3 + 5))
    assert not verdict.unparsable
    assert judge("An X-ray", "xray", closed=False).right == 1
    assert judge("two", "2", closed=False)[2:6] == (1, 1, 1, 1)


def test_medbench_does_not_reward_repetition():
    assert judge("left lobe", "left left left", closed=False).recall == 0.5
    assert word_overlap("a a b", "a b b") == (2 / 3, 2 / 3, 2 / 3)
    assert word_overlap("", "") == word_overlap("a", "") == word_overlap("", "a") == (0, 0, 0)


def test_medbench_has_no_full_stop_quirks():
    assert judge("grade 3", f"grade 3{FULL_STOPS}", closed=False).right == 1
    assert judge("us", "U.S.", closed=False).right == 1
