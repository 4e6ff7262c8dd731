from __future__ import annotations

import gzip
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from medbench_lexical import meteor, paraphrases
from medbench_lexical.conventions import Texts
from medbench_lexical.java import bundled
from medbench_lexical.meteor import Meteor
from medbench_lexical.synthetic import pairs_of, reports

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
    assert paraphrases.filtered({b"no", b"without", b"effusion"}) == b"0.25\nno\nwithout\n"
    made = list((tmp_path / "deep" / "cache").iterdir())
    assert len(made) == 1
    assert {path.stem for path in made[0].iterdir()} == set(NAMES)
    monkeypatch.setattr(paraphrases, "build", lambda _: pytest.fail("built again"))
    assert paraphrases.filtered({b"no", b"without"}, 1) == b"0.25\nno\nwithout\n"


def test_few_samples_are_worth_an_index_the_second_time_only(monkeypatch, tmp_path):
    monkeypatch.setattr(paraphrases, "bundled", lambda _: _packed(tmp_path))
    words = {b"no", b"without"}
    assert paraphrases.filtered(words, paraphrases.FEW - 1) is None
    assert not any(path.is_dir() for path in paraphrases.cache_folder().iterdir())
    assert paraphrases.filtered(words, paraphrases.FEW - 1) == b"0.25\nno\nwithout\n"


def test_many_samples_are_worth_an_index_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(paraphrases, "bundled", lambda _: _packed(tmp_path))
    assert paraphrases.filtered({b"no", b"without"}, paraphrases.FEW) == b"0.25\nno\nwithout\n"


def test_a_torn_index_is_made_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paraphrases, "bundled", lambda _: _packed(tmp_path))
    paraphrases.filtered({b"no"})
    folder = next((tmp_path / "cache").iterdir())
    (folder / "ids.npy").write_bytes(b"torn")
    assert paraphrases.filtered({b"no", b"without"}) == b"0.25\nno\nwithout\n"


def test_a_cache_that_cannot_be_written_is_no_index(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(paraphrases, "bundled", lambda _: _packed(tmp_path))
    assert paraphrases.filtered({b"no"}) is None
    assert paraphrases.filtered({b"no"}, 1) is None


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

    def run(purpose, arguments, *, long):
        asked.extend(arguments)
        return "\n".join([" ".join(["1"] * 23)] * 2)

    monkeypatch.setattr(meteor, "run", run)
    monkeypatch.setattr(paraphrases, "filtered", lambda *_: table)
    rows = meteor.statistics(Texts(("a", "b"), (("x", "y"), ("z", "w"))))
    assert rows.shape == (2, 23)
    assert heap in asked
    assert ("-a" in asked) == (table is not None)
    assert asked[asked.index("-r") + 1] == "2"


def test_rows_that_do_not_fit_the_texts_are_an_error(monkeypatch):
    monkeypatch.setattr(meteor, "run", lambda *_, **__: "1 2 3\n")
    monkeypatch.setattr(paraphrases, "filtered", lambda *_: b"")
    with pytest.raises(PluginError, match="0 rows for 1 texts"):
        meteor.statistics(Texts(("a",), (("b",),)))


@needs_java
@pytest.mark.slow
def test_hostile_texts_keep_their_places(monkeypatch):
    monkeypatch.setattr(paraphrases, "filtered", lambda *_: TABLE)
    texts = ["no effusion", "", "a\r\nb", "x ||| y", "\u2028", "café 😀", "\x00", "no effusion"]
    pairs = pairs_of([text or "w" for text in texts], texts)
    metric = Meteor(convention={"text": "raw-split@1"})
    rows = metric.measure(pairs)
    scores = metric.per_sample(rows)["meteor"]
    assert scores[0] == scores[-1] == pytest.approx(1.0)
    assert scores[1] == 0
    np.testing.assert_array_equal(metric.measure(pairs[::-1])[::-1], rows)


@needs_java
@pytest.mark.slow
def test_the_number_of_javas_changes_nothing(monkeypatch):
    monkeypatch.setattr(paraphrases, "filtered", lambda *_: TABLE)
    pairs = pairs_of(*reports(60, seed=3))
    rows = []
    for cores, part in ((1, 1_500), (3, 20)):
        monkeypatch.setattr(meteor, "_cores", lambda cores=cores: cores)
        monkeypatch.setattr(meteor, "SMALLEST_PART", part)
        rows.append(Meteor(convention={"text": "lower-split@1"}).measure(pairs))
    np.testing.assert_array_equal(*rows)


@needs_java
@pytest.mark.slow
def test_the_language_of_the_machine_changes_nothing(monkeypatch):
    monkeypatch.setattr(paraphrases, "filtered", lambda *_: TABLE)
    pairs = pairs_of(["ISTHMUS IN IMAGE", "I. It is 1.5 mm"], ["isthmus in image", "i. it is 1.5 MM"])
    wanted = Meteor(convention={"text": "raw-split@1"}).measure(pairs)
    assert wanted[0, 4] + wanted[0, 6] == 3
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=tr -Duser.country=TR")
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    np.testing.assert_array_equal(Meteor(convention={"text": "raw-split@1"}).measure(pairs), wanted)


@needs_java
@pytest.mark.slow
def test_what_is_cut_from_the_table_matches_nothing(monkeypatch):
    with gzip.open(bundled(paraphrases.TABLE), "rb") as source:
        table = b"".join(islice(source, 150_000))
    entries = table.decode().split("\n")
    known, said = ([" ".join(entries[side + 3 * i] for i in range(n, n + 40_000, 5_000)) for n in range(0, 9_000, 60)] for side in (1, 2))
    texts = Texts(tuple(said), tuple((text,) for text in known))
    monkeypatch.setattr(paraphrases, "filtered", lambda *_: table)
    whole = meteor.statistics(texts)
    assert (whole[:, 16:20].sum(axis=1) > 0).mean() > 0.5
    index = paraphrases.build(table.splitlines(keepends=True))
    monkeypatch.setattr(paraphrases, "filtered", lambda words, _: paraphrases.select(index, words))
    assert len(paraphrases.filtered(paraphrases.vocabulary([*said, *known]), 0)) < 0.75 * len(table)
    np.testing.assert_array_equal(meteor.statistics(texts), whole)


def test_large_runs_are_cut_into_parts_that_hold_everything(monkeypatch):
    monkeypatch.setattr(paraphrases, "filtered", lambda *_: b"")
    monkeypatch.setattr(meteor, "SMALLEST_PART", 2)
    monkeypatch.setattr(meteor, "_cores", lambda: 3)
    seen = []

    def run(samples, options):
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
    path = folder / "table.gz"
    path.write_bytes(gzip.compress(TABLE))
    return path
