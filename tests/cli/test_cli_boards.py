"""`medbench leaderboard add, build, check, verify, pack`: what is said, what is written, and the exit codes."""

from __future__ import annotations

import json

import pytest

BOARD = """title = "Made-up questions"
synthetic = true

[[tasks]]
name = "fake-vqa"
protocol = "vqa"
manifest = "{manifest}"
conventions = {{ vqa = "exact@1" }}

[[columns]]
score = "vqa/overall"
label = "overall"
"""


@pytest.fixture
def board(workplace, run):
    """A board about the made-up data, and one run on it."""
    manifest = run("--json").record.data.manifest

    def write(name="made-up", text=BOARD, **more):
        folder = workplace / "leaderboards" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "board.toml").write_text(text.format(**{"manifest": manifest, **more}))
        return folder

    return write


def test_from_a_run_to_a_checked_board_and_back(medbench, board, data, workplace):
    folder = board()
    added = medbench("leaderboard", "add", "fake-vqa/fake-echo")
    assert added.code == 0
    assert "fake-echo is entry fake-echo of made-up: leaderboards/made-up/entries/fake-echo.json" in added.out
    stale = medbench("leaderboard", "check")
    assert (stale.code, stale.err.splitlines()[0]) == (4, "error: leaderboards/made-up/table.md is missing (and 3 more tables)")
    assert "hint:  medbench leaderboard build" in stale.err
    built = medbench("leaderboard", "build", "made-up")
    assert (built.code, built.out.split()) == (0, ["made-up", "1", "entry"])
    assert "| 1 | fake-echo | 66.7 [" in (folder / "table.md").read_text()
    assert medbench("leaderboard", "check").code == 0
    packed = medbench("leaderboard", "pack", "fake-vqa/fake-echo")
    assert (packed.code, (workplace / "submission-fake-echo" / "entry.json").is_file()) == (0, True)
    verified = medbench("leaderboard", "verify", "submission-fake-echo", "--data", data, "--record")
    assert verified.code == 0
    assert "re-derived" in verified.out
    assert max(map(len, verified.out.splitlines())) <= 80
    assert "recorded: leaderboards/made-up/verified/fake-echo.fake-vqa.json" in verified.out
    assert medbench("leaderboard", "check").code == 4
    assert medbench("leaderboard", "build").code == 0
    assert "| yes |" in (folder / "table.md").read_text()


def test_a_failed_verification_exits_4_and_says_which_number(medbench, board, data, workplace):
    board()
    medbench("leaderboard", "pack", "fake-vqa/fake-echo")
    file = workplace / "submission-fake-echo" / "predictions.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        line["value"]["text"] = "no"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = medbench("leaderboard", "verify", "submission-fake-echo", "--data", data)
    assert found.code == 4
    assert "differs" in found.out
    assert "another digest" in found.out
    assert "error: fake-echo: not every number follows from the predictions" in found.err
    as_json = medbench("leaderboard", "verify", "submission-fake-echo", "--data", data, "--json")
    assert as_json.code == 4
    assert as_json.json["scores"][0]["status"] == "differs"


def test_refusals_are_one_message_with_every_reason(medbench, board, run):
    board()
    limited = run("--limit", "3", "--json").record
    refused = medbench("leaderboard", "add", limited.fingerprint)
    assert refused.code == 2
    assert refused.err.splitlines()[0] == "error: made-up: fake-echo cannot enter: fake-vqa: only 3 samples were run (--limit)"
    assert "and fake-echo: fake-vqa: other samples than the board's" in refused.err


def test_another_system_of_the_same_name_needs_a_name_of_its_own(medbench, board, run):
    board()
    assert medbench("leaderboard", "add", "fake-vqa/fake-echo", "--system", "Mine").code == 0
    other = run("--json", model="fake-any").record
    clash = medbench("leaderboard", "add", other.fingerprint, "--system", "Mine")
    assert clash.code == 2
    assert "another system is called mine there" in clash.err
    assert "--replace" in clash.err
    assert medbench("leaderboard", "add", other.fingerprint, "--system", "Mine", "--id", "mine-2").code == 0
    assert medbench("leaderboard", "add", other.fingerprint, "--system", "Mine", "--replace").code == 0


