"""The boards of this repository: every table follows from its entries, every number from a source, and no text of any data is in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medbench.leaderboard.board import find_boards
from medbench.leaderboard.building import check
from medbench.leaderboard.entries import read_entries
from medbench.tasks import get_task

BOARDS = Path(__file__).resolve().parents[2] / "leaderboards"


def test_every_table_is_up_to_date():
    assert len(check(BOARDS)) >= 10


def test_the_boards_that_were_promised_are_there():
    names = {board.name for board in find_boards(BOARDS)}
    assert {"vqa-rad", "slake", "pathvqa", "mimic-cxr", "iu-xray", "ms-cxr-t", "colonoscopy", "pneumoniamnist-fewshot"} <= names
    filled = {board.name for board in find_boards(BOARDS) if read_entries(BOARDS / board.name)}
    assert {"vqa-rad", "pneumoniamnist-fewshot", "twins-vqa", "twin-iuxray"} <= filled


@pytest.mark.parametrize("board", find_boards(BOARDS), ids=lambda board: board.name)
def test_a_board_speaks_of_tasks_metrics_and_conventions_that_exist(board, registry):
    for pinned in board.tasks:
        task = get_task(pinned.name, registry)
        assert pinned.protocol in task.protocol
        for family, convention in pinned.conventions.items():
            assert task.conventions.get(family, convention) == convention
        metrics = {column.score.partition("/")[0] for column in board.columns if column.task == pinned.name}
        assert metrics <= set(task.metrics)


@pytest.mark.parametrize("board", find_boards(BOARDS), ids=lambda board: board.name)
def test_a_reported_number_names_its_source_and_what_is_known_of_it(board):
    for one in board.reported:
        assert one.source
        assert one.metric
        if one.unit == "fraction":
            assert 0 < one.value < 1
        assert not one.column, "none of these was computed under a board's own protocol and convention"


def test_real_and_synthetic_data_are_never_on_one_board():
    for board in find_boards(BOARDS):
        for entry in read_entries(BOARDS / board.name):
            assert {result.data.synthetic for result in entry.results} == {board.synthetic}
            assert {result.data.limit for result in entry.results} == {None}


def test_no_path_and_no_text_of_the_data_is_in_an_entry():
    for path in BOARDS.glob("*/entries/*.json"):
        text = re.sub(r'"replicates": "[^"]*"', "", path.read_text(encoding="utf-8"))
        assert not re.search(r'"(?:/|~/|[A-Z]:\\\\)', text), path
        assert max(map(len, re.findall(r'"([^"]*)"', text))) < 200, path
