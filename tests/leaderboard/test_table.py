"""Boards over run folders: order, columns, marks, Markdown."""

from __future__ import annotations

import msgspec
import pytest

from medbench.leaderboard.table import build_boards, cell, to_markdown
from medbench.record import DataFacts, ModelFacts, RunRecord, Score
from medbench.tasks import Published, Task

TASK = Task(
    name="t",
    title="A task",
    dataset="d",
    protocol=("vqa",),
    metrics=("m",),
    primary="m/a",
    columns=("m/a", "m/b"),
    conventions={"vqa": "x@1"},
    published=(Published(system="Other", metric="accuracy", value=0.9, source="a paper"),),
)

STATED = {"reason": "DUA 7", "to": ["api.x.org"], "date": "2026-01-31"}


def _score(name: str, value: float | None, **given) -> Score:
    return Score(**{"metric": "m", "name": name, "value": value, "low": 0.1, "high": 0.9, "n": 10, "convention": {"vqa": "x@1"}, **given})


def _record(model: str, *scores: Score, **given) -> RunRecord:
    data = DataFacts(**{"dataset": "d", "split": "test", "manifest": "abcdef123456", "n": 10, **given.pop("data", {})})
    facts = ModelFacts(name=model, identity=f"{model}-1", kind="baseline", **given.pop("facts", {}))
    return RunRecord(task="t", fingerprint=f"f-{model}", model=facts, data=data, protocol="vqa", scores=scores, n_predictions=10, **given)


def _board(task, records, headings):
    (board,) = build_boards(task, records, headings)
    return board


def test_rows_are_ordered_by_the_primary_score_and_undefined_ones_come_last():
    records = [_record("low", _score("a", 0.2)), _record("none", _score("a", None)), _record("high", _score("a", 0.7))]
    assert [row.system for row in _board(TASK, records, {}).rows] == ["high", "low", "none"]


def test_lower_is_better_turns_the_order():
    records = [_record("far", _score("a", 9.0, higher_is_better=False)), _record("near", _score("a", 2.0, higher_is_better=False))]
    assert [row.system for row in _board(TASK, records, {}).rows] == ["near", "far"]


def test_only_the_tasks_own_convention_and_the_whole_split_count():
    others = [
        _score("a", 0.99, convention={"vqa": "y@1"}),
        _score("a", 0.98, condition={"images": "blank"}),
        _score("a", 0.97, subgroup={"s": "F"}),
    ]
    board = _board(TASK, [_record("one", _score("a", 0.3), *others)], {})
    assert board.rows[0].scores["m/a"].value == 0.3


def test_other_tasks_are_left_out_and_of_one_model_the_last_run_counts():
    first, last = _record("one", _score("a", 0.3)), _record("one", _score("a", 0.4))
    foreign = msgspec.structs.replace(last, task="another")
    board = _board(TASK, [first, last, foreign], {})
    assert [row.scores["m/a"].value for row in board.rows] == [0.4]


@pytest.mark.parametrize(
    ("given", "mark"),
    [
        ({"data": {"synthetic": True}}, "synthetic data"),
        ({"data": {"limit": 5}}, "only 5 samples"),
        ({"facts": {"untrained": True}}, "untrained"),
        ({"n_failed": 2}, "2 failed"),
        ({"overrides": {"permission_to_send": [STATED]}}, "permission to send to api.x.org: DUA 7 (stated 2026-01-31)"),
    ],
)
def test_what_a_reader_must_know_is_marked(given, mark):
    assert mark in _board(TASK, [_record("one", _score("a", 0.3), **given)], {}).rows[0].marks


def test_columns_that_no_run_has_are_dropped():
    assert list(_board(TASK, [_record("one", _score("a", 0.3))], {"m/a": "Accuracy"}).columns.items()) == [("m/a", "Accuracy")]


def test_markdown_has_intervals_coverage_and_published_rows_and_escapes_pipes():
    text = to_markdown(_board(TASK, [_record("a|b", _score("a", 0.3, n_failed=1), _score("b", 0.5))], {}))
    assert "| a\\|b | 30.0* [10.0, 90.0] | 50.0 [10.0, 90.0] | 10/11 | 0.0 | baseline |" in text
    assert "- Other, accuracy: 90.0 (a paper)" in text


def test_a_missing_score_is_said_not_left_blank():
    assert cell(None) == "not computed"


def test_only_runs_on_the_same_samples_stand_on_one_board():
    records = [
        _record("twin", _score("a", 0.9), data={"synthetic": True, "manifest": "twin"}),
        _record("few", _score("a", 0.8), data={"manifest": "few", "n": 5, "limit": 5}),
        _record("one", _score("a", 0.3)),
        _record("two", _score("a", 0.4)),
    ]
    boards = build_boards(TASK, records, {})
    assert [[row.system for row in board.rows] for board in boards] == [["two", "one"], ["few"], ["twin"]]
    assert [board.data for board in boards] == [
        "10 samples · manifest abcdef12",
        "5 samples · manifest few",
        "10 samples · SYNTHETIC · manifest twin",
    ]
    assert [len(board.published) for board in boards] == [1, 1, 0]


def test_one_model_asked_in_two_ways_is_two_rows_that_say_how_they_differ():
    first = _record("one", _score("a", 0.3), params={"prompt": "{question}", "max_new_tokens": 8})
    other = _record("one", _score("a", 0.4), params={"prompt": "A question that takes more room: {question}", "max_new_tokens": 8})
    file = _record("file", _score("a", 0.2))
    marks = [row.marks[1:] for row in _board(TASK, [first, other, file], {}).rows]
    assert marks == [("prompt=A question that takes m…",), ("prompt={question}",), ()]
