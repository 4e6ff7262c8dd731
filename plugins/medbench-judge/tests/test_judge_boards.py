"""Scores of judges on a board: which judge counts, and options that were given when scoring."""

from __future__ import annotations

import csv

import medbench_judge
import medbench_openai
import pytest
from PIL import Image

from medbench import api
from medbench.errors import UsageError
from medbench.leaderboard.admission import problems
from medbench.leaderboard.board import read_board
from medbench.leaderboard.making import Stated, make_entry
from medbench.leaderboard.packing import pack
from medbench.leaderboard.verifying import gather, verify
from medbench.record import to_json
from medbench.registry import load_registry
from medbench.runs import RunFolder
from medbench.testing.endpoint import Endpoint

N = 24
BOARD = """title = "Judged"
[[tasks]]
name = "custom-vqa"
protocol = "vqa"
manifest = "{manifest}"
{conventions}
[[columns]]
score = "vqa-judge/overall"
label = "judged"
"""


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return the folder of a run that a strict and a kind judge scored, the kind one with controls, and the registry."""
    place = tmp_path_factory.mktemp("judged")
    Image.new("L", (16, 16), 90).save(place / "one.png")
    with (place / "data.csv").open("w", newline="") as data, (place / "predictions.csv").open("w", newline="") as predictions:
        questions, answers = csv.writer(data), csv.writer(predictions)
        questions.writerow(["id", "image", "question", "answer", "split", "patient"])
        answers.writerow(["id", "prediction"])
        for at in range(N):
            questions.writerow([f"q{at}", "one.png", f"What is {at}?", f"mass {at}", "test", f"p{at // 2}"])
            answers.writerow([f"q{at}", f"mass {at}"])
    registry = load_registry(medbench_judge, medbench_openai)
    shared = {"metrics": ("vqa-judge",), "runs_dir": str(place / "runs"), "registry": registry}
    of = {"task": "custom-vqa", "data": str(place), "predictions": place / "predictions.csv", "params": {"reader.file": "data.csv"}}
    for name, level, several in (("strict", 0, [{}]), ("kind", 1, [{"max_chars": "300"}, {"again": "4"}])):
        with Endpoint(f'{{"why": "x", "level": {level}}}') as endpoint:
            judge = {"judge": f"openai:{name}", "judge_options": {"base_url": endpoint.url, "local": "true"}}
            for options in several:
                api.score(**of, **judge, **shared, metric_options=options)
                folder = RunFolder(next((place / "runs" / "custom-vqa").glob("*/*")))
                of = {"run": folder.path}
    return folder, registry


def entry(judged, tmp_path, conventions):
    folder, registry = judged
    (tmp_path / "judged").mkdir()
    (tmp_path / "judged" / "board.toml").write_text(BOARD.format(manifest=folder.read_record().data.manifest, conventions=conventions))
    board = read_board(tmp_path / "judged")
    return make_entry(folder, board, registry, Stated(weights=f"mine@{'0' * 40}")), board


def test_a_board_that_names_no_judge_asks_which(judged, tmp_path):
    with pytest.raises(UsageError, match=r"vqa-judge was judged by openai-kind-\w+ and by openai-strict-\w+") as caught:
        entry(judged, tmp_path, "")
    assert 'conventions = { by = "openai-kind-' in caught.value.hint


@pytest.mark.parametrize(("judge", "value"), [("openai-strict", 0.0), ("openai-kind", 1.0)])
def test_the_judge_that_the_board_names_is_the_one_that_counts(judged, tmp_path, judge, value):
    made, board = entry(judged, tmp_path, f'conventions = {{ by = "{judge}" }}')
    (cell,) = made.results[0].cells
    assert cell.score.value == value
    assert cell.score.convention["by"].rpartition("-")[0] == judge
    assert len(cell.array()) == board.resamples
    assert problems(made, board) == []


@pytest.mark.parametrize(("judge", "options"), [("openai-strict", {}), ("openai-kind", {"vqa-judge": {"again": 4}})])
def test_options_that_were_given_when_scoring_are_found_by_what_the_record_says(judged, tmp_path, judge, options):
    made, _ = entry(judged, tmp_path, f'conventions = {{ by = "{judge}" }}')
    assert made.results[0].options == options


RUBRIC = """name = "worth"
prompt = "How much is it worth? {levels} {candidate} {reply}"
[levels]
1 = "little"
2 = "much"
"""
COLUMN = 'score = "rubric/average"'


def test_a_rubrics_place_is_nobodys_business_and_it_goes_along(judged, tmp_path):
    folder, registry = judged
    mine = tmp_path / "home" / "ann" / "worth.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text(RUBRIC)
    with Endpoint('{"reason": "x", "level": 2}') as endpoint:
        judge = {"judge": "openai:buyer", "judge_options": {"base_url": endpoint.url, "local": "true"}}
        given = {"metrics": ("rubric",), "metric_options": {"rubric.file": str(mine)}, "registry": registry}
        api.score(run=folder.path, runs_dir=str(folder.path.parents[2]), **judge, **given)
    place = tmp_path / "judged"
    place.mkdir()
    rules = BOARD.format(manifest=folder.read_record().data.manifest, conventions="").replace('score = "vqa-judge/overall"', COLUMN)
    (place / "board.toml").write_text(rules)
    board = read_board(place)
    made = make_entry(folder, board, registry, Stated(weights=f"mine@{'0' * 40}"))
    assert made.results[0].options == {"rubric": {"file": "worth.toml"}}
    assert b"home" not in to_json(made)

    out = pack(folder, made, board, tmp_path / "submission", registry)
    assert (out / "worth.toml").read_text() == RUBRIC
    assert "worth.toml" in (out / "README.md").read_text()
    mine.rename(place / "worth.toml")
    (result,) = made.results
    material = gather(result, folder.predictions, str(folder.read_plan().root), registry)
    (checked,) = verify(made, result, material, board, registry, rows=folder.rows).scores
    assert (checked.status, checked.off) == ("from rows only", 0.0)
