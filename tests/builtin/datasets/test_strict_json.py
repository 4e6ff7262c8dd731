from __future__ import annotations

import pytest

from medbench.builtin.datasets.strict import inner_path, read_json, required_field, rows_of, text_field
from medbench.errors import DataError


def refusal(path, raw):
    path.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        read_json(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'[\n {"a": 1},\n {"a"', "line 3, column 6"),
        (b"", "line 1, column 1"),
        (b'["ok",\n "caf\xe9"]', "not UTF-8 at line 2, column 6 (byte 0xe9)"),
        (b'{"x": "NaN", "y":\n NaN}', "bare NaN at line 2, column 2"),
        (b"[-Infinity]", "bare -Infinity at line 1, column 2"),
        (b'{"test": [], "test": [1]}', "the key 'test' is there twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"qid": ' + b"1" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_unreadable_json_is_refused_with_its_place(tmp_path, raw, said):
    assert said in refusal(tmp_path / "x.json", raw)


def test_a_file_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    (tmp_path / "x.json").write_bytes(b"[" + b" " * 100 + b"]")
    assert read_json(tmp_path / "x.json") == []
    monkeypatch.setattr("medbench.builtin.datasets.strict.MAX_BYTES", 50)
    with pytest.raises(DataError, match=r"x\.json: more than 50 bytes"):
        read_json(tmp_path / "x.json")


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_json(tmp_path / "none.json")


def test_a_byte_order_mark_is_no_fault(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf["\xc3\xa9"]')
    assert read_json(tmp_path / "x.json") == ["é"]


def test_a_list_must_hold_objects(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(DataError, match=r"'test'\[1\] is a number"):
        rows_of(path, [{}, 3], "'test'")
    with pytest.raises(DataError, match="holds an object, expected a list"):
        rows_of(path, {})


def test_fields_become_stripped_text(tmp_path):
    row = {"a": " CLOSED ", "b": 7, "c": None, "d": "NULL", "e": 1.5, "f": ["x"], "g": True}
    texts = [text_field(tmp_path, row, name, "entry 0") for name in "abcdez"]
    assert texts == ["CLOSED", "7", "", "", "1.5", ""]
    for name in "fg":
        with pytest.raises(DataError, match=f"entry 0: {name} is"):
            text_field(tmp_path, row, name, "entry 0")
    with pytest.raises(DataError, match="entry 4: d is missing or empty"):
        required_field(tmp_path, row, "d", "entry 4")


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/etc/x.png", "C:\\x.png", "..\\x.png", "", "a\0.png", "\\\\host\\x.png"])
def test_paths_out_of_the_folder_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="leads out of the data folder") as caught:
        inner_path(tmp_path / "annotation.json", name, "'val'[3]")
    assert "'val'[3]" in caught.value.message


def test_inner_paths_get_forward_slashes(tmp_path):
    assert inner_path(tmp_path, "CXR1\\0.png", "") == "CXR1/0.png"
    assert inner_path(tmp_path, "./CXR1/0.png", "") == "CXR1/0.png"
