"""Ratings as people's spreadsheets hold them: read strictly, every mistake named by its line."""

from __future__ import annotations

import pytest

from medbench.agreement.ratings import Rating, read_ratings, write_ratings
from medbench.agreement.scales import LIKERT, parse_scale
from medbench.errors import DataError, UsageError

SCALE = parse_scale("0-4")


def read(tmp_path, content, scale=SCALE):
    path = tmp_path / "r.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(one.sample, one.rater, one.rating, one.run) for one in read_ratings(path, scale)]


@pytest.mark.parametrize(
    "content",
    [
        "sample,rater,rating\na,ann,3\nb,ann,0\n",
        "\ufeffsample id;rater;rating\na;ann;3\nb;ann;0\n",
        "Rating\tRater\tID\n3\tann\ta\n0\tann\tb\n",
        'id,reader,score,remark\na,ann,"3,0","x, y"\nb, ann ,0,\n',
        "sample,rater,rating\r\na,ann,3\r\na,ann,3.0\r\nb,ann,0\r\nc,ann,\r\n",
    ],
)
def test_spreadsheets_of_all_kinds_are_read(tmp_path, content):
    assert read(tmp_path, content) == [("a", "ann", 3.0, ""), ("b", "ann", 0.0, "")]


def test_the_run_may_be_named(tmp_path):
    assert read(tmp_path, "sample,rater,rating,system\na,ann,3,x/y\na,ann,1,z\n") == [("a", "ann", 3.0, "x/y"), ("a", "ann", 1.0, "z")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column sample"),
        ("sample,rating\na,3\n", "no column rater"),
        ("sample,rater,rating\n", "no column sample"),
        ("sample,rater,rating\na,ann,\n", "no rating in it"),
        ("sample,rater,rating\na,ann,5\n", ":2: '5' is no grade of the scale 0-4"),
        ("sample,rater,rating\na,ann,2.5\n", ":2: '2.5' is no grade"),
        ("sample,rater,rating\na,ann,good\n", ":2: 'good' is no grade"),
        ("sample,rater,rating\na,ann,nan\n", ":2: 'nan' is no grade"),
        ("sample,rater,rating\na,,1\n", ":2: rater is empty"),
        ("sample,rater,rating\n,ann,1\n", ":2: sample is empty"),
        ("sample,rater,rating\na,ann,1\na,ann,2\n", ":3: ann gave a 2, and 1 in line 2"),
        (b"sample,rater,rating\na,ann,\xff\n", "can't decode"),
    ],
)
def test_a_mistake_is_told_by_its_line(tmp_path, content, said):
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert "r.csv" in caught.value.message
    assert said in caught.value.message


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        read_ratings(tmp_path / "nowhere.csv", SCALE)


def test_what_is_written_is_read_back_in_one_order(tmp_path):
    given = [Rating(sample=s, rater=r, rating=1.0, run="x") for s in "ba" for r in ("ben", "ann")]
    content = write_ratings(given)
    assert content == write_ratings(given[::-1])
    assert read(tmp_path, content) == [(s, r, 1.0, "x") for s in "ab" for r in ("ann", "ben")]


@pytest.mark.parametrize(("text", "grades"), [("0-4", range(5)), ("1-5", range(1, 6)), ("0:1", range(2)), ("-2..2", range(-2, 3))])
def test_scales(text, grades):
    scale = parse_scale(text)
    assert scale.grades == tuple(grades)
    if len(scale.grades) == 5:
        assert scale.levels[scale.high] == LIKERT[4]


@pytest.mark.parametrize("text", ["", "5", "4-0", "1-1", "0-50", "a-b", "0-4-5"])
def test_what_is_no_scale(text):
    with pytest.raises(UsageError, match="not of the form low-high"):
        parse_scale(text)
