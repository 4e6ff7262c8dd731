"""Tables of a board: order, ties, missing cells, reported numbers, and text that stays text in every format."""

from __future__ import annotations

import csv
import io
import json

import msgspec
import numpy as np
import pytest

from medbench.errors import FoundError
from medbench.leaderboard.board import Board, BoardTask, Column, Reference
from medbench.leaderboard.building import build, check
from medbench.leaderboard.entries import Cell, Entry, Result, Source, pack_replicates, sealed, write_entry
from medbench.leaderboard.standings import standings
from medbench.leaderboard.views import heading, render
from medbench.record import DataFacts, ModelFacts, Score

NOISE = np.random.default_rng(0).normal(0, 0.001, (9, 10_000))
TASKS = (BoardTask(name="t", protocol="vqa", conventions={"vqa": "exact@1"}), BoardTask(name="u", protocol="vqa"))
COLUMNS = (Column(label="a", score="m/a", task="t"), Column(label="b", score="m/b", task="u"))
MEAN = Column(label="mean", mean_of=("t:m/a", "u:m/b"))


def _entry(name, values, *, system=None, higher=True, **more):
    """Return an entry with a score for each of `t` and `u` that is given a value."""
    results = []
    for (task, score), value in values.items():
        if value is None:
            cells = (Cell(score=Score(metric="m", name=score, value=None, n=5, note="undefined: no sample")),)
        else:
            replicates = value + NOISE[sum(map(ord, name)) % 9]
            made = Score(metric="m", name=score, value=value, low=value - 0.01, high=value + 0.01, higher_is_better=higher, n=10, **more)
            cells = (Cell(score=made, replicates=pack_replicates(replicates)),)
        data = DataFacts(dataset="d", split="test", manifest="ab" * 16, n=10)
        results.append(Result(task=task, protocol="vqa", fingerprint="f", data=data, cells=cells, n_predictions=10))
    model = ModelFacts(name=name, identity=f"{name}-1")
    return sealed(
        Entry(id=name, board="b", system=system or name, model=model, source=Source(weights="code alone"), results=tuple(results))
    )


def _board(**more):
    return Board(**{"title": "A board", "tasks": TASKS, "columns": COLUMNS, "primary": "t:m/a", "name": "b", **more})


def _both(a, b):
    return {("t", "a"): a, ("u", "b"): b}


def _rows(board, *entries):
    return [row.system for row in standings(board, entries).rows]


def test_the_primary_score_orders_then_the_tie_rule_then_the_name():
    entries = [_entry("x", _both(0.5, 0.1)), _entry("y", _both(0.5, 0.9)), _entry("w", _both(0.5, 0.1)), _entry("z", _both(0.9, 0.1))]
    assert _rows(_board(), *entries) == ["z", "w", "x", "y"]
    assert _rows(_board(tie=("u:m/b",)), *entries) == ["z", "y", "w", "x"]


def test_where_less_is_better_the_order_turns_and_the_heading_says_so():
    table = standings(_board(), [_entry("x", _both(5.0, 1.0), higher=False), _entry("y", _both(2.0, 1.0), higher=False)])
    assert [row.system for row in table.rows] == ["y", "x"]
    assert heading(table, "t:m/a") == "t: a ↓"
    assert [(row.rank.first, row.rank.last) for row in table.rows] == [(1, 1), (2, 2)]


def test_a_missing_cell_is_never_averaged_over():
    board = _board(columns=(*COLUMNS, MEAN), primary="mean:mean")
    whole = _entry("x", _both(0.4, 0.6))
    lacking, undefined = _entry("y", {("t", "a"): 0.9}), _entry("z", _both(0.9, None))
    table = standings(board, [lacking, whole, undefined])
    assert [(row.system, row.cells.get("mean:mean") and row.cells["mean:mean"].value) for row in table.rows] == [
        ("x", 0.5),
        ("y", None),
        ("z", None),
    ]
    assert [row.rank and (row.rank.first, row.rank.last) for row in table.rows] == [(1, 1), None, None]
    assert "not computed" in render(table)["table.md"].decode()


