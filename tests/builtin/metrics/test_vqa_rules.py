from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.builtin.metrics import CARDS, vqa_rules
from medbench.builtin.metrics.vqa_rules import NUMBERS, RULES, Item, annotated_closed, find_rule, missed
from medbench.errors import UsageError

FULL_STOPS = "." * 40


def judge(rule, truth, answer, *, closed=True, question=""):
    return RULES[rule].judge(Item(truth, answer, closed, question))


def right(rule, truth, answer, *, closed=True, question=""):
    return judge(rule, truth, answer, closed=closed, question=question).right


def test_docstring_examples():
    assert doctest.testmod(vqa_rules).failed == 0


# --- pefomed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(
    ("truth", "answer", "value"),
    [
        ("None", "0", 1),
        ("two", "2.", 1),
        ("The left lung", "left lung", 1),
        ("X-ray", "xray", 1),
        ("dont", "don't", 1),
        ("no", "No, there is none", 0),
        ("right side", "right", 0),
        ("grade 3", "grade.3", 0),
        ("left", f"left{FULL_STOPS}", 0),
        ("left", "left" + "." * 32, 1),
        ("a", "the", 1),
    ],
)
def test_pefomed_is_equality_after_normalisation(truth, answer, value, closed):
    verdict = judge("pefomed", truth, answer, closed=closed)
    assert (verdict.closed, verdict.right, verdict.unparsable) == (closed, value, False)


# --- llava-med --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "answer", "value", "unparsable"),
    [
        ("yes", "Yes, there is.", 1, False),
        ("no", "The heart is normal", 1, False),
        ("no", "Nothing abnormal", 1, False),
        ("yes", "no", 0, False),
        ("yes", "yes and no", 1, False),
        ("no", "yes and no", 1, False),
        ("MRI", "MRI", 0, True),
        ("mri", "no, an mri", 1, False),
        ("abnormal", "abnormal", 1, False),
        ("yes", "clearly", 0, True),
        ("none", "no", 0, False),
    ],
)
def test_llava_med_closed_is_two_substrings(truth, answer, value, unparsable):
    verdict = judge("llava-med", truth, answer)
    assert (verdict.closed, verdict.right, verdict.unparsable) == (True, value, unparsable)


@pytest.mark.parametrize(
    ("truth", "answer", "recall", "precision"),
    [
        ("left lower lobe", "left lobe", 2 / 3, 1.0),
        ("left lower lobe", "left left left lobe", 4 / 5, 2 / 4),
        ("left left lobe", "left", 1 / 2, 1.0),
        ("left", "right", 0.0, 0.0),
        ("the", "left", 0.0, 0.0),
        ("left", "the", 0.0, 0.0),
    ],
)
def test_llava_med_open_recall_counts_the_answers_repetitions(truth, answer, recall, precision):
    verdict = judge("llava-med", truth, answer, closed=False)
    assert verdict.recall == pytest.approx(recall)
    assert verdict.precision == pytest.approx(precision)
    assert math.isnan(verdict.right)


def test_llava_med_normalises_open_answers_twice():
    assert judge("llava-med", "left", "left" + "." * 64, closed=False).recall == 1
    assert judge("llava-med", "left", "left" + "." * 65, closed=False).recall == 0
    assert judge("llava-med", "left", "no left" + "." * 33).right == 1


# --- multimedeval -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "answer", "closed", "value"),
    [
        ("No", "no", True, 1),
        ("no", "It is not there", True, 1),
        ("no", "normal", True, 0),
        ("no", "none", True, 0),
        ("yes", "yes and no", True, 1),
        ("yes", "not", True, 0),
        ("Yes.", "yes", True, 1),
        ("left", "the left side", False, 1),
        ("a b c d", "b c d", False, 1),
        ("left lower lung lobe", "left lower lung", False, 1),
        ("left lower lobe", "left lobe", False, 0),
        ("left left left lobe", "left", False, 0),
        ("the", "left", False, 0),
    ],
)
@pytest.mark.parametrize("annotated", [True, False])
def test_multimedeval_is_recall_of_word_sets(truth, answer, closed, value, annotated):
    verdict = judge("multimedeval", truth, answer, closed=annotated)
    assert (verdict.closed, verdict.right) == (closed, value)


def test_multimedeval_open_recall_ignores_repetition():
    assert judge("multimedeval", "left lobe", "left left left").recall == 0.5


