"""`medbench report`, `compare`, `diff`, `conventions` and `suite`: what stands on the screen and in the JSON."""

from __future__ import annotations

import json

import pytest

from medbench.testing import write_fake_data


@pytest.fixture
def two(run):
    """The fingerprints of two runs on the same samples."""
    first = run("--json").record.fingerprint
    return first, run("--model-option", "suffix=!", "--json").record.fingerprint


def narrow(out):
    """Say whether tables fit on a screen; sentences below them may run on."""
    return max(len(line) for line in out.splitlines() if not line.startswith(("intervals", "tests"))) <= 80


def test_a_report_is_written_into_the_run_or_elsewhere(medbench, two, workplace):
    pytest.importorskip("jinja2")
    said = medbench("report", two[0])
    assert said.code == 0
    (folder,) = workplace.glob(f"runs/*/*/{two[0]}")
    assert f"{two[0]}/report.html" in said.out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "fake-vqa · fake-echo" in page
    assert medbench("report", two[0], "--out", "elsewhere.html", "--samples", "1").code == 0
    assert (workplace / "elsewhere.html").read_text(encoding="utf-8").count("<article") < page.count("<article")
    assert medbench("report", "nonesuch").code == 2


def test_a_report_of_guarded_data_keeps_its_texts_to_itself(medbench, workplace):
    pytest.importorskip("jinja2")
    write_fake_data(workplace / "guarded", access="credentialed")
    done = medbench("run", "--task", "fake-vqa", "--model", "fake-echo", "--data", "guarded", "--json")
    medbench("report", done.record.fingerprint, "--out", "kept.html")
    assert "Question 0" not in (workplace / "kept.html").read_text(encoding="utf-8")
    medbench("report", done.record.fingerprint, "--out", "all.html", "--include-data")
    assert "Question " in (workplace / "all.html").read_text(encoding="utf-8")


def test_runs_are_compared_on_one_screen(medbench, two):
    shown = medbench("compare", *two)
    assert shown.code == 0
    assert narrow(shown.out)
    assert "vqa=exact@1" in shown.out
    assert "95 % interval" in shown.out
    assert "McNemar" in shown.out
    assert "adjusted by Holm over" in shown.out
    assert "changed most by vqa/overall" in shown.out
    made = medbench("compare", *two, "--json").json
    overall = next(one for one in made["differences"] if one["contrast"]["name"] == "overall")
    assert overall["contrast"]["difference"] < 0
    assert (overall["wins"], overall["losses"]) == (0, len(made["changed"]))
    assert medbench("compare", *two, "--json").out == medbench("compare", *two, "--json").out


def test_a_comparison_can_be_asked_for_otherwise(medbench, two):
    assert medbench("compare", *two, "--test", "randomisation", "--most", "1").code == 0
    refused = medbench("compare", *two, "--test", "t-test")
    assert refused.code == 2
    assert "--test t-test: unknown" in refused.err
    assert medbench("compare", two[0]).code == 2


def test_runs_on_other_samples_are_not_compared(medbench, run, two):
    limited = run("--limit", "5", "--json").record.fingerprint
    refused = medbench("compare", two[0], limited)
    assert (refused.code, refused.out) == (2, "")
    assert "different samples: limit none and 5, n 12 and 5" in refused.err


def test_texts_of_guarded_data_stay_out_of_the_json(medbench, workplace):
    write_fake_data(workplace / "guarded", access="credentialed")
    runs = [
        medbench("run", "--task", "fake-vqa", "--model", "fake-echo", "--data", "guarded", "--json", *more).record.fingerprint
        for more in ((), ("--model-option", "suffix=!"))
    ]
    for verb in ("compare", "diff"):
        assert "Question" not in medbench(verb, *runs, "--json").out
        assert "Question" in medbench(verb, *runs, "--json", "--include-data").out
        assert medbench(verb, *runs, "--json").json


def test_a_diff_has_settings_and_flips(medbench, two):
    shown = medbench("diff", *two)
    assert shown.code == 0
    assert narrow(shown.out)
    assert "model.options.suffix" in shown.out
    assert "the same samples" in shown.out
    assert "0 better in B, 8 worse, 4 the same" in shown.out
    assert medbench("diff", two[0], two[0]).out.count("no setting differs") == 1
    assert medbench("diff", *two, "--json").json["n_answers"] == 12


def test_conventions_of_a_run_and_of_a_file(medbench, two, data, workplace):
    shown = medbench("conventions", "--predictions", two[1])
    assert shown.code == 0
    assert "medevalkit" in shown.out
    assert "exact *" in shown.out
    made = medbench("conventions", "--predictions", two[1], "--json").json
    assert len(made[0]["rows"]) == 6
    assert [row["convention"]["vqa"] for row in made[0]["rows"] if row["own"]] == ["exact@1"]
    lines = [json.dumps({"id": f"test-{at:03d}", "prediction": "yes."}) for at in range(12)]
    (workplace / "mine.jsonl").write_text("\n".join(lines), encoding="utf-8")
    of_file = medbench("conventions", "--task", "fake-vqa", "--predictions", "mine.jsonl", "--data", data)
    assert of_file.code == 0
    assert "mine · 12 samples" in of_file.out
    refused = medbench("conventions", "--predictions", "mine.jsonl")
    assert "what task are these predictions for?" in refused.err
    assert medbench("conventions", "--task", "vqa-rad", "--predictions", two[1]).code == 2


SUITE = """
tasks = ["fake-vqa"]
models = ["fake-echo", { name = "fake-faulty", model_option = { raise_on = "Question 3:" } }]
[options]
data = "data"
[axes]
limit = [6, 12]
"""


def test_a_suite_is_looked_at_run_and_done(medbench, data, workplace):
    (workplace / "mine.toml").write_text(SUITE, encoding="utf-8")
    before = medbench("suite", "mine.toml", "--dry-run")
    assert before.code == 0
    assert "4 runs, 0 done, 4 missing" in before.out
    assert not (workplace / "runs").exists()
    done = medbench("suite", "mine.toml")
    assert done.code == 3, "a sample failed"
    assert "model        limit" in done.out
    assert "SYNTHETIC" in done.out
    assert (workplace / "runs/suites/mine/table.md").is_file()
    after = medbench("suite", "mine.toml", "--dry-run")
    assert "4 runs, 4 done, 0 missing" in after.out
    assert [one["done"] for one in medbench("suite", "mine.toml", "--dry-run", "--json").json] == [True] * 4
    again = medbench("suite", "mine.toml", "--quiet", "--json")
    assert [row["model"] for row in again.json[0]["rows"]] == ["fake-echo", "fake-echo", "fake-faulty", "fake-faulty"]


def test_a_suite_that_cannot_run_says_every_reason(medbench, data, workplace):
    (workplace / "wrong.toml").write_text(SUITE.replace('"fake-echo"', '"fake-eco"').replace("raise_on", "rise_on"), encoding="utf-8")
    refused = medbench("suite", "wrong.toml")
    assert refused.code == 2
    assert "no model named fake-eco" in refused.err
    assert "has no option rise_on" in refused.err
    assert "wrongs.toml: no such file" in medbench("suite", "wrongs.toml").err