def test_the_interval_of_a_mean_comes_from_the_means_of_replicates():
    table = standings(_board(columns=(*COLUMNS, MEAN), primary="mean:mean"), [_entry("x", _both(0.4, 0.6))])
    score = table.rows[0].cells["mean:mean"]
    low, high = np.quantile(0.5 + NOISE[ord("x") % 9], [0.025, 0.975])
    assert (score.low, score.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


def _reference(**more):
    given = {"system": "Other", "metric": "accuracy", "value": 0.7, "source": "a paper", "verified": "yes", "column": "t:m/a", **more}
    return Reference(**given)


def test_reported_numbers_stand_apart_unless_protocol_and_convention_agree():
    agreeing = _reference(protocol="vqa", conventions={"vqa": "exact@1"})
    for other in (_reference(), _reference(protocol="vqa"), _reference(protocol="report", conventions={"vqa": "exact@1"})):
        table = standings(_board(reported=(other,)), [_entry("x", _both(0.5, 0.5))])
        assert [row.system for row in table.rows] == ["x"]
        assert table.apart == (other,)
    table = standings(_board(reported=(agreeing,)), [_entry("x", _both(0.5, 0.5)), _entry("y", _both(0.9, 0.5))])
    assert [(row.system, row.rank is None) for row in table.rows] == [("y", False), ("Other", True), ("x", False)]
    assert "reported, not reproduced here" in table.rows[1].marks
    assert table.apart == ()


def test_every_format_says_the_same_and_the_verified_state_is_in_words():
    table = standings(_board(reported=(_reference(verified="secondary"),)), [_entry("x", _both(0.5, 0.25))])
    files = {name: content.decode() for name, content in render(table).items()}
    assert "| 1 | x | 50.0 [49.0, 51.0] | 25.0 [24.0, 26.0] | 10/10 |" in files["table.md"]
    assert "| Other | accuracy | 70.0 |  | a paper | read elsewhere |" in files["table.md"]
    assert "1 & x & 50.0 [49.0, 51.0] & 25.0 [24.0, 26.0] \\\\" in files["table.tex"]
    (row,) = csv.DictReader(io.StringIO(files["table.csv"]))
    assert (row["t: a"], row["t: a low"], row["t: a n"], row["rank first"]) == ("0.5", "0.49", "10", "1")
    data = json.loads(files["table.json"])
    assert data["rows"][0]["scores"]["t:m/a"]["value"] == 0.5
    assert data["rows"][0]["rank"] == [1, 1]
    assert data["reported"][0]["verified"] == "secondary"


HOSTILE = "<script>alert(1)</script> a|b [x](javascript:alert(1)) _c_ \\input{x} $1 & =cmd()\nnew"


def test_names_stay_text_in_every_format():
    files = {name: c.decode() for name, c in render(standings(_board(), [_entry("x", _both(0.5, 0.5), system=HOSTILE)])).items()}
    line = next(line for line in files["table.md"].splitlines() if "alert" in line)
    assert "<script>" not in line
    assert "](" not in line
    assert line.replace("\\|", "").count("|") == 8
    assert "\\_c\\_" in line
    assert "\\textbackslash{}input\\{x\\} \\$1 \\& =cmd() new" in files["table.tex"]
    assert next(csv.DictReader(io.StringIO(files["table.csv"])))["system"] == HOSTILE


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_spreadsheet_takes_a_name_for_a_formula(name):
    text = render(standings(_board(), [_entry("x", _both(0.5, 0.5), system=name)]))["table.csv"].decode()
    assert next(csv.DictReader(io.StringIO(text)))["system"] == f"'{name}"


def test_a_failed_sample_is_marked_in_the_cell_and_explained():
    text = render(standings(_board(), [_entry("x", _both(0.5, 0.5), n_failed=2)]))["table.md"].decode()
    assert "50.0\\* [49.0, 51.0]" in text
    assert "\\* not every sample is in the value." in text


def test_the_order_in_which_entries_are_read_changes_nothing():
    entries = [_entry(name, _both(value, 0.5)) for name, value in zip("uvwxyz", (0.5, 0.5, 0.7, 0.2, 0.9, 0.5), strict=True)]
    assert render(standings(_board(), entries)) == render(standings(_board(), entries[::-1]))


def test_a_stale_or_missing_table_is_found(place, settled):
    board = place.write()
    write_entry(place.root / "fake", settled[1])
    with pytest.raises(FoundError, match=r"table.md is missing \(and 3 more tables\)"):
        check(place.root)
    build(place.root)
    assert [held.board.name for held in check(place.root)] == ["fake"]
    path = place.root / board.name / "table.csv"
    path.write_text(path.read_text().replace("0.6", "0.9", 1))
    with pytest.raises(FoundError, match=r"table\.csv is stale") as caught:
        check(place.root)
    assert caught.value.exit_code == 4
    before = {path: path.stat().st_mtime_ns for path in (place.root / "fake").glob("table.*")}
    build(place.root)
    assert [path.name for path, when in before.items() if path.stat().st_mtime_ns != when] == ["table.csv"]


def test_a_board_without_entries_is_a_board(place):
    place.write(tail='\n[[reported]]\nsystem = "S"\nmetric = "m"\nvalue = 0.5\nsource = "p"\nverified = "no"\n')
    build(place.root)
    text = (place.root / "fake" / "table.md").read_text()
    assert "Nobody has entered yet." in text
    assert "| S | m | 50.0 |  | p | not verified |" in text


def test_standings_do_not_change_with_what_an_entry_says_beside_its_scores(place, settled):
    board = place.write()
    other = msgspec.structs.replace(settled[1], source=msgspec.structs.replace(settled[1].source, title="another"))
    assert standings(board, [settled[1]]).rows[0].cells == standings(board, [other]).rows[0].cells
