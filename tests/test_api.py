"""The doors for Python: what may be given, what comes back, and what is said of a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

import medbench
from medbench import api
from medbench.errors import PlanError, UsageError
from medbench.events import Finished
from medbench.options import RunOptions
from medbench.record import RunRecord
from medbench.tasks import get_task
from medbench.testing import FakeModel
from medbench.types import Text


@pytest.fixture
def given(data, registry, tmp_path):
    return {"data": data, "registry": registry, "runs_dir": tmp_path / "runs"}


def test_a_run_gives_a_record_that_can_be_loaded(given):
    record = medbench.run("fake-vqa", "fake-echo", **given)
    assert isinstance(record, medbench.RunRecord)
    for name in (record.fingerprint, record.fingerprint[:5], "fake-vqa/fake-echo"):
        assert medbench.load_run(name, given["runs_dir"]) == record


def test_a_task_may_be_a_name_a_file_or_an_object(given, registry):
    task = get_task("fake-vqa", registry)
    records = [medbench.run(one, FakeModel(), **given) for one in ("fake-vqa", task.path, task)]
    assert len({record.fingerprint for record in records}) == 1


def test_paths_and_lists_will_do(given):
    record = medbench.run("fake-vqa", "fake-echo", **given, images=["true", "blank"], by=["site"], metrics=["vqa"], limit=9)
    assert record.data.limit == 9
    assert {one.subgroup.get("site") for one in record.scores} == {None, "east", "west"}


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        ({"limt": 3}, "no option named limt", "did you mean limit"),
        ({"limit": "3"}, "option limit: expected `int | null`, got `str`", "RunOptions"),
        ({"metrics": "vqa"}, "option metrics: expected `array`, got `str`", "RunOptions"),
        ({"model_options": [1]}, "option model_options: expected `object`", "RunOptions"),
    ],
)
def test_mistakes_in_options_are_messages(given, options, said, hint):
    with pytest.raises(UsageError) as caught:
        medbench.run("fake-vqa", "fake-echo", **given, **options)
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_what_speaks_against_a_plan_comes_all_at_once(given):
    with pytest.raises(PlanError, match=r"cannot run \(2 problems\)") as caught:
        medbench.run("fake-vqa", "fake-ecko", **{**given, "limit": 0})
    assert [problem.message for problem in caught.value.problems] == ["no model named fake-ecko", "--limit 0: 1 or more is needed"]


class Plain:
    """A model object with nothing but a method."""

    def generate(self, requests):
        return [Text(text="yes") for _ in requests]


def test_any_object_with_a_method_is_a_model(given):
    record = medbench.run("fake-vqa", Plain(), **given)
    assert (record.model.name, record.model.kind, record.n_failed) == ("Plain", "model", 0)
    assert medbench.run("fake-vqa", Plain(), **given).model.identity != record.model.identity


def test_an_object_is_what_it_says_it_is(given):
    record = medbench.run("fake-vqa", FakeModel("x", name="mine", facts={"digest": "d"}), **given)
    assert (record.model.name, record.model.loaded) == ("mine", {"digest": "d"})
    assert medbench.run("fake-vqa", FakeModel("y", name="mine", identity="other"), **given).fingerprint != record.fingerprint


@pytest.mark.parametrize(("name", "value"), [("device", "cuda"), ("workers", 2), ("model_options", {"suffix": "!"})])
def test_an_object_takes_no_options(given, name, value):
    with pytest.raises(UsageError, match=f"{name}: Plain is built already"):
        medbench.run("fake-vqa", Plain(), **given, **{name: value})


def test_an_object_without_a_method_is_none(given):
    with pytest.raises(UsageError, match="object has none of the methods generate, classify"):
        medbench.run("fake-vqa", object(), **given)


def test_an_object_that_cannot_do_what_is_needed_is_refused(given):
    class Embeds:
        def embed(self, requests):
            raise AssertionError

    with pytest.raises(PlanError) as caught:
        medbench.run("fake-vqa", Embeds(), **given)
    assert caught.value.problems[0].message == "Embeds can embed; fake-vqa needs a model that can generate"


def test_the_window_of_an_object_is_its_own_or_the_callers(given):
    small, asked_for = FakeModel(batch_size=1, identity="a"), FakeModel(batch_size=1, identity="b")
    medbench.run("fake-vqa", small, **given, images=("true", "blank"))
    assert max(small.windows) == 16
    medbench.run("fake-vqa", asked_for, **given, images=("true", "blank"), batch_size=2)
    assert max(asked_for.windows) == 24


def test_events_are_told_and_the_last_holds_the_record(given):
    seen = []
    record = medbench.run("fake-vqa", "fake-echo", **given, on_event=seen.append)
    assert isinstance(seen[-1], Finished)
    assert seen[-1].record is record


def test_a_plan_can_be_looked_at_without_a_run(given, registry, tmp_path):
    plan, problems = api.plan_run(RunOptions(task="fake-vqa", model="fake-echo", data=str(given["data"])), registry)
    assert problems == []
    assert plan.model.name == "fake-echo"
    assert not (tmp_path / "runs").exists()


def test_scores_of_a_file_come_back_as_a_record(given, tmp_path):
    (tmp_path / "x.jsonl").write_text('{"id": "test-000", "prediction": "yes"}\n')
    record = medbench.score(task="fake-vqa", predictions=tmp_path / "x.jsonl", **given)
    assert isinstance(record, RunRecord)
    assert medbench.score(Path(given["runs_dir"]) / "fake-vqa" / "x" / record.fingerprint, registry=given["registry"]) == record


def test_the_front_door_is_light_and_whole():
    import subprocess
    import sys

    heavy = ("numpy", "PIL", "pluggy", "msgspec")
    code = f"import sys, medbench; assert not [n for n in {heavy} if n in sys.modules]; print(medbench.__version__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert all(hasattr(medbench, name) for name in medbench.__all__)
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = medbench.runn
