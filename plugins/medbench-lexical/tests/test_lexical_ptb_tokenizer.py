from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medbench_lexical import java, ptb
from medbench_lexical.synthetic import SENTENCES, reports

from medbench.errors import PluginError, UsageError

GOLDEN = json.loads((Path(__file__).parent / "golden" / "coco.json").read_text())
needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java on the PATH")
SEPARATORS = ["\r\n", "\r", "\n", "\f", "\v", "\x85", "\u2028", "\u2029", "\x1c"]
STRAY = ["no", "effusion.", "5", "café", "\x00", "😀", "\ud800", "see no.", "a.m.", "12 345", " ", *SEPARATORS]

_PIECES_TEXT = """
the lungs are clear no effusion . , ; : ? ! ( ) (left) (left >right) 4.5 4.5cm 2.3x1.8 1,200 3/4 ___ [** **] right-sided
C5-C6 x-ray T2 patient's patients' don't can't o'clock 'normal' "normal" vs. vs No. no. 5. 5 12 345 6789 Dr. Smith a.m. p.m.
5:30 10% $5 -- - ... .. * & / and/or w/o cannot Cannot. gonna q.d. I II PA/lateral e.g. i.e. etc. 1. 2. mm. cm. size. normal.
Normal. NORMAL. lung, lung; lung: lung) lung). (lung lung!! ?! 3-4 mid-lung mid-lung. non- -non ~5 <5 +ve = @ # http://x.y
a@b.c U.S. St. Mr. in. at. it. he. COPD. L. Thurs. dept. supts. assoc. (4.5) (4.5). 4.5. 4.5, ___. (___), let's Let's, :)
word:) ;-) left? 5? 5: left:
"""

PIECES = _PIECES_TEXT.split()


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(ptb, "_texts", ptb.Memory(1_000))


def run_both(texts):
    """What the fast path and the jar make of the texts that the fast path takes."""
    taken = [text for text in texts if ptb.plain_tokens(text) is not None]
    return taken, [ptb.plain_tokens(text) for text in taken], ptb.jar_tokens(taken)


@needs_java
def test_golden_tokens():
    texts = [text for said, known in GOLDEN["texts"] for text in (said, *known)]
    assert ptb.tokenize(texts) == [text for said, known in GOLDEN["tokens"] for text in (said, *known)]


@needs_java
def test_the_fast_path_agrees_with_the_jar_on_awkward_pieces():
    rng = random.Random(0)
    texts = [" ".join(rng.choices(PIECES, k=rng.randint(1, 5))) for _ in range(12_000)]
    texts += [f"{rng.choice('(x ')}{rng.choice(PIECES)}{rng.choice('.,;:?!) ')} {rng.choice(PIECES)}" for _ in range(6_000)]
    taken, fast, slow = run_both(texts)
    assert len(taken) > 2_000
    assert [(t, f, s) for t, f, s in zip(taken, fast, slow, strict=True) if f != s] == []


@needs_java
def test_the_fast_path_agrees_with_the_jar_on_reports():
    known, said = reports(400, seed=9)
    shouted = [text.upper() for text in known] + [text.lower() for text in said]
    taken, fast, slow = run_both([*known, *said, *shouted, *SENTENCES])
    assert len(taken) > 1_000
    assert fast == slow


@needs_java
def test_a_word_that_may_keep_its_full_stop_is_left_to_the_jar():
    for word in ("vs", "Dr", "no", "Fig", "supts", "mass"):
        assert ptb.plain_tokens(f"see {word}. next") is None
        assert ptb.plain_tokens(f"see {word} next") == f"see {word.lower()} next"
    whole = [f"we {word} see" for word in sorted(ptb.SPLIT_WORDS)]
    assert [ptb.plain_tokens(text) for text in whole] == [None] * len(whole)
    assert all(made.count(" ") == 3 for made in ptb.jar_tokens(whole))


@needs_java
@given(texts=st.lists(st.lists(st.sampled_from(STRAY), max_size=6).map("".join), min_size=30, max_size=40))
@settings(max_examples=4, deadline=None)
def test_no_character_of_one_text_moves_another(texts):
    order = sorted(range(len(texts)), key=lambda i: texts[i])
    marked = [part for i, text in enumerate(texts) for part in (text, f"mark {i}")]
    made = ptb.jar_tokens(marked)
    assert made[1::2] == [f"mark {i}" for i in range(len(texts))]
    assert ptb.jar_tokens([texts[i] for i in order]) == [made[2 * i] for i in order]


@needs_java
@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_line_separator_is_a_space(separator):
    assert ptb.tokenize([f"no effusion.{separator}Heart normal at 5 p.m."]) == ["no effusion heart normal at 5 p.m."]
    assert ptb.plain_tokens(f"no effusion.{separator}Heart normal.") == "no effusion heart normal"


def test_without_java_plain_texts_are_tokenized_and_others_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert ptb.tokenize(["Heart size is normal."]) == ["heart size is normal"]
    with pytest.raises(UsageError, match="coco-ptb needs Java: no `java` on the PATH"):
        ptb.tokenize(["Seen at 5 p.m."])


def test_java_is_found_under_java_home(monkeypatch, tmp_path):
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java.java("x") == str(program)


@pytest.mark.parametrize("answer", ["x\n", "a\nx\nb\n", "a\nb\nc\nd\n", ""])
def test_lines_that_do_not_fit_the_texts_are_an_error(monkeypatch, answer):
    monkeypatch.setattr(ptb, "run", lambda *_: answer)
    monkeypatch.setattr(ptb, "bundled", Path)
    with pytest.raises(PluginError, match="lines for 2 texts"):
        ptb.jar_tokens(["a", "b"])


def test_a_failing_java_is_told_without_the_text_of_a_report(monkeypatch):
    monkeypatch.setattr(java, "java", lambda _: "java")
    failed = subprocess.CompletedProcess([], 1, b"", b"Exception in thread main java.lang.OutOfMemoryError: Jane Doe's report\n\tat x")
    monkeypatch.setattr(java.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(PluginError, match="meteor: Java failed") as caught:
        java.run("meteor", [])
    assert "Jane" not in str(caught.value)


def test_a_missing_jar_is_told(monkeypatch):
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PluginError, match=r"pycocoevalcap/x\.jar is missing"):
        java.bundled("x.jar")


@needs_java
def test_texts_are_remembered(monkeypatch):
    ptb.tokenize(["at 5 p.m.", "clear"])
    monkeypatch.setattr(ptb, "jar_tokens", lambda texts: pytest.fail("asked again") if texts else [])
    assert ptb.tokenize(["clear", "at 5 p.m.", "clear"]) == ["clear", "at 5 p.m.", "clear"]