def test_an_edited_entry_is_refused_and_can_be_replaced(medbench, board):
    path = board() / "entries" / "fake-echo.json"
    medbench("leaderboard", "add", "fake-vqa/fake-echo")
    path.write_text(path.read_text().replace('"system": "fake-echo"', '"system": "better"'))
    refused = medbench("leaderboard", "build")
    assert refused.code == 2
    assert "it was edited" in refused.err
    assert medbench("leaderboard", "add", "fake-vqa/fake-echo").code == 2
    assert medbench("leaderboard", "add", "fake-vqa/fake-echo", "--replace").code == 0
    assert medbench("leaderboard", "build").code == 0


def test_the_board_is_found_by_its_task_unless_several_have_it(medbench, board):
    board()
    board("second")
    several = medbench("leaderboard", "add", "fake-vqa/fake-echo")
    assert several.code == 2
    assert "2 boards have the task fake-vqa" in several.err
    assert medbench("leaderboard", "add", "fake-vqa/fake-echo", "--board", "second").code == 0
    unknown = medbench("leaderboard", "add", "fake-vqa/fake-echo", "--board", "secnd")
    assert (unknown.code, "did you mean second?" in unknown.err) == (2, True)
    nowhere = medbench("leaderboard", "build", "--boards", "nowhere")
    assert (nowhere.code, "no board in it" in nowhere.err) == (2, True)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--weights", "org/name@main", "no commit or digest after the @"), ("--id", "../x", "no name for an entry"), ("--usd", "-1", "--usd")],
)
def test_what_a_submitter_states_is_checked(medbench, board, option, value, said):
    board()
    refused = medbench("leaderboard", "add", "fake-vqa/fake-echo", option, value)
    assert refused.code == 2
    assert said in refused.err


def test_a_predictions_file_enters_with_weights_that_can_be_named(medbench, board, data, workplace):
    board()
    file = workplace / "theirs.jsonl"
    file.write_text("".join(json.dumps({"id": f"test-{n:03d}", "prediction": "yes"}) + "\n" for n in range(12)))
    scored = medbench("score", "--task", "fake-vqa", "--predictions", file, "--data", data, "--json").record
    refused = medbench("leaderboard", "add", scored.fingerprint)
    assert (refused.code, "does not say what made it" in refused.err) == (2, True)
    weights = f"org/model@{'4c1f' * 10}"
    added = medbench("leaderboard", "add", scored.fingerprint, "--weights", weights, "--trained-on", "fake-qa", "--usd", "1.5")
    assert added.code == 0
    entry = json.loads((workplace / "leaderboards/made-up/entries/theirs.json").read_text())
    assert entry["source"] == {"weights": weights, "trained_on": ["fake-qa"]}
    assert entry["results"][0]["cost"] == {"usd": 1.5}
    medbench("leaderboard", "build")
    assert "saw fake-qa in training" in (workplace / "leaderboards/made-up/table.md").read_text()


def test_references_that_are_held_back_are_scored_by_the_maintainer(medbench, board, data, workplace):
    from medbench.leaderboard.deriving import blind_digest
    from medbench.runs import find_run

    blind = blind_digest(find_run("fake-vqa/fake-echo", workplace / "runs").read_samples())
    board(text='references = "private"\n' + BOARD.replace("manifest =", f'blind = "{blind}"\nmanifest ='))
    medbench("leaderboard", "pack", "fake-vqa/fake-echo")
    scored = "leaderboards/made-up/entries/fake-echo.json"
    done = medbench("leaderboard", "verify", "submission-fake-echo", "--data", data, "--complete", scored)
    assert done.code == 0
    assert medbench("leaderboard", "build").code == 0


def test_the_site_is_written_beside_the_tables(medbench, board, workplace):
    board()
    medbench("leaderboard", "add", "fake-vqa/fake-echo")
    built = medbench("leaderboard", "build", "--site", "site", "--url", "https://example.org")
    assert (built.code, built.out.splitlines()[-1].split()) == (0, ["site", "site/index.html"])
    assert "https://example.org/made-up/entries/fake-echo.html" in (workplace / "site/made-up/entries/fake-echo.html").read_text()
