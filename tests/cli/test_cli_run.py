"""`medbench run`: the screen, the record, what is kept, and every way to be refused."""

from __future__ import annotations

import pytest

from medbench.record import read_record
from medbench.testing import write_fake_data


def only(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


def table_of(text):
    """The lines of the score tables: from a rule of dashes up to the next empty line, and the heads above it."""
    lines = text.splitlines()
    rules = [at for at, line in enumerate(lines) if line.startswith("───")]
    blocks = []
    for at in rules:
        end = next((n for n in range(at, len(lines)) if not lines[n]), len(lines))
        blocks += lines[at - 1 : end]
    return blocks


def test_a_run_shows_what_it_is_and_what_came_of_it(run, workplace):
    done = run()
    assert done.code == 0
    head, _, foot = done.out.partition("95 % interval")
    assert "12 samples · 4 images · test split · SYNTHETIC" in head
    assert "12 made-up questions" in head
    assert "vqa=exact" in head
    assert "overall accuracy   66.7" in foot
    assert "coverage 12/12 · empty 0" in foot
    assert "SYNTHETIC data" in foot
    folder = only(workplace, "runs/fake-vqa/fake-echo/*")
    assert f"run            runs/fake-vqa/fake-echo/{folder.name}" in foot
    assert {"plan.json", "samples.jsonl", "predictions.jsonl", "run.json"} <= {path.name for path in folder.iterdir()}
    assert read_record(folder / "run.json").n_predictions == 12


def test_the_same_command_again_does_nothing_and_shows_the_same_table(run, workplace):
    first, again = run(), run()
    assert again.code == 0
    assert "nothing to do: 12 of 12 outputs and all scores are there" in again.out
    assert table_of(again.out) == table_of(first.out) != []


def test_json_is_the_record_and_nothing_else(run, workplace):
    done = run("--json")
    assert done.code == 0
    assert done.record == read_record(only(workplace, "runs/fake-vqa/*/*/run.json"))
    assert [score.name for score in done.record.scores] == ["overall", "closed", "open"]
    assert {score.n for score in done.record.scores} == {12, 6}


def test_quiet_leaves_the_table_alone(run):
    done = run("--quiet")
    assert done.code == 0
    assert done.err == ""
    assert "test split" not in done.out
    assert "made-up questions" not in done.out
    assert "overall accuracy" in done.out


@pytest.mark.parametrize("extra", [(), ("--convention", "all"), ("--by", "question_type", "--images", "true,blank,shuffled")])
def test_no_line_of_a_table_is_longer_than_80_columns(run, monkeypatch, extra):
    monkeypatch.setenv("NO_COLOR", "1")
    done = run(*extra)
    lines = table_of(done.out)
    assert len(lines) > 4
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.out + done.err


def test_conditions_are_shown_with_their_paired_differences(run):
    record = run("--images", "true,blank", "--json").record
    assert {str(score.condition.get("images", "true")) for score in record.scores} == {"true", "blank"}
    assert {(contrast.one, contrast.other, contrast.difference) for contrast in record.contrasts} == {("images=blank", "images=true", 0.0)}
    assert "images=blank − images=true   +0.0" in run("--images", "true,blank").out


def test_a_limit_takes_so_many_and_stands_on_record(run):
    record = run("--limit", "5", "--json").record
    assert (record.n_predictions, record.data.limit) == (5, 5)


def test_a_dry_run_states_the_plan_and_carries_nothing_out(run, workplace):
    done = run("--dry-run", "--model-option", "suffix=!")
    assert done.code == 0
    assert "fake-echo suffix=!" in done.out
    assert "nothing speaks against it" in done.out
    assert not (workplace / "runs").exists()
    stated = run("--dry-run", "--json").json
    assert stated["problems"] == []
    assert stated["plan"]["task"]["name"] == "fake-vqa"
    refused = run("--dry-run", "--json", "--limit", "0")
    assert refused.code == 2
    assert len(refused.json["problems"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("--model-option", "sufix=x"), "fake-echo has no option sufix", "did you mean suffix?"),
        (("--model-option", "suffix"), "--model-option suffix: not of the form key=value", "name=value"),
        (("--metric", "vqaa"), "no metric named vqaa", "did you mean vqa?"),
        (("--metric", "vqa,bleu"), "no metric named bleu", "bleu comes with medbench-lexical: pip install medbench-lexical"),
        (("--convention", "exat"), "no convention named exat", "did you mean exact?"),
        (("--param", "promt=x"), "protocol vqa has no parameter promt", "did you mean prompt?"),
        (("--param", "max_new_tokens=many"), "parameter max_new_tokens=many", ""),
        (("--images", "blonk"), "--images blonk: unknown", "did you mean blank?"),
        (("--split", "val"), "fake-qa has no val split", "it has: train, test"),
        (("--protocol", "report"), "fake-vqa has no protocol report", "known: vqa"),
        (("--executor", "ray"), "no executor named ray", "known: local"),
        (("--metric", "trial-words", "--convention", "exact"), "no convention named exact", "none of these metrics has any"),
        (("--judge-option", "suffix=!"), "--judge-option: no judge is named", "--judge MODEL"),
        (("--judge", "fake-echo"), "--judge fake-echo: nothing asks it", "leave it out"),
        (("--shard", "3/2"), "--shard 3/2: not of the form part/parts", "--shard 1/4"),
        (("--metric-option", "ordr=3"), "--metric-option ordr: none of vqa has it", ""),
    ],
)
def test_a_mistake_is_named_with_what_would_help(run, workplace, arguments, message, hint):
    refused = run(*arguments)
    assert refused.code == 2
    assert message in refused.err
    assert hint in refused.err
    assert "Traceback" not in refused.err
    assert not (workplace / "runs").exists()


