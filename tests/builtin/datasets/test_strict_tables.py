from __future__ import annotations

import csv
import gzip
import io

import pytest

from medbench.builtin.datasets import tables
from medbench.builtin.datasets.tables import find_table, header_of, label_value, number, read_table, split_value
from medbench.errors import DataError


def table(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_columns_come_by_name_and_lines_count_quoted_breaks(tmp_path, name):
    path = table(tmp_path, '\ufeffb,a,c\n1,"x\ny, z",3\n\n4,5,ß\n', name)
    assert list(read_table(path, ("a", "c"))) == [(3, ("x\ny, z", "3")), (5, ("5", "ß"))]
    assert list(read_table(path, ("c",), optional=("d",))) == [(3, ("3", "")), (5, ("ß", ""))]
    assert [values for _, values in read_table(path, ("a",))] == [("x\ny, z",), ("5",)]
    assert header_of(path) == ["b", "a", "c"]


def test_delimiters_and_ragged_rows(tmp_path):
    assert list(read_table(table(tmp_path, "p;q\n1;2\n"), ("q",), delimiter=";")) == [(2, ("2",))]
    path = table(tmp_path, "n,x,,\na,1\nb,2,,,,\n")
    assert list(read_table(path, ("n", "x"), ragged=True)) == [(2, ("a", "1")), (3, ("b", "2"))]
    with pytest.raises(DataError, match="line 2: 1 fields"):
        list(read_table(table(tmp_path, "n,x\na\n"), ("n", "x"), ragged=True))


def test_long_tables_are_read_in_pieces(tmp_path):
    path = table(tmp_path, "a,b\n" + "".join(f"{k},é\n" for k in range(60_000)), "long.csv.gz")
    rows = list(read_table(path, ("a", "b")))
    assert rows[-1] == (60_001, ("59999", "é"))
    assert [int(values[0]) for _, values in rows] == list(range(60_000))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("a,b\n", None),
        ("b,c\n1,2\n", "line 1: no column 'a'; there are b, c"),
        ("a,a\n1,2\n", "line 1: the column 'a' is there twice"),
        ("a,b\n1,2\n3", "line 3: 1 fields, the header has 2"),
        ('a,b\n1,"2\n', "line 2: .*end of data"),
        ("a,b\n1,2\n3,4,5\n", "line 3: 3 fields"),
        (b"a,b\n1,2\n3,\xff\n", r"line 3: not UTF-8 at byte 3 \(0xff\)"),
    ],
)
def test_broken_tables_are_refused_with_the_line(tmp_path, content, said):
    path = table(tmp_path, content)
    if said is None:
        assert list(read_table(path, ("a",))) == []
        return
    with pytest.raises(DataError, match=said) as caught:
        list(read_table(path, ("a",)))
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("block", [1, 7, 40, 1 << 18])
@pytest.mark.parametrize("odd", ["", '"q, r"', '"two\nlines"', '""""', "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_rows_and_their_lines_do_not_depend_on_where_the_quotes_begin(tmp_path, monkeypatch, block, odd):
    monkeypatch.setattr(tables, "_BLOCK", block)
    lines = ["a,b,c", *(f"{k},{k * k},x" for k in range(30)), "", f"30,{odd},y", "31,,z", ""]
    path = table(tmp_path, "\n".join(lines))
    parsed = csv.reader(io.StringIO("\n".join(lines), newline=""))
    expected = [(parsed.line_num, (row[2], row[1])) for row in parsed if row]
    assert list(read_table(path, ("c", "b"))) == expected[1:]
    path.write_text("\n".join([*lines[:-1], "32,1\n"]), encoding="utf-8")
    with pytest.raises(DataError, match=f"line {expected[-1][0] + 1}: 2 fields, the header has 3"):
        list(read_table(path, ("c", "b")))


def test_wrong_and_truncated_gzips_are_refused(tmp_path):
    wrong = tmp_path / "w.csv.gz"
    wrong.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="line 1: broken gzip"):
        list(read_table(wrong, ("a",)))
    short = table(tmp_path, "a,b\n" + "".join(f"{k},{k * k}\n" for k in range(30_000)), "s.csv.gz")
    short.write_bytes(short.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"line \d+: broken gzip"):
        list(read_table(short, ("a",)))


def test_bombs_are_stopped_before_they_fill_the_memory(tmp_path, monkeypatch):
    one_line = table(tmp_path, b"a,b\n" + b"0" * (8 << 20), "line.csv.gz")
    with pytest.raises(DataError, match="line 2: longer than 1,048,576 bytes"):
        list(read_table(one_line, ("a",)))
    monkeypatch.setattr(tables, "MAX_BYTES", 1 << 20)
    many = table(tmp_path, b"a,b\n" + b"1,2\n" * (1 << 19), "lines.csv.gz")
    with pytest.raises(DataError, match=r"line \d+: more than 1,048,576 bytes so far"):
        for _ in read_table(many, ("a",)):
            pass


def test_missing_files_and_symlink_loops_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        list(read_table(tmp_path / "none.csv", ("a",)))
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    assert find_table(tmp_path, "loop.csv") is None
    with pytest.raises(DataError, match="cannot be read"):
        list(read_table(tmp_path / "loop.csv", ("a",)))


def test_plain_tables_are_found_before_gzipped_ones(tmp_path):
    assert find_table(tmp_path, "t.csv") is None
    table(tmp_path, "a\n", "t.csv.gz")
    assert find_table(tmp_path, "s.csv", "t.csv").name == "t.csv.gz"
    table(tmp_path, "a\n", "t.csv")
    assert find_table(tmp_path, "t.csv").name == "t.csv"


def test_fields_are_converted_or_refused(tmp_path):
    path = tmp_path / "t.csv"
    assert [label_value(path, 2, "Edema", text) for text in ("1.0", "0", "-1.0", "", "-1")] == [1.0, 0.0, -1.0, None, -1.0]
    assert number(path, 2, "x", "1e2") == 100
    assert [split_value(path, 2, text) for text in ("Validate", "training", " dev", "test")] == ["val", "train", "val", "test"]
    for convert, text, said in (
        (lambda t: label_value(path, 7, "Edema", t), "2.0", "line 7: Edema is '2.0'"),
        (lambda t: label_value(path, 7, "Edema", t), "nan", "Edema is 'nan'"),
        (lambda t: number(path, 7, "x", t), "nan", "x is 'nan', expected a number"),
        (lambda t: number(path, 7, "x", t), "inf", "expected a number"),
        (lambda t: number(path, 7, "x", t), "wide", "expected a number"),
        (lambda t: split_value(path, 7, t), "holdout", "unknown split 'holdout'"),
    ):
        with pytest.raises(DataError, match=said):
            convert(text)
