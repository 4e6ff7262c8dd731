"""Rubrics are files: ours are pinned by their hashes, those of users are told what is wrong with them."""

from __future__ import annotations

import json

import pytest
from medbench_judge import prompts, rubrics

from medbench.agreement.scales import CORRECT, LIKERT
from medbench.errors import UsageError

OWN = """
name = "tone"
levels = { 1 = "rude", 2 = "plain", 3 = "kind" }
prompt = "Rate the tone.\\n{levels}\\n{candidate}\\n{reply}"
"""


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: rubrics.shipped("likert"), "likert@1 c3566cc46b2c01b2"),
        (lambda: rubrics.shipped("vqa-judge"), "vqa-judge@1 9edb15923eedc12f"),
        (lambda: prompts.shipped("chexprompt"), "chexprompt@1 391a7921e25c3e10"),
        (lambda: prompts.shipped("pairwise"), "pairwise@1 4e99fa3015ce84b1"),
    ],
)
def test_words_that_change_need_a_new_version(made, expected):
    one = made()
    assert f"{one.full_name} {one.hash}" == expected


def test_people_and_judges_are_given_the_same_levels():
    for name, levels in (("likert", LIKERT), ("vqa-judge", CORRECT)):
        assert rubrics.shipped(name).levels == {str(grade): words for grade, words in levels.items()}


def write(tmp_path, content):
    path = tmp_path / "own.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_rubric_of_ones_own(tmp_path):
    rubric = rubrics.read_rubric(write(tmp_path, OWN))
    request = rubric.ask({"candidate": "Thank you."})
    assert rubric.grades == (1, 2, 3)
    assert "3: kind\n2: plain\n1: rude" in request.prompt
    assert "| Thank you." in request.prompt
    assert json.loads(request.schema)["properties"]["level"] == {"enum": [1, 2, 3]}
    assert request.prompt.startswith(rubric.head("json"))
    assert request.temperature == 0.0


def test_levels_and_form_of_the_reply_stand_at_the_end_where_the_prompt_does_not_place_them(tmp_path):
    rubric = rubrics.read_rubric(write(tmp_path, OWN.replace("{levels}\\n", "").replace("\\n{reply}", "")))
    assert rubric.prompt.endswith("{candidate}\n\n{levels}\n\n{reply}")


def test_a_text_that_names_a_place_is_not_filled(tmp_path):
    rubric = rubrics.read_rubric(write(tmp_path, OWN))
    assert "| {levels} {reply} {reference}" in rubric.ask({"candidate": "{levels} {reply} {reference}"}).prompt


def test_every_word_is_in_the_hash(tmp_path):
    changes = [
        ("Rate", "Judge"),
        ("rude", "harsh"),
        ('name = "tone"', 'name = "tone"\nparser = "line"'),
        ('name = "tone"', 'name = "tone"\nreason = "why"'),
    ]
    hashes = {rubrics.read_rubric(write(tmp_path, OWN.replace(*change))).hash for change in [("", ""), *changes]}
    assert len(hashes) == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name = ", "not valid TOML"),
        (OWN.replace("{candidate}", ""), "prompt has no {candidate}"),
        (OWN.replace("{candidate}", "{candidate} {answer}"), "prompt names {answer}"),
        (OWN.replace("1 = ", "one = "), "levels: could not convert"),
        (OWN.replace(', 2 = "plain", 3 = "kind"', ""), "two or more different numbers"),
        (OWN.replace("2 = ", '"1.0" = '), "two or more different numbers"),
        (OWN + "colour = 1", "unknown field `colour`"),
        (OWN + 'parser = "regex"', "Invalid enum value"),
        (OWN + 'reason = "level"', "names no field of its own"),
        (OWN.replace('"tone"', '"My Tone"'), "name = 'My Tone'"),
    ],
)
def test_a_mistake_is_told_with_file_and_key(tmp_path, content, said):
    with pytest.raises(UsageError) as caught:
        rubrics.read_rubric(write(tmp_path, content))
    assert "own.toml" in caught.value.message
    assert said in caught.value.message


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"none\.toml"):
        rubrics.read_rubric(tmp_path / "none.toml")
