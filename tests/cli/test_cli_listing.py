"""`medbench list`, `show` and `plugins`: what there is, and what stays usable when a plugin is broken."""

from __future__ import annotations

import pytest

MODEL = "ModelCard(name='fake-echo', load='medbench.testing.models:Faulty', can=('generate',), isolated=False)"
METRIC = "MetricCard(name='vqa', load='medbench.builtin.metrics.vqa:VqaAccuracy', takes=('text',), scores={'overall': ScoreFacts()})"
HOOK = "from medbench.hookspecs import hookimpl\n@hookimpl\ndef "
TASK = "TaskCard(name='vqa-rad', load='medbench.testing:fake-vqa.toml')"


@pytest.mark.parametrize(
    ("kind", "column", "name"),
    [("tasks", "task", "fake-vqa"), ("models", "model", "majority"), ("metrics", "metric", "vqa"), ("datasets", "dataset", "vqa-rad")],
)
def test_lists_name_everything_as_table_and_as_json(medbench, kind, column, name):
    listed = medbench("list", kind)
    assert (listed.code, listed.err) == (0, "")
    assert listed.out.startswith(column)
    assert name in listed.out
    assert max(map(len, listed.out.splitlines())) <= 80
    assert name in [row[column] for row in medbench("list", kind, "--json").json]


def test_models_are_listed_by_what_they_can(medbench):
    able = [row["model"] for row in medbench("list", "models", "--can", "generate", "--json").json]
    assert {"majority", "fake-echo", "trial-learner"} <= set(able)
    assert "subprocess" in able
    drawing = {row["model"] for row in medbench("list", "models", "--can", "synthesize", "--json").json}
    assert "subprocess" in drawing
    assert not drawing & {"majority", "fake-echo", "trial-learner"}
    refused = medbench("list", "models", "--can", "genrate")
    assert (refused.code, refused.out) == (2, "")
    assert "did you mean generate?" in refused.err


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("task", "vqa-rad", "Lau et al."),
        ("model", "fake-faulty", "raise_on = ''"),
        ("metric", "vqa", "overall accuracy · fraction · 0 … 1 · higher is better"),
        ("dataset", "vqa-rad", "MEDBENCH_DATA_VQA_RAD"),
    ],
)
def test_one_thing_is_shown_whole_as_page_and_as_json(medbench, kind, name, expected):
    shown = medbench("show", kind, name)
    assert (shown.code, shown.err) == (0, "")
    assert expected in shown.out
    assert medbench("show", kind, name, "--json").json["name"] == name


@pytest.mark.parametrize(
    ("kind", "near", "name"),
    [("task", "vqarad", "vqa-rad"), ("model", "majorty", "majority"), ("metric", "vqaa", "vqa"), ("dataset", "iuxray", "iu-xray")],
)
def test_an_unknown_name_is_met_with_the_nearest_one(medbench, kind, near, name):
    refused = medbench("show", kind, near)
    assert (refused.code, refused.out) == (2, "")
    assert f"error: no {kind} named {near}" in refused.err
    assert f"did you mean {name}" in refused.err


def test_published_results_are_shown_apart_from_ones_own(medbench):
    shown = medbench("show", "task", "vqa-rad").out
    assert "reported elsewhere, not reproduced here (other conventions)" in shown
    assert "81.9  arXiv 2401.02797v1" in shown


def test_a_model_with_a_missing_module_says_what_to_install(medbench, install):
    install("absent", "ModelCard(name='absent', load='nosuch:X', can=('embed',), needs=('nosuch',), install='pip install absent[all]')")
    assert "needs nosuch: pip install absent[all]" in medbench("show", "model", "absent").out


def test_plugins_are_listed_with_what_they_offer(medbench):
    rows = medbench("plugins", "--json").json
    assert [row["plugin"] for row in rows] == ["medbench", "medbench-trial", "medbench-trial"]
    assert rows[1]["offers"] == "4 models, 1 dataset, 1 task"
    assert "4 models, 1 dataset, 1 task" in medbench("plugins").out


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nosuchmodule", "broken: ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("def medbench_cards(:", "broken: SyntaxError: "),
        ("1 / 0", "broken: ZeroDivisionError: division by zero"),
        (
            HOOK + "medbench_cards():\n    raise RuntimeError('no cards\\ntoday')",
            "broken: RuntimeError: no cards today",
        ),
        (
            HOOK + "medbench_cards():\n    return ['a card']",
            "broken: TypeError: medbench_cards returned str, not a card",
        ),
        (
            HOOK + "medbench_crads():\n    return []",
            "broken: PluginValidationError: unknown hook",
        ),
    ],
)
def test_a_broken_plugin_is_one_line_and_breaks_nothing_else(medbench, install, run, source, said):
    install("broken", source=source)
    rows = {row["plugin"]: row for row in medbench("plugins", "--json").json}
    assert rows["broken"]["version"] == "1.0"
    assert rows["broken"]["offers"].startswith(said)
    assert "\n" not in rows["broken"]["offers"]
    assert rows["medbench-trial"]["offers"]
    done = run("--json")
    assert (done.code, done.record.n_predictions) == (0, 12)


def test_a_plugin_that_fails_when_told_of_a_run_is_a_note(install, run):
    install(
        "teller",
        source=HOOK + "medbench_finished(record):\n    raise OSError('no network')",
    )
    done = run()
    assert done.code == 0
    assert "plugin teller" in done.out
    assert "failed when told of the run: OSError: no network" in done.out


def test_a_name_that_two_plugins_claim_is_refused_and_chosen_by_package(medbench, install, run):
    install("medbench-other", MODEL)
    refused = run()
    assert refused.code == 2
    assert "error: 2 packages offer a model named fake-echo" in refused.err
    assert "choose one: medbench-other/fake-echo, medbench-trial/fake-echo" in refused.err
    ours, theirs = run("--json", model="trial/fake-echo"), run("--json", model="other/fake-echo")
    assert (ours.code, theirs.code) == (0, 0)
    assert ours.record.model.identity != theirs.record.model.identity
    assert {"medbench-trial/fake-echo", "medbench-other/fake-echo"} <= {row["model"] for row in medbench("list", "models", "--json").json}


def test_a_claimed_metric_and_a_claimed_task_are_chosen_by_package_too(medbench, install, run):
    install("medbench-other", f"{METRIC}, {TASK}")
    refused = run("--metric", "vqa")
    assert refused.code == 2
    assert "2 packages offer a metric named vqa" in refused.err
    assert run("--metric", "medbench/vqa").code == 0
    refused = medbench("show", "task", "vqa-rad")
    assert "2 packages offer a task named vqa-rad" in refused.err
    assert "medbench/vqa-rad" in refused.err
    assert medbench("show", "task", "medbench/vqa-rad", "--json").json["dataset"] == "vqa-rad"
