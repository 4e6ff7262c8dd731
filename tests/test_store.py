"""The outputs on disk: what was appended is there, what was damaged is not, a failure never stands over an answer."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.identity import digest
from medbench.store import Outputs, Store
from medbench.types import Failed, Generate, HeatMap, Picture, Probabilities, Text, Vector

TRANSIENT, MODEL = Failed(kind="transient", error="later"), Failed(kind="model", error="broken")
PNG = b"\x89PNG\r\n\x1a\nbytes"


def key(name):
    return digest(str(name))


def filled(folder, *outputs):
    """Write outputs under the keys 0, 1 … and return the one segment."""
    with Store(folder) as store:
        for number, output in enumerate(outputs):
            store.append(key(number), output)
    return max(folder.glob("*.jsonl"))


def reopened(folder, **options):
    notes = []
    return Store(folder, note=notes.append, **options), notes


def texts(store, count):
    return [store.get(key(number)).text if key(number) in store else None for number in range(count)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outputs"


@pytest.mark.parametrize(
    "output",
    [
        Text(text=""),
        Text(text='two\nlines, "quotes", ☃\u2028', finish_reason="length", usage={"in": 3}, option_logprobs={"a": -0.5}, covered=0.25),
        Probabilities(labels=("a", "b"), values=(0.1, 1.0)),
        HeatMap(rows=1, columns=2, grid=(0.5, 1.0), box=(0.0, 0.0, 3.0, 4.0)),
        TRANSIENT,
    ],
)
def test_an_output_comes_back_as_it_was(folder, output):
    with Store(folder) as store:
        store.append(key(0), output)
        assert store.get(key(0)) == output
    assert reopened(folder)[0].get(key(0)) == output


def test_the_folder_is_private_and_unknown_keys_are_unknown(folder):
    store = Store(folder)
    assert folder.stat().st_mode & 0o077 == 0
    assert len(store) == 0
    with pytest.raises(KeyError):
        store.get(key("none"))


class TestDamage:
    def test_a_torn_last_line_is_left_out_and_said(self, folder):
        segment = filled(folder, Text(text="a"), Text(text="b"), Text(text="c"))
        segment.write_bytes(segment.read_bytes()[:-4])
        store, notes = reopened(folder)
        assert texts(store, 3) == ["a", "b", None]
        assert len(notes) == 1
        assert "torn" in notes[0]
        assert segment.name in notes[0]

    def test_what_is_appended_after_a_torn_line_is_whole(self, folder):
        segment = filled(folder, Text(text="a"), Text(text="b"))
        segment.write_bytes(segment.read_bytes()[:-4])
        with Store(folder) as store:
            store.append(key(1), Text(text="again"))
        assert texts(reopened(folder)[0], 2) == ["a", "again"]

    def test_a_flipped_bit_anywhere_leaves_out_its_line_alone(self, folder):
        segment = filled(folder, Text(text="a"), Text(text="b"), Text(text="c"))
        whole = segment.read_bytes()
        start = whole.index(b"\n") + 1
        end = whole.index(b"\n", start)
        for place in range(start, end):
            broken = bytearray(whole)
            broken[place] ^= 1
            segment.write_bytes(broken)
            store, notes = reopened(folder)
            assert texts(store, 3) == ["a", None, "c"], (place, bytes(broken[start:end]))
            assert len(notes) == 1, place
            assert "damaged" in notes[0]

    def test_a_lost_newline_costs_the_two_lines_beside_it(self, folder):
        segment = filled(folder, Text(text="a"), Text(text="b"), Text(text="c"))
        segment.write_bytes(segment.read_bytes().replace(b"\n", b" ", 1))
        assert texts(reopened(folder)[0], 3) == [None, None, "c"]

    def test_lines_of_others_are_left_out(self, folder):
        segment = filled(folder, Text(text="a"))
        segment.write_bytes(b"\n{}\nnull\n" + segment.read_bytes() + b"\xff\xfe\n")
        assert texts(reopened(folder)[0], 1) == ["a"]


class TestFailures:
    def test_a_failure_never_stands_over_an_answer(self, folder):
        filled(folder, Text(text="a"))
        filled(folder, MODEL)
        assert texts(reopened(folder)[0], 1) == ["a"]

    def test_an_answer_stands_over_a_failure_and_a_later_failure_over_an_earlier(self, folder):
        filled(folder, TRANSIENT, TRANSIENT)
        filled(folder, MODEL, Text(text="b"))
        store, _ = reopened(folder)
        assert store.failed(key(0)) == "model"
        assert store.failed(key(1)) == ""
        assert store.get(key(1)) == Text(text="b")

    def test_what_is_missing(self, folder):
        filled(folder, Text(text="a"), TRANSIENT, MODEL, Failed(kind="input", error="torn"))
        store, _ = reopened(folder)
        keys = [key(number) for number in range(5)]
        assert store.missing(keys) == [key(1), key(4)]
        assert store.missing(keys, retry_failed=True) == [key(1), key(2), key(3), key(4)]

    def test_a_text_that_looks_like_a_failure_is_none(self, folder):
        filled(folder, Text(text='{"type":"failed"'))
        assert reopened(folder)[0].failed(key(0)) == ""

    def test_fresh_sees_nothing_old_and_leaves_it_there(self, folder):
        filled(folder, Text(text="old"), Text(text="kept"))
        with reopened(folder, fresh=True)[0] as store:
            store.refresh()
            assert store.missing([key(0), key(1)]) == [key(0), key(1)]
            store.append(key(0), Text(text="new"))
        assert texts(reopened(folder)[0], 2) == ["new", "kept"]


class TestVectors:
    def test_they_come_back_as_views_of_a_mapped_file(self, folder):
        rows = np.random.default_rng(0).normal(size=(50, 7)).astype("<f4")
        segment = filled(folder, *(Vector(data=row.tobytes()) for row in rows))
        store, _ = reopened(folder)
        got = [store.get(key(number)) for number in range(50)]
        assert np.array_equal(np.stack([one.array() for one in got]), rows)
        assert all(isinstance(one.data, memoryview) for one in got)
        assert not got[0].array().flags.writeable
        assert segment.with_suffix(".f32").stat().st_size == rows.nbytes
        store.close()
        assert got[3].array()[2] == rows[3, 2]

    def test_they_can_be_read_while_more_are_written(self, folder):
        with Store(folder) as store:
            for number in range(20):
                store.append(key(number), Vector(data=np.full(3, number, "<f4").tobytes()))
                assert store.get(key(number)).array().tolist() == [number] * 3
            assert store.get(key(0)).array().tolist() == [0.0] * 3

    def test_a_torn_or_lost_segment_leaves_out_its_vectors(self, folder):
        segment = filled(folder, *(Vector(data=np.full(4, n, "<f4").tobytes()) for n in range(3)), Text(text="d"))
        vectors = segment.with_suffix(".f32")
        vectors.write_bytes(vectors.read_bytes()[:-3])
        store, notes = reopened(folder)
        assert [key(n) in store for n in range(4)] == [True, True, False, True]
        assert "1 damaged line" in notes[0]
        vectors.unlink()
        assert [key(n) in reopened(folder)[0] for n in range(4)] == [False, False, False, True]

    def test_a_flipped_bit_of_a_vector_is_seen(self, folder):
        segment = filled(folder, *(Vector(data=np.full(4, n, "<f4").tobytes()) for n in range(3)))
        raw = bytearray(segment.with_suffix(".f32").read_bytes())
        raw[20] ^= 4
        segment.with_suffix(".f32").write_bytes(raw)
        assert [key(n) in reopened(folder)[0] for n in range(3)] == [True, False, True]

    def test_one_without_a_number_is_no_crash(self, folder):
        filled(folder, Vector(data=b""))
        assert reopened(folder)[0].get(key(0)).array().shape == (0,)


def test_pictures_are_files_wherever_the_folder_lies(folder, tmp_path):
    filled(folder, Picture(data=PNG, width=3, height=2), Picture(data=b"\xff\xd8\xff..."))
    folder.rename(tmp_path / "moved")
    store, _ = reopened(tmp_path / "moved")
    first, second = store.get(key(0)), store.get(key(1))
    assert (first.path, first.width, first.height) == (str(tmp_path / "moved" / "pictures" / f"{key(0)}.png"), 3, 2)
    assert (tmp_path / "moved" / "pictures" / f"{key(0)}.png").read_bytes() == PNG
    assert second.path.endswith(".jpg")


def test_facts_are_kept(folder):
    store = Store(folder)
    assert store.read_facts() == {}
    store.write_facts({"b": 1, "a": [1, 2]})
    assert Store(folder).read_facts() == {"a": [1, 2], "b": 1}


def test_outputs_are_looked_up_by_request(folder):
    from medbench.identity import request_key

    asked, faulty, open_ = Generate(prompt="a"), Generate(prompt="b"), Generate(prompt="c")
    with Store(folder) as store:
        store.append(request_key("m", asked), Text(text="A"))
        outputs = Outputs(store, "m", {request_key("m", faulty): MODEL}, {"f": 1})
        assert outputs[asked] == Text(text="A")
        assert outputs[faulty] == MODEL
        assert outputs[open_] == Failed(kind="transient", error="not answered")
        assert outputs.facts == {"f": 1}
