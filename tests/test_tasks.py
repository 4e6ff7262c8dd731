"""Tasks: the shipped ones are whole, and every mistake in a file is met with file, key and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medbench.cards import MetricCard, ProtocolCard, ReaderCard, TaskCard
from medbench.errors import UsageError
from medbench.hookspecs import hookimpl
from medbench.options import RunOptions
from medbench.plan import resolve
from medbench.registry import KNOWN_PLUGINS, load, load_registry
from medbench.tasks import Task, get_task, read_task, task_files
from medbench.testing import plugin

SHIPPED = sorted((Path(__file__).parents[1] / "tasks").glob("*/*.toml"))

GOOD = """
title = "t"
dataset = "fake-qa"
protocol = ["vqa"]
metrics = ["vqa"]
"""


def written(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
class TestShipped:
    def test_is_valid_and_its_cards_exist(self, path, registry):
        task = read_task(path)
        reader = registry.get(ReaderCard, task.dataset)
        assert task.split in reader.splits
        assert not task.variant or task.variant in reader.variants
        here = [load(registry.get(ProtocolCard, name)) for name in task.protocol]
        assert set(task.params) <= {name for one in here for name in one.Params.__struct_fields__} or not here
        known = {metric for metrics in KNOWN_PLUGINS.values() for metric in metrics} | set(registry.names(MetricCard))
        assert set(task.metrics) <= known

    def test_says_what_it_is_and_where_it_comes_from(self, path, registry):
        task = read_task(path)
        reader = registry.get(ReaderCard, task.dataset)
        assert task.title
        assert task.citation
        assert reader.licence
        assert reader.access
        assert task.primary or task.dataset == "custom", "a user's own data have no board"
        assert task.columns[:1] in {(), (task.primary,)}
        assert all(row.source for row in task.published)

    def test_its_metrics_are_known_where_they_are_installed(self, path, registry):
        task = read_task(path)
        installed = [card for name in task.metrics if name in registry.names(MetricCard) and (card := registry.get(MetricCard, name))]
        for score in filter(None, (task.primary, *task.columns)):
            metric, _, name = score.partition("/")
            assert metric in task.metrics
            assert all(name in card.scores for card in installed if card.name == metric), score
        _, problems = resolve(RunOptions(task=task.name, data="twin", metrics=tuple(card.name for card in installed)), registry)
        assert problems == [] or not installed


def test_shipped_tasks_are_found_by_name(registry):
    assert SHIPPED
    for path in SHIPPED:
        assert get_task(path.stem, registry) == read_task(path)
    assert set(task_files(registry)) == {path.stem for path in SHIPPED} | {"fake-vqa"}


def test_a_minimal_file_is_a_task(tmp_path):
    task = read_task(written(tmp_path, GOOD))
    assert (task.name, task.split, task.protocol, task.path) == ("mine", "test", ("vqa",), str(tmp_path / "mine.toml"))
    assert read_task(written(tmp_path, GOOD.replace('["vqa"]', '"vqa"', 1))).protocol == ("vqa",)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("title = =", "not valid TOML.*line 1", "mend that line"),
        ("\ufeff\x00", "not valid TOML", "mend that line"),
        (GOOD + 'metrcs = ["x"]', "unknown key metrcs", "did you mean metrics?"),
        (GOOD + "zzzzzz = 1", "unknown key zzzzzz", "allowed keys: name, title, dataset, protocol, metrics, split"),
        (GOOD + "published_by = 1", "unknown key published_by", "did you mean published?"),
        (GOOD.replace('dataset = "fake-qa"', ""), "key dataset is missing", "keys of a task: name, title"),
        (GOOD.replace('["vqa"]', "3"), "protocol: expected `array`, got `int`", "keys of a task"),
        (GOOD.replace('metrics = ["vqa"]', 'metrics = "vqa"'), "metrics: expected `array`, got `str`", "keys of a task"),
        (GOOD.replace('metrics = ["vqa"]', "metrics = [3]"), r"metrics\[0\]: expected `str`, got `int`", "keys of a task"),
        (GOOD.replace('metrics = ["vqa"]', "metrics = []"), "at least one protocol and one metric", 'metrics = ["vqa"]'),
        (GOOD + 'split = "dev"', "split: invalid enum value 'dev'", "allowed: train, val, test"),
        (GOOD + 'name = "other"', "name is 'other'", "a task is named as its file: 'mine'"),
        (GOOD + 'primary = "bleu/bleu-4"', "primary: 'bleu/bleu-4' is no score of this task", "metric/name, of the metrics vqa"),
        (GOOD + 'primary = "vqa"', "primary: 'vqa' is no score", "metric/name"),
        (GOOD + 'columns = ["vqa/overall", "x/y"]', "columns: 'x/y' is no score", "metric/name"),
        (GOOD + "[params]\nprompt = 1\n[params2]", "unknown key params2", "did you mean params?"),
        (
            GOOD + '[[published]]\nsystem = "s"\nmetric = "m"\nvalue = "0.5"\nsource = "x"',
            r"published\[0\]\.value: expected `float`, got `str`",
            "keys of a task: system, metric, value, source",
        ),
        (GOOD + '[[published]]\nsystem = "s"\nsorce = "x"', r"unknown key published\[0\]\.sorce", "did you mean source?"),
        (GOOD + '[[published]]\nsystem = "s"', "key metric is missing", "keys of a task: system"),
        (GOOD + "[conventions]\nvqa = 1", r"conventions\[\.\.\.\]: expected `str`, got `int`", "keys of a task"),
    ],
)
def test_every_mistake_names_file_key_and_what_is_allowed(tmp_path, text, said, hint):
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=said) as caught:
        read_task(path)
    assert str(path) in caught.value.message
    assert hint in caught.value.hint
    assert not re.search(r"\bpath\b", caught.value.hint)


@pytest.mark.parametrize("name", ["gone.toml", "folder.toml"])
def test_a_file_that_cannot_be_read_is_a_message(tmp_path, registry, name):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UsageError, match=name):
        get_task(str(tmp_path / name), registry)


@pytest.mark.parametrize(
    ("more", "said", "hint"),
    [
        ("[params]\nprmpt = 'x'", "protocol vqa has no parameter prmpt", "did you mean prompt?"),
        ("[params]\nmax_new_tokens = 'many'", "protocol vqa: parameter max_new_tokens=many: expected `int`", ""),
        ("[conventions]\nvqa = 'medbnch'", "conventions.vqa = 'medbnch' is unknown", "did you mean medbench@1"),
    ],
)
def test_what_only_the_cards_can_tell_is_a_problem_of_the_plan(tmp_path, registry, data, more, said, hint):
    path = written(tmp_path, GOOD + more)
    _, problems = resolve(RunOptions(task=str(path), data=str(data)), registry)
    assert len(problems) == 1
    assert said in problems[0].message
    assert hint in problems[0].hint


def test_an_unknown_task_is_met_with_the_nearest(registry):
    with pytest.raises(UsageError, match="no task named vqarad") as caught:
        get_task("vqarad", registry)
    assert "did you mean vqa-rad" in caught.value.hint


class Offers:
    """A plugin with one task card."""

    def __init__(self, name, where):
        self.__name__ = name
        self.card = TaskCard(name="fake-vqa", load=where)

    @hookimpl
    def medbench_cards(self):
        return [self.card]


def test_two_claims_must_be_told_apart():
    crowded = load_registry(plugin, Offers("medbench-second", "medbench.testing:fake-vqa.toml"))
    with pytest.raises(UsageError, match="2 packages offer a task named fake-vqa") as caught:
        get_task("fake-vqa", crowded)
    assert caught.value.hint == "choose one: plugin/fake-vqa, medbench-second/fake-vqa"
    assert get_task("second/fake-vqa", crowded) == get_task("plugin/fake-vqa", crowded)


@pytest.mark.parametrize(
    "where", ["medbench_absent:x.toml", "medbench_absent.sub:x.toml", "medbench.testing:absent.toml", "medbench.tasks:x.toml"]
)
def test_a_card_that_points_nowhere_breaks_its_own_task_alone(where):
    registry = load_registry(Offers("medbench-second", where))
    assert get_task("vqa-rad", registry)
    with pytest.raises(UsageError, match="no such file"):
        get_task("fake-vqa", registry)


def test_a_task_is_immutable_data():
    task = Task(name="n", title="t", dataset="d", protocol=("p",), metrics=("m",))
    with pytest.raises(AttributeError):
        task.name = "other"
