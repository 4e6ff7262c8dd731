from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.builtin.metrics import vqa_text
from medbench.builtin.metrics.vqa_text import CONTRACTIONS, bare_words, plain, vqa_v2


def test_docstring_examples():
    assert doctest.testmod(vqa_text).failed == 0


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("Yes.", "yes"),
        ("  The   LEFT\tlung\n", "left lung"),
        ("an apple a day", "apple day"),
        ("None", "0"),
        ("Zero one two three four five six seven eight nine ten", "0 1 2 3 4 5 6 7 8 9 10"),
        ("eleven", "eleven"),
        # No mark stands next to a space: each becomes a space.
        ("T2-weighted", "t2 weighted"),
        ("chest/abdomen", "chest abdomen"),
        ("(left)", "left"),
        # One occurrence next to a space is enough to delete the mark everywhere.
        ("x-ray - frontal", "xray frontal"),
        ("left,right, both", "leftright both"),
        # Digit-comma-digit deletes every mark, also those inside words.
        ("1,000 x-rays", "1000 xrays"),
        ("1,a b-c", "1 b c"),
        # These are no punctuation to VQA-v2.
        ("ratio: 3*4 'ok' 50%", "ratio: 3*4 'ok' 50%"),
        ("", ""),
        ("the", ""),
        ("?!", ""),
    ],
)
def test_vqa_v2_golden(text, normalised):
    assert vqa_v2(text) == normalised


@pytest.mark.parametrize(
    ("text", "quirky", "ours"),
    [
        ("2.5 cm", "2.5 cm", "2.5 cm"),
        ("3.", "3", "3"),
        (".5", ".5", ".5"),
        ("U.S.", "us", "us"),
        # A full stop between a letter and a digit stays in the original.
        ("grade.3", "grade.3", "grade3"),
        ("1.2.3", "1.2.3", "1.2.3"),
        ("X-ray", "x ray", "xray"),
        ("apex ray", "apex ray", "apex ray"),
        # Nothing is left in the original.
        ("A", "", "a"),
        ("The a", "", "the a"),
        ("+", "", "+"),
        ("dont", "don't", "don't"),
        ("none", "0", "0"),
    ],
)
def test_plain_leaves_out_the_quirks_only(text, quirky, ours):
    assert vqa_v2(text) == quirky
    assert plain(text) == ours


@pytest.mark.parametrize("stops", [31, 32, 33, 64, 65])
def test_at_most_32_full_stops_are_removed_by_vqa_v2(stops):
    text = "a." * stops + "b"
    assert vqa_v2(text).count(".") == max(0, stops - 32)
    assert plain(text) == "a" * stops + "b"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("aint", "ain't"),
        ("dont", "don't"),
        ("isnt", "isn't"),
        ("youre", "you're"),
        ("theres", "there's"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("maam", "ma'am"),
        ("oclock", "o'clock"),
        ("twas", "'twas"),
        ("ow's'at", "'ow's'at"),
        ("'ows'at", "'ow's'at"),
        ("'ow'sat", "'ow's'at"),
        ("yall'd've", "y'all'd've"),
        ("y'allll", "y'all'll"),
        ("somebody'd", "somebodyd"),
    ],
)
def test_contractions(written, meant):
    assert CONTRACTIONS[written] == meant
    assert vqa_v2(written.upper()) == meant


def test_words_that_only_look_like_contractions_are_left_alone():
    for word in ("its", "lets", "shell", "well", "were", "shed", "im", "couldntve"):
        assert vqa_v2(word) == word
    # The public table has 120 entries: two change nothing, and four are capitalised, which lower-cased words never are.
    assert len(CONTRACTIONS) == 114


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yes there is", ["yes", "there", "is"]),
        ("**yes**, so", ["yes", "so"]),
        ("'no'", ["no"]),
        ("... left", ["left"]),
        ("*** :", []),
        ("", []),
        ("_no_", ["no"]),
        ("don't (look) --", ["don't", "look"]),
        ("右肺", ["右肺"]),
    ],
)
def test_bare_words(text, words):
    assert bare_words(text) == words


@given(st.text())
def test_normalisers_take_any_text_and_leave_single_spaces(text):
    for normalise in (vqa_v2, plain):
        done = normalise(text)
        assert done == " ".join(done.split())
    assert bool(plain(text)) == bool(text.lower().split())


@given(st.text(alphabet=st.sampled_from("aAtThe oneTWO 12.,-/;?!'x ray\n"), max_size=30))
def test_normalisers_are_idempotent_on_short_texts(text):
    once = vqa_v2(text)
    assert vqa_v2(once) == once
