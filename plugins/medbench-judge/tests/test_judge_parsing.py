"""Verdicts are read out of replies strictly: what others get wrong, what no reply may do, what is taken."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medbench_judge.parsing import LONGEST, Unusable, grade, objects, one_object, refuses

FIVE, BINARY, LIKERT = (1, 2, 3, 4, 5), (0, 1), (0, 1, 2, 3, 4)

TAKEN = [
    ("0 - the report misses the 10 mm nodule", BINARY, 0),
    ("Score: 0/1", BINARY, 0),
    ("Finding 1 is right. Score: 4", FIVE, 4),
    ('{"differences": "none", "level": 3}', LIKERT, 3),
    ('```json\n{"differences": "none", "level": 0}\n```', LIKERT, 0),
    ('{"level": "2"}', LIKERT, 2),
    ('{"level": 4.0}', LIKERT, 4),
    ('The candidate says {"level": 4}. My verdict: {"why": "made up", "level": 0}', LIKERT, 0),
    ("The candidate claims Level: 4.\nLevel: 1", LIKERT, 1),
    ("**Level: 3**", LIKERT, 3),
    ("Level is 2.", LIKERT, 2),
    ("Rating = 4 out of 4", LIKERT, 4),
    ("3", LIKERT, 3),
    ("3/4", LIKERT, 3),
    ("2 – the side is wrong", LIKERT, 2),
    ("Verdict: 1. 2 findings are missing", LIKERT, 1),
]
UNUSABLE = [
    ("", BINARY, "it is empty"),
    ("  \n", BINARY, "it is empty"),
    ("no score", FIVE, "does not state a level"),
    ("Level: 9", LIKERT, "'9' is not one of 0, 1, 2, 3, 4"),
    ("Level: 12", LIKERT, "'12' is not one of"),
    ("Level: -1", LIKERT, "'-1' is not one of"),
    ("Level: 3.5", LIKERT, "'3.5' is not one of"),
    ("Level: 3-4", LIKERT, "more than one level"),
    ("Score: 3 or 4", LIKERT, "more than one level"),
    ("3 - 4", LIKERT, "does not state a level"),
    ("Score: 8/10", LIKERT, "counts out of 10, and the levels end at 4"),
    ("Score: 3/5", LIKERT, "counts out of 5"),
    ("I thought of level 3", LIKERT, "does not state a level"),
    ("It misses the 4 mm nodule", LIKERT, "does not state a level"),
    ("1 - omission\n2 - wrong side", LIKERT, "does not state a level"),
    ("1. The effusion is missing.", LIKERT, "does not state a level"),
    ('{"level": true}', BINARY, "'True' is not one of"),
    ('{"level": null}', LIKERT, "'None' is not one of"),
    ('{"level": [4]}', LIKERT, "is not one of"),
    ('{"level": NaN}', LIKERT, "is not one of"),
    ('{"level": "four"}', LIKERT, "'four' is not one of"),
    ('{"level": 4, "level": 0}', LIKERT, "a key stands in its JSON object twice"),
    ('{"level": 4', LIKERT, "does not state a level"),
    ('{"outer": {"level": 4}}', LIKERT, "does not state a level"),
    ('{"level": 9} Level: 3', LIKERT, "'9' is not one of"),
]


@pytest.mark.parametrize(("text", "grades", "expected"), TAKEN)
def test_a_stated_verdict_is_taken(text, grades, expected):
    assert grade(text, grades) == expected


@pytest.mark.parametrize(("text", "grades", "why"), UNUSABLE)
def test_anything_else_is_no_verdict_and_says_why(text, grades, why):
    with pytest.raises(Unusable) as caught:
        grade(text, grades)
    assert why in str(caught.value)


@pytest.mark.parametrize(("style", "text"), [("line", '{"level": 3}'), ("number", "Level: 3"), ("number", "3 - fine")])
def test_a_style_takes_its_own_form_alone(style, text):
    with pytest.raises(Unusable):
        grade(text, LIKERT, style)


def test_the_styles_take_their_forms():
    assert grade("It differs.\nLevel: 3", LIKERT, "line") == 3
    assert grade(" 3.\n", LIKERT, "number") == 3


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["{" * 50_000, '{"a":' * 20_000, '{"a":1}' * 20_000, "Level: " * 20_000, "1" * 50_000, "3 - " * 30_000])
def test_a_reply_of_any_size_is_read_in_no_time(text):
    with pytest.raises(Unusable):
        grade(text, LIKERT)


def test_a_verdict_at_the_end_of_a_long_reply_is_found():
    assert grade("x" * (2 * LONGEST) + "\nLevel: 2", LIKERT) == 2


@given(st.text(max_size=200))
def test_no_reply_raises_anything_else(text):
    with contextlib.suppress(Unusable):
        assert grade(text, LIKERT) in LIKERT


@given(st.text(st.characters(exclude_characters="0123456789", exclude_categories=["Nd"]), max_size=80))
def test_no_verdict_comes_out_of_a_reply_without_a_digit(text):
    with pytest.raises(Unusable):
        grade(text, LIKERT)


def test_objects_are_outermost_and_in_order():
    assert list(objects('a {"x": {"y": 1}} b {"z": 2} {broken} {"w": 3}')) == [{"x": {"y": 1}}, {"z": 2}, {"w": 3}]


def test_an_object_has_all_its_fields():
    assert one_object('{"a": 1} {"a": 2, "b": 3}', ("a", "b")) == {"a": 2, "b": 3}
    for text in ("", "none", '{"a": 1}'):
        with pytest.raises(Unusable):
            one_object(text, ("a", "b"))


@pytest.mark.parametrize(
    ("text", "declines"),
    [
        ("I'm sorry, but I can't assist with that.", True),
        ("I am unable to evaluate medical images.", True),
        ("I cannot provide a rating.", True),
        ("I won\u2019t rate this.", True),
        ("The candidate cannot be compared.", False),
        ("I can see an effusion.", False),
        ("no score", False),
    ],
)
def test_refusals_in_words(text, declines):
    assert refuses(text) is declines
