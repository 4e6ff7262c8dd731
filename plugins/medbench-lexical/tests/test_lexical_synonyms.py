from __future__ import annotations

import random
import shutil
import zipfile

import numpy as np
import pytest
from medbench_lexical import meteor, paraphrases, synonyms
from medbench_lexical.conventions import Texts
from medbench_lexical.java import METEOR, bundled

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java on the PATH")
WORDS = """
small little large big great heart bosom seen visible noted note observe observed rib costa lung lungs breast chest thorax wide
broad thin slender narrow study report survey change alteration modify altered modified raise rise lift elevate elevated rear back
spine spinal men man women sees saw seeing boxes box helpful help useful leaves leaf leave left right correct bus buses glass
"""


def table(said):
    lines = synonyms.files({word.encode() for word in said})["english.synsets"].decode().split("\n")
    return {word: set(sets.split()) for word, sets in zip(lines[::2], lines[1::2], strict=False)}


def test_sets_that_one_word_reaches_alone_are_dropped_and_its_place_kept():
    assert table(["heart"]) == {"heart": set()}


def test_words_that_mean_the_same_share_a_set_and_others_none():
    found = table(["small", "little", "heart", "spine"])
    assert found["small"] & found["little"]
    assert not found["heart"] & found["spine"]


def test_a_form_reaches_the_sets_of_its_base():
    found = table(["men", "man"])
    assert len(found["man"]) == 1
    assert set(table(["widths", "breadth"])) >= {"width", "breadth"}


def test_sets_within_other_sets_are_dropped():
    one, other = (b"a", b"1 2 3", 2), (b"b", b"1 2 4", 1)
    assert synonyms._telling([one, other]) == [(b"a", b"b")]
    assert synonyms._telling([one]) == [(b"a",)]
    assert synonyms._telling([other]) == []
    assert synonyms._telling([one, other, (b"c", b"3 1", 1)]) == [(b"a", b"b", b"c")]
    assert synonyms._telling([one, other, (b"c", b"3", 1)]) == [(b"a", b"b"), (b"a", b"c")]


def test_nothing_is_no_file_without_a_line():
    assert synonyms.files(set())["english.synsets"] == b""


@needs_java
@pytest.mark.slow
def test_the_jar_matches_as_with_all_its_synonyms(monkeypatch):
    with zipfile.ZipFile(bundled(METEOR)) as jar:
        whole = {f"english.{name}": jar.read(f"synonym/english.{name}") for name in ("exceptions", "synsets")}
    monkeypatch.setattr(paraphrases, "filtered", lambda *_: b"")
    rng = random.Random(0)
    known = whole["english.synsets"].decode().split("\n")[::2]
    common = [*WORDS.split(), *rng.sample([word for word in known if 3 < len(word) < 6 and word.isalpha()], 300)]
    forms = [word + ending for word in common for ending in ("", "", "s", "ed", "ing", "er", "est", "es")]
    forms += [word.removesuffix("y") + "ies" for word in common] + [word + "ful" for word in WORDS.split()]
    said, theirs = ([" ".join(rng.choices(forms, k=rng.randint(5, 40))) for _ in range(150)] for _ in range(2))
    texts = Texts(tuple(said), tuple((text,) for text in theirs))
    ours = meteor.statistics(texts)
    monkeypatch.setattr(synonyms, "files", lambda _: whole)
    np.testing.assert_array_equal(ours, meteor.statistics(texts))
    assert (ours[:, 12:16].sum(axis=1) > 0).sum() > 40