@pytest.mark.parametrize(
    ("task", "model", "message", "hint"),
    [
        ("fake-vqu", "fake-echo", "error: no task named fake-vqu", "hint:  did you mean fake-vqa?   (medbench list tasks)"),
        ("fake-vqa", "fake-ecko", "error: no model named fake-ecko", "hint:  did you mean fake-echo?   (medbench list models)"),
        ("none.toml", "fake-echo", "error: none.toml: no such file", "medbench list tasks"),
    ],
)
def test_an_unknown_name_is_met_with_the_nearest_one(medbench, data, task, model, message, hint):
    refused = medbench("run", "--task", task, "--model", model, "--data", data)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err
    assert hint in refused.err


def test_all_problems_are_shown_at_once(medbench, workplace):
    refused = medbench("run", "--task", "fake-vqa", "--model", "fake-ecko", "--data", "nowhere", "--images", "blonk", "--limit", "0")
    assert refused.code == 2
    assert "error: this plan cannot run (4 problems)" in refused.err
    for message in ("no model named fake-ecko", "--images blonk", "--limit 0", "fake-qa: nowhere (--data) is not a folder"):
        assert f"\n  {message}" in refused.err
    assert "\n      did you mean fake-echo?" in refused.err
    assert not (workplace / "runs").exists()


def test_a_model_that_cannot_is_told_apart_from_those_that_can(run, install):
    card = "ModelCard(name={!r}, load='medbench.testing.models:Echo', can=({!r},), needs=({}), install='pip install seer[x]')"
    install("seer", f"{card.format('seer', 'embed', '')}, {card.format('absent', 'generate', repr('nosuchmodule') + ',')}")
    refused = run(model="seer")
    assert refused.code == 2
    assert "fake-vqa needs a model that can generate" in refused.err
    assert "models that do: absent, fake-any, fake-echo, fake-faulty" in refused.err
    refused = run(model="absent")
    assert refused.code == 2
    assert "absent needs nosuchmodule" in refused.err
    assert "pip install seer[x]" in refused.err


def test_data_that_is_not_there_says_where_it_was_sought_and_where_to_get_it(medbench):
    refused = medbench("run", "--task", "vqa-rad", "--model", "majority")
    assert refused.code == 2
    assert "vqa-rad was not found: no --data, no MEDBENCH_DATA_VQA_RAD, nothing in medbench.toml" in refused.err
    assert "OSF project 89kps" in refused.err
    assert "--data twin" in refused.err


def test_a_folder_of_another_layout_is_refused_with_what_was_expected(medbench, workplace):
    (workplace / "wrong").mkdir()
    refused = medbench("run", "--task", "vqa-rad", "--model", "majority", "--data", "wrong")
    assert refused.code == 2
    assert "wrong: no 'VQA_RAD Dataset Public.json'" in refused.err
    assert "wrong: no pictures" in refused.err


