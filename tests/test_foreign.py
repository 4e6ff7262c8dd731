"""Predictions files of others: every form is read, and every fault is met with its line."""

from __future__ import annotations

import json

import pytest

from medbench.errors import DataError, UsageError
from medbench.foreign import read_rows
from medbench.types import Failed, Probabilities, Text


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def lines(*records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def simple(rows):
    return [(row.line, row.id, row.value.text) for row in rows]


WANTED = [(1, "a", "yes"), (2, "b", "two\nlines")]
FORMS = {
    "own.jsonl": lines({"id": "a", "prediction": "yes"}, {"id": "b", "prediction": "two\nlines"}),
    "llava.jsonl": lines({"question_id": "a", "text": "yes", "prompt": "p"}, {"question_id": "b", "text": "two\nlines"}),
    "coco.json": json.dumps([{"image_id": "a", "caption": "yes"}, {"image_id": "b", "caption": "two\nlines"}], indent=2),
    "list.jsonl": json.dumps([{"id": "a", "prediction": "yes"}, {"id": "b", "prediction": "two\nlines"}]),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_rows(written, name):
    assert simple(read_rows(written(name, FORMS[name]))) == WANTED


@pytest.mark.parametrize(("name", "sign"), [("x.csv", ","), ("x.tsv", "\t"), ("X.CSV", ",")])
def test_tables_count_lines_of_the_file(written, name, sign):
    rows = read_rows(written(name, f'id{sign}prediction\na{sign}yes\nb{sign}"two\nlines"\n'))
    assert simple(rows) == [(2, "a", "yes"), (4, "b", "two\nlines")]


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.json"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(written, name):
    body = {
        "x.jsonl": lines({"id": "a", "prediction": "yes"}),
        "x.csv": "id,prediction\na,yes\n",
        "x.json": '[{"id": "a", "prediction": "yes"}]',
    }
    assert read_rows(written(name, b"\xef\xbb\xbf" + body[name].encode()))[0].id == "a"


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_newlines_end_a_line(written, odd):
    text = f"before{odd}after"
    written_ = json.dumps({"id": "a", "prediction": text}, ensure_ascii=odd in "\x0b\x0c\x1c")
    (row,) = read_rows(written("x.jsonl", written_ + "\n"))
    assert row.value == Text(text=text)


def test_windows_line_ends_and_empty_lines_are_fine(written):
    rows = read_rows(written("x.jsonl", '{"id":"a","prediction":"yes"}\r\n\r\n{"id":"b","prediction":"no"}\r\n'))
    assert [(row.line, row.id) for row in rows] == [(1, "a"), (3, "b")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl", lines({"id": "a", "prediction": "x"}) + '{"id": "b", "predic', r"x\.jsonl:2: not a JSON object \(Unterminated"),
        ("x.jsonl", lines({"id": "a", "prediction": "x"}) + "[1]\n", r"x\.jsonl:2: not a JSON object"),
        ("x.jsonl", lines({"id": "a", "prediction": "x"}, {"prediction": "x"}), r"x\.jsonl:2: no id"),
        ("x.jsonl", lines({"id": "a", "prediction": "x"}, {"id": None, "prediction": "x"}), r"x\.jsonl:2: no id"),
        ("x.csv", "id,prediction\na,x\n,y\n", r"x\.csv:3: no id"),
        ("x.jsonl", lines({"id": "a", "prediction": ["x"]}), r"x\.jsonl:1: prediction is not text"),
        ("x.jsonl", "", "no predictions in it"),
        ("x.csv", "id,prediction\n", "no predictions in it"),
        ("x.jsonl", lines({"name": "a", "prediction": "x"}), r"no column with ids \(it has name, prediction\)"),
        ("x.jsonl", lines({"id": "a", "answr": "x"}), r"no column with predictions \(it has id, answr\)"),
        ("x.json", '[{"id": "a",\n "prediction": }]', r"x\.json:2: not valid JSON"),
        ("x.json", '[{"id": "a", "prediction": "x"}, 3]', "entry 2 is not an object"),
        ("x.csv", "id,prediction\na,x\nb,y,z\n", r"x\.csv:3: not as many cells"),
        ("x.csv", "id,prediction\na,x\nb\n", r"x\.csv:3: not as many cells"),
        ("x.csv", 'id,prediction\na,"x', r"x\.csv:2: "),
        ("x.jsonl", b'{"id": "a", "prediction": "\xff"}\n', r"not UTF-8 \(byte 27\)"),
        ("x.jsonl", lines({"id": "a", "prob:E": 1.5}), r"x\.jsonl:1: prob:E is 1\.5, not a probability"),
        ("x.jsonl", lines({"id": "a", "prob:E": 0.5}, {"id": "b"}), r"x\.jsonl:2: prob:E is None, not a probability"),
        ("x.csv", "id,prob:E\na,high\n", r"x\.csv:2: prob:E is 'high'"),
        ("x.csv", "id,prob:E\na,nan\n", r"x\.csv:2: prob:E is 'nan'"),
    ],
)
def test_every_fault_is_met_with_its_place(written, name, content, said):
    with pytest.raises(DataError, match=said) as caught:
        read_rows(written(name, content))
    assert caught.value.hint


def test_a_file_that_is_not_there_is_a_message(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_rows(tmp_path / "gone.jsonl")


def test_no_prediction_is_a_failure_and_an_empty_one_is_an_answer(written):
    rows = read_rows(written("x.jsonl", lines({"id": "a", "prediction": None}, {"id": "b", "prediction": ""}, {"id": 7, "prediction": 3})))
    assert rows[0].value == Failed(kind="model", error="x.jsonl:1: no prediction")
    (absent,) = read_rows(written("x.jsonl", '{"id": "a", "prediction": NaN}\n'))
    assert absent.value == rows[0].value, "a table's way to write None"
    assert (rows[1].value, rows[2].id, rows[2].value) == (Text(text=""), "7", Text(text="3"))


class TestColumns:
    def test_names_of_others_are_mapped(self, written):
        path = written("x.csv", "image,p_edema,p_mass,asked,run\na.png,0.25,1,Where?,2\n")
        columns = {"id": "image", "prob:Edema": "p_edema", "prob:Mass": "p_mass", "question": "asked", "condition.seed": "run"}
        (row,) = read_rows(path, columns=columns)
        assert (row.id, row.question, row.condition) == ("a.png", "Where?", {"seed": 2})
        assert row.value == Probabilities(labels=("Edema", "Mass"), values=(0.25, 1.0))

    def test_probabilities_are_recognised_by_their_prefix(self, written):
        (row,) = read_rows(written("x.csv", "id,prob:A,prob:B\na,0,0.5\n"))
        assert row.value == Probabilities(labels=("A", "B"), values=(0.0, 0.5))

    def test_an_alias_is_a_column_of_that_name(self, written):
        path = written("x.jsonl", lines({"id": "ours", "qid": 12, "prediction": "x"}))
        assert read_rows(path, id_column="qid")[0].id == "12"
        assert read_rows(path)[0].id == "ours"

    def test_a_column_that_is_not_there_is_met_with_the_nearest(self, written):
        with pytest.raises(DataError, match="no column imgae") as caught:
            read_rows(written("x.csv", "image,prediction\na,x\n"), columns={"id": "imgae"})
        assert caught.value.hint == "did you mean image?"

    def test_a_name_that_is_none_of_ours_is_refused(self, written):
        with pytest.raises(UsageError, match="--columns idd=image: no column of ours"):
            read_rows(written("x.csv", "image,prediction\na,x\n"), columns={"idd": "image"})

    @pytest.mark.parametrize("name", ["question", "prompt", "query"])
    def test_question_text_is_found_by_its_usual_names(self, written, name):
        assert read_rows(written("x.jsonl", lines({"id": "a", "prediction": "x", name: "Where?"})))[0].question == "Where?"

    def test_conditions_are_numbers_where_they_spell_one(self, written):
        record = {
            "id": "a",
            "prediction": "x",
            "condition.seed": 3,
            "condition.rate": 1.5,
            "condition.images": "blank",
            "condition.none": None,
        }
        record |= {"condition.text": "07b", "condition.on": True}
        (row,) = read_rows(written("x.jsonl", lines(record)))
        assert row.condition == {"seed": 3, "rate": 1.5, "images": "blank", "text": "07b", "on": "True"}
        assert [type(value) for value in row.condition.values()] == [int, float, str, str, str]
        (row,) = read_rows(written("x.csv", "id,prediction,condition.seed,condition.rate,condition.e\na,x,3,0.5,\n"))
        assert row.condition == {"seed": 3, "rate": 0.5}
