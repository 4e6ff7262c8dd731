"""Suite files: read strictly, spread into runs, ordered so that a model is loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from medbench.errors import UsageError
from medbench.registry import load_registry
from medbench.suites import cells, read_suite, shared_axes

SHIPPED = sorted((Path(__file__).parents[1] / "suites").glob("*.toml"))

MATRIX = """
title = "A matrix"
tasks = ["one", { name = "two", limit = 5 }]
models = [
    "plain",
    { name = "tuned", model_option = { weights = "W", k = 1 }, axes = { "model_option.k" = [2, 3] } },
]
seeds = [0, 7]

[options]
data = "twin"
metric = "bleu"
model-option = { shared = true }

[axes]
"param.shots" = [1, 4]
"""


@pytest.fixture
def suite(tmp_path):
    """Writes a suite file and reads it."""

    def make(text):
        path = tmp_path / "suite.toml"
        path.write_text(text, encoding="utf-8")
        return read_suite(path)

    return make


def test_a_suite_is_every_combination(suite):
    found = cells(suite(MATRIX), "elsewhere")
    assert len(found) == 2 * 2 * 2 + 2 * 2 * 2 * 2
    assert len({cell.label for cell in found}) == len(found)
    options = found[0].options
    assert (options.task, options.model, options.seed, options.data, options.runs_dir) == ("one", "plain", 0, "twin", "elsewhere")
    assert options.metrics == ("bleu",)
    assert options.params == {"shots": 1}
    assert options.model_options == {"shared": True}
    assert {cell.options.limit for cell in found if cell.task == "two"} == {5}
    tuned = [cell for cell in found if cell.model == "tuned"]
    assert {cell.options.model_options["k"] for cell in tuned} == {2, 3}, "an axis stands over an option of the same name"
    assert all(cell.options.model_options["weights"] == "W" for cell in tuned)
    assert {cell.seed for cell in found} == {0, 7}


def test_runs_of_one_loaded_model_follow_each_other(suite):
    found = cells(suite(MATRIX), "runs")
    order = [cell.weights for cell in found]
    blocks = [weights for at, weights in enumerate(order) if at == 0 or order[at - 1] != weights]
    assert len(blocks) == len(set(blocks)) == 3
    assert found == cells(suite(MATRIX), "runs")


def test_axes_are_named_shortly_where_that_is_clear(suite):
    found = cells(suite(MATRIX), "runs")
    assert shared_axes(found) == {"param.shots": "shots", "model_option.k": "k"}
    both = suite('tasks=["t"]\nmodels=["m"]\n[axes]\n"param.k"=[1]\n"model_option.k"=[2]')
    assert list(shared_axes(cells(both, "runs")).values()) == ["param.k", "model_option.k"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks = [", "suite.toml: "),
        ('taskz = ["t"]', "unknown key taskz"),
        ('models = ["m"]', "tasks: a list of names"),
        ('tasks = []\nmodels = ["m"]', "tasks: a list of names"),
        ('tasks = ["t"]\nmodels = [{ model_option = { k = 1 } }]', r"models\[0\]: a name"),
        ('tasks = ["t"]\nmodels = [{ name = "m", lr = 1 }]', r"models\[0\].lr: unknown option"),
        ('tasks = ["t"]\nmodels = ["m"]\nseeds = [0, 0]', "seeds: "),
        ('tasks = ["t"]\nmodels = ["m"]\nseeds = [-1]', "seeds: "),
        ('tasks = ["t"]\nmodels = ["m"]\nseeds = [true]', "seeds: "),
        ('tasks = ["t"]\nmodels = ["m"]\n[options]\nlimit = "x"', "options: limit: expected `int"),
        ('tasks = ["t"]\nmodels = ["m"]\n[options]\nseed = 1', "options.seed: seeds have their own key"),
        ('tasks = ["t"]\nmodels = ["m"]\n[axes]\nshots = [1]', "axes.shots: unknown option"),
        ('tasks = ["t"]\nmodels = ["m"]\n[axes]\n"param.shots" = 1', "axes.param.shots: a list of values"),
        ('tasks = ["t"]\nmodels = ["m"]\n[axes]\n"param.shots" = []', "axes.param.shots: a list of values"),
        ('tasks = ["t"]\nmodels = ["m"]\n[axes]\nparam = [1]', "axes.param: not an option of a run"),
        ('tasks = ["t"]\nmodels = ["m"]\n[axes]\n"limit.x" = [1]', "axes.limit.x: not an option of a run"),
        ('title = 3\ntasks = ["t"]\nmodels = ["m"]', "title: a text"),
        (
            'tasks = ["t"]\nmodels = ["m"]\n[axes]\n"limit" = [%s]\n"param.a" = [%s]' % ((",".join(map(str, range(1, 200))),) * 2),
            "more than 10,000 runs",
        ),
    ],
)
def test_mistakes_name_file_key_and_value(suite, text, message):
    with pytest.raises(UsageError, match=message) as refused:
        suite(text)
    assert "suite.toml" in refused.value.message


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_suite(tmp_path / "gone.toml")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
@pytest.mark.usefixtures("installed_plugins")
def test_shipped_suites_name_what_there_is(path, monkeypatch):
    from medbench.suite_runs import plan_suite

    monkeypatch.chdir(path.parents[1])
    planned = plan_suite(cells(read_suite(path), "runs"), load_registry())
    assert len(planned) == len(cells(read_suite(path), "runs"))