def test_the_settings_file_and_the_environment_name_folders(medbench, data, workplace, monkeypatch):
    (workplace / "medbench.toml").write_text(f'[data]\nfake-qa = "{data}"\n')
    assert medbench("run", "--task", "fake-vqa", "--model", "fake-echo", "--dry-run").code == 0
    (workplace / "medbench.toml").write_text("[data\n")
    refused = medbench("run", "--task", "fake-vqa", "--model", "fake-echo", "--dry-run")
    assert refused.code == 2
    assert "medbench.toml: not valid TOML" in refused.err
    (workplace / "medbench.toml").unlink()
    monkeypatch.setenv("MEDBENCH_DATA_FAKE_QA", str(data))
    assert medbench("run", "--task", "fake-vqa", "--model", "fake-echo", "--dry-run").code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('title = ["x"', "mine.toml: not valid TOML"),
        ('title = "x"\ndataset = "fake-qa"\nprotocol = "vqa"\nmetrics = ["vqa"]\nmetrcs = 1', "mine.toml: unknown key metrcs"),
        ('title = "x"\ndataset = "fake-qa"\nprotocol = "vqa"\nmetrics = "vqa"', "mine.toml: metrics: expected"),
        ('title = "x"\ndataset = "fake-qa"\nprotocol = "vqa"', "mine.toml: key metrics is missing"),
        ('title = "x"\ndataset = "fake-qa"\nprotocol = "vqa"\nmetrics = ["vqa"]\nsplit = "tset"', "mine.toml: split: "),
        ('name = "yours"\ntitle = "x"\ndataset = "fake-qa"\nprotocol = "vqa"\nmetrics = ["vqa"]', "mine.toml: name is 'yours'"),
        ('title = "x"\ndataset = "fake-qu"\nprotocol = "vqa"\nmetrics = ["vqa"]', "no dataset named fake-qu"),
    ],
)
def test_a_mistake_in_a_task_file_is_named(medbench, workplace, text, message):
    (workplace / "mine.toml").write_text(text)
    refused = medbench("run", "--task", "mine.toml", "--model", "fake-echo")
    assert refused.code == 2
    assert message in refused.err


def test_a_task_file_of_ones_own_runs_and_has_a_board(medbench, data, workplace):
    (workplace / "mine.toml").write_text('title = "Mine"\ndataset = "fake-qa"\nprotocol = "vqa"\nmetrics = ["vqa"]\n')
    assert medbench("run", "--task", "mine.toml", "--model", "fake-echo", "--data", data).code == 0
    (workplace / "mine.toml").unlink()
    assert "mine · Mine" in medbench("leaderboard", "show").out


def test_a_missing_and_a_torn_picture_are_failures_by_name(run, medbench, data):
    whole = run("--json").record
    (data / "images" / "test-g000-0.png").unlink()
    torn = data / "images" / "test-g001-0.png"
    torn.write_bytes(torn.read_bytes()[:40])
    done = run("--json")
    assert done.code == 3
    assert done.record.n_failed == 6
    assert done.record.fingerprint != whole.fingerprint
    for score in done.record.scores:
        assert score.n_failed == 3 * (2 if score.name == "overall" else 1)
        assert score.n + score.n_failed == {"overall": 12}.get(score.name, 6)
        assert score.worst_case is not None
    shown = run()
    assert shown.code == 3
    assert "not in the value" in shown.out
    assert "6 failed: medbench samples runs/fake-vqa/fake-echo/" in shown.out
    failed = medbench("samples", done.record.fingerprint, "--failed", "--json").json
    assert [row["status"] for row in failed] == ["failed: input"] * 6
    assert {error.rpartition("/")[2] for error in (row["error"] for row in failed)} == {
        "test-g000-0.png: no such file",
        "test-g001-0.png: a truncated PNG",
    }


def test_a_model_that_fails_on_one_sample_says_so_and_is_asked_again_on_request(run):
    first = run("--model-option", "raise_on=Question 3:", model="fake-faulty")
    assert first.code == 3
    assert "* 1 failed (overall would be " in first.out
    again = run("--model-option", "raise_on=Question 3:", "--retry-failed", model="fake-faulty")
    assert again.code == 3
    assert "nothing to do" not in again.out
    assert "nothing to do" in run("--model-option", "raise_on=Question 3:", model="fake-faulty").out


def test_a_shard_alone_gives_no_scores_and_all_shards_give_the_run(run):
    first = run("--shard", "1/2")
    assert first.code == 0
    assert "shard 1/2 is done" in first.out
    assert "overall" not in first.out
    second = run("--shard", "2/2", "--json")
    assert second.code == 0
    assert second.record.n_predictions == 12


@pytest.mark.parametrize(("access", "quoted"), [("synthetic", True), ("credentialed", False)])
def test_a_report_that_fails_costs_a_note_and_quotes_no_guarded_text(medbench, workplace, monkeypatch, access, quoted):
    def fail(*_):
        raise ValueError("the patient's words")

    monkeypatch.setattr("medbench.report.html.write_report", fail)
    guarded = write_fake_data(workplace / "other", access=access)
    done = medbench("run", "--task", "fake-vqa", "--model", "fake-echo", "--data", guarded)
    assert done.code == 0
    assert "overall accuracy" in done.out
    assert "no report was written: ValueError" in done.err
    assert ("the patient's words" in done.out + done.err) is quoted
