"""board.toml: read strictly, with the file, the key and what is allowed there in every refusal."""

from __future__ import annotations

import pytest

from medbench.errors import UsageError
from medbench.leaderboard.board import find_boards, read_board

GOOD = """
title = "A board"
tie = ["m/b"]

[[tasks]]
name = "t"
protocol = "vqa"

[[columns]]
score = "m/a"
label = "a"

[[columns]]
score = "m/b"
label = "b"
condition = { shots = 10 }

[[columns]]
score = "m/b"
label = "plain b"
"""


def _read(tmp_path, text, name="board-1"):
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    (folder / "board.toml").write_text(text, encoding="utf-8")
    return read_board(folder)


def test_defaults_are_filled_in(tmp_path):
    board = _read(tmp_path, GOOD)
    assert [column.key for column in board.columns] == ["t:m/a", "t:m/b[shots=10]", "t:m/b"]
    assert (board.name, board.primary, board.tie, board.resamples) == ("board-1", "t:m/a", ("t:m/b",), 10_000)
    assert (board.references, board.max_failed, board.synthetic, board.unpinned) == ("public", 0.0, False, "refuse")


def test_references_may_be_held_back(tmp_path):
    assert _read(tmp_path, f'references = "private"\n{GOOD}').references == "private"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        (GOOD.replace("tie =", "ties ="), "object contains unknown field `ties`", "did you mean tie"),
        (GOOD.replace('label = "a"', 'lable = "a"'), "columns[0]: object contains unknown", "did you mean label"),
        (GOOD.replace('tie = ["m/b"]', 'primary = "m/c"'), "t:m/c is no column", "did you mean"),
        (GOOD.replace("A board", "A \\q board"), "not valid TOML", "mend"),
        (GOOD.replace('score = "m/a"', 'score = "m"'), "t:m is no score of a task", "metric/name"),
        (GOOD.replace('score = "m/a"', 'task = "u"\nscore = "m/a"'), "u:m/a is no score of a task", "task ="),
        (GOOD.replace("condition = { shots = 10 }", ""), "t:m/b stands there twice", "once"),
        (GOOD.replace('tie = ["m/b"]', "resamples = 999"), "too few", "10,000 or more"),
        (f'references = "hidden"\n{GOOD}', "references: invalid enum value", "keys there"),
        (f'name = "other"\n{GOOD}', "unknown key name", "named as its folder"),
        ('title = "x"\ntasks = []\ncolumns = []\n', "needs a task and a column", "[[tasks]]"),
    ],
)
def test_mistakes_are_told_with_file_and_key(tmp_path, text, said, hint):
    with pytest.raises(UsageError) as caught:
        _read(tmp_path, text)
    assert "board.toml" in caught.value.message
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_a_board_needs_a_path_safe_name(tmp_path):
    with pytest.raises(UsageError, match="no name for a board"):
        _read(tmp_path, GOOD, name="Board 1")


def test_boards_are_found_by_name(tmp_path):
    _read(tmp_path, GOOD, name="one")
    _read(tmp_path, GOOD, name="two")
    assert [board.name for board in find_boards(tmp_path)] == ["one", "two"]
    assert [board.name for board in find_boards(tmp_path, ("two",))] == ["two"]
    with pytest.raises(UsageError, match="no board named twa") as caught:
        find_boards(tmp_path, ("twa",))
    assert "did you mean two" in caught.value.hint
    with pytest.raises(UsageError, match="no board in it"):
        find_boards(tmp_path / "one")
