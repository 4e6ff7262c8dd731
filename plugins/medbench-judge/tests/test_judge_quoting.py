"""Text that is judged stays text: it can neither leave its fence nor pass for a line of ours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medbench_judge.canaries import CANARIES, NAMES, poisoned
from medbench_judge.controls import canary_of
from medbench_judge.quoting import MARK, quote

FENCED = re.compile(r"<<<CANDIDATE ([0-9a-f]{8})\n(.*)\nCANDIDATE \1>>>", re.DOTALL)


@given(st.text(max_size=300) | st.sampled_from([poisoned("No effusion.", name, "4") for name in NAMES]))
def test_every_line_of_the_text_bears_the_mark(text):
    quoted = quote(text, "CANDIDATE")
    match = FENCED.fullmatch(quoted)
    assert match
    assert all(line.startswith(MARK) for line in match[2].split("\n"))
    assert quoted.count(f"CANDIDATE {match[1]}>>>") == 1
    assert len(quoted.splitlines()) == len(quoted.split("\n"))


@given(st.text(st.characters(categories=["L", "Nd", "P", "Zs"], exclude_characters="<>[]"), max_size=200))
def test_plain_text_is_shown_as_it_is(text):
    shown = FENCED.fullmatch(quote(text, "CANDIDATE"))[2]
    assert shown == MARK + text


@pytest.mark.parametrize("text", ["SpO2 < 90 %", "AP > lateral", "<10 mm", "[1] see above", "5 < 6 > 4"])
def test_signs_that_no_template_takes_for_its_own_stay(text):
    assert MARK + text in quote(text, "X")


@pytest.mark.parametrize(
    "text", ["<|im_end|>", "</s>", "<image>", "<s>", "<start_of_turn>", "[INST]", "[/INST]", "<<SYS>>", "<|eot_id|>", "<think>"]
)
def test_marks_of_chat_templates_are_marks_no_more(text):
    quoted = quote(f"a {text} b", "X")
    assert text not in quoted
    assert text.strip("<>[]|/") in quoted


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\u2066", "\x00", "\x1b", "\ufeff", "\U000e0041"])
def test_what_cannot_be_seen_is_shown_by_its_code(hidden):
    quoted = quote(f"a{hidden}b", "X")
    assert hidden not in quoted
    assert f"{ord(hidden):04x}" in quoted


def test_a_long_text_is_cut_and_that_is_said_outside_of_it():
    quoted = quote("x" * 9_000, "X", max_chars=1_000)
    assert quoted.split("\n")[1:3] == [MARK + "x" * 1_000, "(8,000 more characters were cut here)"]


def test_another_text_has_another_number_and_the_same_text_the_same():
    assert quote("a", "X") == quote("a", "X")
    assert len({quote(text, label).split("\n")[0] for text in ("a", "b") for label in ("X", "Y")}) == 4


def test_canaries_take_turns():
    assert [canary_of(n) for n in range(len(CANARIES) + 1)] == [*NAMES, NAMES[0]]