# --- medevalkit -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "answer", "closed", "value", "unparsable"),
    [
        ("Yes ", "Yes, it is", True, 1, False),
        ("no", "The heart is normal.", True, 1, False),
        ("no", "y.e\ns and n.o", True, 0, False),
        ("yes", "no, yes", True, 0, False),
        ("yes", "clearly", True, 0, True),
        ("yes", "y\ne.s", True, 1, False),
        ("yes.", "yes.", False, 0, False),
        ("Left lung", " left\n lung. ", False, 1, False),
        ("Left lung", "the left lung", False, 0, False),
        ("2.5", "2.5", False, 0, False),
    ],
)
@pytest.mark.parametrize("annotated", [True, False])
def test_medevalkit(truth, answer, closed, value, unparsable, annotated):
    verdict = judge("medevalkit", truth, answer, closed=annotated)
    assert (verdict.closed, verdict.right, verdict.unparsable) == (closed, value, unparsable)


# --- exact ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "answer", "value"),
    [("Yes", " yes\n", 1), ("Yes", "yes.", 0), ("two", "2", 0), ("Left  lung", "left lung", 0), ("右肺", "右肺", 1)],
)
def test_exact(truth, answer, value):
    assert right("exact", truth, answer) == right("exact", truth, answer, closed=False) == value


# --- across rules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "truth", "closed"),
    [
        ("CLOSED", "left", True),
        ("Closed ", "left", True),
        ("OPEN", "yes", False),
        ("open", "no", False),
        ("", "No.", True),
        ("", "left", False),
        ("other", "yes", True),
        ("other", "left", False),
    ],
)
def test_annotation_decides_and_the_truth_stands_in(written, truth, closed):
    assert annotated_closed(written, truth) is closed


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("truth", ["yes", "left", "", "the", "?", " "])
@pytest.mark.parametrize("closed", [True, False])
def test_a_blank_answer_is_wrong_and_not_unparsable(name, truth, closed):
    verdict = missed(Item(truth, " \n", closed), RULES[name])
    assert not verdict.unparsable
    assert all(math.isnan(number) or number == 0 for number in (getattr(verdict, field) for field in NUMBERS))
    for field, subset in RULES[name].scores.values():
        if subset == "all" or subset == ("closed" if verdict.closed else "open"):
            assert getattr(verdict, field) == 0


WORDS = st.lists(
    st.sampled_from(["left", "lung", "Yes", "no", "X-ray", "two", "3.5", "the", "右肺", "dont", "T2-weighted"]), min_size=1
).map(" ".join)


@given(WORDS, st.booleans())
def test_the_truth_itself_is_right(truth, closed):
    assert right("medbench", truth, truth, closed=closed) == 1
    assert right("pefomed", truth, truth, closed=closed) == 1
    assert right("exact", truth, truth, closed=closed) == 1
    if "." not in truth:
        assert right("medevalkit", truth, truth) == 1
    if set(truth.lower().split()) != {"the"}:
        assert right("multimedeval", truth, truth) == 1
        assert judge("llava-med", truth, truth, closed=False).recall == 1


@given(st.text(), st.text(), st.booleans(), st.text())
def test_no_text_makes_a_rule_raise_or_leave_its_range(truth, answer, closed, question):
    for rule in RULES.values():
        for verdict in (rule.judge(Item(truth, answer, closed, question)), missed(Item(truth, "", closed, question), rule)):
            for field, subset in rule.scores.values():
                if subset == "all" or subset == ("closed" if verdict.closed else "open"):
                    assert 0 <= getattr(verdict, field) <= 1
            assert verdict.closed or not (verdict.yes_no or verdict.unparsable)


@given(st.text(min_size=1).filter(str.strip), st.booleans())
def test_any_truth_repeated_is_right_under_our_rule(truth, closed):
    assert right("medbench", truth, truth, closed=closed) == 1


def test_card_and_rules_name_the_same_things():
    (card,) = (card for card in CARDS if card.name == "vqa")
    assert card.conventions == {"vqa": tuple(f"{name}@{rule.version}" for name, rule in RULES.items())}
    reported = {name for rule in RULES.values() for name in rule.scores}
    assert reported | {"type:*"} == set(card.scores)


def test_conventions_are_found_by_name_with_or_without_version():
    assert find_rule("pefomed") == find_rule("pefomed@1") == ("pefomed@1", RULES["pefomed"])
    with pytest.raises(UsageError, match="no convention vqa=pefomd") as unknown:
        find_rule("pefomd")
    assert "did you mean pefomed?" in unknown.value.hint
    with pytest.raises(UsageError, match="no version 9 of the convention vqa=exact") as newer:
        find_rule("exact@9")
    assert "exact@1" in newer.value.hint
