from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from medbench_lexical import meteor, paraphrases
from medbench_lexical.conventions import Texts
from medbench_lexical.meteor import Meteor
from medbench_lexical.synthetic import pairs_of

from medbench.errors import PluginError, UsageError

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java on the PATH")

TABLE = b"0.5\nheart attack\nmyocardial infarction\n0.25\nno\nwithout\n0.0125\nin spite of\ndespite\n1.0\nno\nnot any\n"
NAMES = paraphrases.Index._fields


def index():
    return paraphrases.build(TABLE.splitlines(keepends=True))


def test_the_table_is_cut_to_the_words_at_hand_in_its_order_and_format():
    keep = lambda *words: paraphrases.select(index(), {word.encode() for word in words})  # noqa: E731
    assert keep() == b""
    assert keep("no", "without", "heart") == b"0.25\nno\nwithout\n"
    assert keep("no", "any", "not", "without", "x") == b"0.25\nno\nwithout\n1.0\nno\nnot any\n"
    assert keep(*TABLE.decode().split()) == TABLE


def test_an_index_is_made_once_and_read_again(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "deep" / "cache"))
    monkeypatch.setattr(paraphrases, "bundled", lambda _: _packed(tmp_path))
    assert paraphrases.filtered(["no effusion", "without effusion"]) == b"0.25\nno\nwithout\n"
    made = list((tmp_path / "deep" / "cache").iterdir())
    assert len(made) == 1
    assert {path.stem for path in made[0].iterdir()} == set(NAMES)
    monkeypatch.setattr(paraphrases, "build", lambda _: pytest.fail("built again"))
    assert paraphrases.filtered(["no", "without"]) == b"0.25\nno\nwithout\n"


def test_a_torn_index_is_made_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paraphrases, "bundled", lambda _: _packed(tmp_path))
    paraphrases.filtered(["no"])
    folder = next((tmp_path / "cache").iterdir())
    (folder / "ids.npy").write_bytes(b"torn")
    assert paraphrases.filtered(["no", "without"]) == b"0.25\nno\nwithout\n"


def test_a_cache_that_cannot_be_written_is_no_index(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(paraphrases, "bundled", lambda _: _packed(tmp_path))
    assert paraphrases.filtered(["no"]) is None


@pytest.mark.parametrize(("own", "shared", "wanted"), [("/a", "/b", "/a"), ("", "/b", "/b/medbench"), ("", "", "~/.cache/medbench")])
def test_where_the_cache_is(monkeypatch, own, shared, wanted):
    monkeypatch.setenv("MEDBENCH_CACHE", own)
    monkeypatch.setenv("XDG_CACHE_HOME", shared)
    assert paraphrases.cache_folder() == Path(wanted).expanduser()


@pytest.mark.parametrize(("text", "word"), [("at 5 a.m.", "am"), ("(in-spite/of)", "spite"), ("don't", "do"), ("U.S.-based", "us")])
def test_the_vocabulary_has_what_the_normaliser_makes(text, word):
    assert word.encode() in paraphrases.vocabulary([text])


@pytest.mark.parametrize(("table", "heap"), [(None, "-Xmx2g"), (TABLE, "-Xmx300m")])
def test_without_an_index_the_jar_loads_its_whole_table(monkeypatch, table, heap):
    asked = []
    monkeypatch.setattr(meteor, "run", lambda purpose, arguments: asked.extend(arguments) or "\n".join([" ".join(["1"] * 23)] * 2))
    monkeypatch.setattr(meteor, "_table", lambda _: table)
    rows = meteor.statistics(Texts(("a", "b"), (("x", "y"), ("z", "w"))))
    assert rows.shape == (2, 23)
    assert heap in asked
    assert ("-a" in asked) == (table is not None)
    assert asked[asked.index("-r") + 1] == "2"


def test_rows_that_do_not_fit_the_texts_are_an_error(monkeypatch):
    monkeypatch.setattr(meteor, "run", lambda *_: "1 2 3\n")
    monkeypatch.setattr(meteor, "_table", lambda _: b"")
    with pytest.raises(PluginError, match="0 rows for 1 texts"):
        meteor.statistics(Texts(("a",), (("b",),)))


@needs_java
@pytest.mark.slow
def test_hostile_texts_keep_their_places(monkeypatch):
    monkeypatch.setattr(meteor, "_table", lambda _: TABLE)
    texts = ["no effusion", "", "a\r\nb", "x ||| y", "\u2028", "café 😀", "\x00", "no effusion"]
    pairs = pairs_of([text or "w" for text in texts], texts)
    metric = Meteor(convention={"text": "raw-split@1"})
    rows = metric.measure(pairs)
    scores = metric.per_sample(rows)["meteor"]
    assert scores[0] == scores[-1] == pytest.approx(1.0)
    assert scores[1] == 0
    np.testing.assert_array_equal(metric.measure(pairs[::-1])[::-1], rows)


def test_large_runs_are_cut_into_parts_that_hold_everything(monkeypatch):
    monkeypatch.setattr(meteor, "_table", lambda _: b"")
    monkeypatch.setattr(meteor, "SMALLEST_PART", 2)
    monkeypatch.setattr(meteor.os, "cpu_count", lambda: 3)
    seen = []

    def run(samples, table):
        seen.append(len(samples))
        return np.array([[float(said[1:])] * 23 for said, _ in samples])

    monkeypatch.setattr(meteor, "_run", run)
    said = [f"t{i % 7}" for i in range(9)]
    rows = meteor.statistics(Texts(tuple(said), tuple(("a", "b")[: 1 + i % 7 % 2] for i in range(9))))
    assert rows[:, 0].tolist() == [float(text[1:]) for text in said]
    assert sum(seen) == 7
    assert len(seen) > 2


def test_without_java_there_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(UsageError, match="meteor needs Java: no `java` on the PATH") as caught:
        Meteor().measure(pairs_of(["a"], ["a"]))
    assert "JAVA_HOME" in caught.value.hint


def _packed(folder):
    import gzip

    path = folder / "table.gz"
    path.write_bytes(gzip.compress(TABLE))
    return path
