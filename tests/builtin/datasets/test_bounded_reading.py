from __future__ import annotations

import json
import struct
import zipfile

import pytest

from medbench.builtin.datasets import json_stream
from medbench.builtin.datasets.archives import open_archive, read_text
from medbench.builtin.datasets.json_stream import stream_objects
from medbench.errors import DataError


def file(tmp_path, content, name="x.json"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_lists_and_objects_of_lists_are_streamed(tmp_path):
    path = file(tmp_path, '\ufeff[\n {"a": 1},\n {"a": "]}\\" é"}\n]\n')
    assert list(stream_objects(path)) == [("", 2, {"a": 1}), ("", 3, {"a": ']}" é'})]
    path = file(tmp_path, '{"train": [],\n "test": [{"a": [1]}], "    ": [{"b": {}}]}')
    assert list(stream_objects(path)) == [("test", 2, {"a": [1]}), ("    ", 2, {"b": {}})]
    assert list(stream_objects(file(tmp_path, "{}"))) == []
    assert list(stream_objects(file(tmp_path, "[ ]"))) == []


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_it_does_not_matter_where_pieces_end(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    rows = [{"id": k, "text": 'ä € 𝄞 \\ " [ } ' * (k % 4), "n": -1.5e3} for k in range(12)]
    path = file(tmp_path, json.dumps({"train": rows, "test": rows[:2]}, ensure_ascii=False, indent=1))
    found = list(stream_objects(path))
    assert [row for _, _, row in found] == rows + rows[:2]
    assert [key for key, _, _ in found] == ["train"] * 12 + ["test"] * 2
    assert found[1][1] == 3 + 4 + 1


def test_a_bare_nan_is_refused_unless_it_is_expected(tmp_path):
    path = file(tmp_path, '[{"a": 1},\n{"a": NaN}]')
    with pytest.raises(DataError, match="line 2: bare NaN"):
        list(stream_objects(path))
    assert [row for _, _, row in stream_objects(path, nan=True)] == [{"a": 1}, {"a": None}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "expected .* found the end of the file"),
        ("3", "line 1: expected"),
        ('[{"a": 1},\n {"a": ', "line 2: "),
        ('[{"a": 1}\n', r"line 2: expected , or \], found the end"),
        ("[1]", "expected an object"),
        ('{"a": {}}', r"expected \[, found {"),
        ('[{"a": 1, "a": 2}]', "one key twice"),
        ('[{"a": 1}] x', "text after the end"),
        (b'[{"a": "\xff"}]', "not UTF-8"),
        ("[" + '{"a":' * 100_000, "nested too deeply|Expecting"),
    ],
)
def test_other_shapes_are_refused_with_the_line(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        list(stream_objects(file(tmp_path, content)))


def test_one_endless_value_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "MAX_OBJECT", 3 << 20)
    path = file(tmp_path, '[{"a": "' + "x" * (12 << 20))
    with pytest.raises(DataError, match="one value of more than 3,145,728 characters"):
        list(stream_objects(path))


def test_texts_are_utf8_and_bounded(tmp_path):
    assert read_text(file(tmp_path, "\ufeffFINDINGS é\n", "r.txt")) == "FINDINGS é\n"
    with pytest.raises(DataError, match=r"r.txt: not UTF-8 at line 2, column 4 \(byte 0xe9\)"):
        read_text(file(tmp_path, b"one\ntwo\xe9", "r.txt"))
    with pytest.raises(DataError, match="more than 4 bytes"):
        read_text(file(tmp_path, "12345", "r.txt"), 4)
    with pytest.raises(DataError, match="cannot be read"):
        read_text(tmp_path)


def test_members_of_a_zip_are_read_within_bounds(tmp_path):
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.txt", "text")
        made.writestr("bomb.txt", b"0" * (8 << 20))
        made.writestr("bad.txt", b"\xff")
    with open_archive(path) as archive:
        assert archive.names == {"a.txt", "bomb.txt", "bad.txt"}
        assert archive.read_text("a.txt") == "text"
        with pytest.raises(DataError, match="unpacks to more than 1,048,576 bytes"):
            archive.read_text("bomb.txt")
        with pytest.raises(DataError, match=r"z\.zip/bad\.txt: not UTF-8 at line 1"):
            archive.read_text("bad.txt")
        with pytest.raises(DataError, match=r"holds no b\.txt"):
            archive.read_text("b.txt")


def test_damaged_zips_are_refused(tmp_path):
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a.txt", "some text of a report")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"some")] ^= 1
    path.write_bytes(bytes(raw))
    with open_archive(path) as archive, pytest.raises(DataError, match="cannot be unpacked"):
        archive.read_text("a.txt")
    path.write_bytes(bytes(raw)[:-30] + struct.pack("<I", 0))
    with pytest.raises(DataError, match="cannot be read as a zip"), open_archive(path):
        pass
