"""What is known to be wrong before anything is loaded, above all where credentialed data would go."""

from __future__ import annotations

import msgspec
import pytest

from medbench.cards import ModelCard
from medbench.check import check, check_scoring
from medbench.errors import Problem
from medbench.hookspecs import hookimpl
from medbench.options import RunOptions
from medbench.plan import resolve
from medbench.registry import load_registry
from medbench.testing import plugin, write_fake_data


class Remote:
    """A model class that would send things away."""

    def __init__(self, local: bool = False, **options): ...


class Offers:
    """A plugin with models of all kinds."""

    @hookimpl
    def medbench_cards(self):
        where = f"{__name__}:Remote"
        return [
            ModelCard(name="remote", load=where, can=("generate",), networked=True),
            ModelCard(name="embedder", load=where, can=("embed", "classify")),
            ModelCard(name="learner", load=where, can=("generate",), fits="always"),
        ]


@pytest.fixture
def mixed():
    return load_registry(plugin, Offers())


@pytest.fixture
def problems(mixed, tmp_path):
    """Return a function from options to the messages of a check."""

    def found(access="synthetic", change=None, **options):
        data = write_fake_data(tmp_path / access, access=access)
        given = {"task": "fake-vqa", "model": "fake-echo", "data": str(data), **options}
        plan, before = resolve(RunOptions(**given), mixed)
        assert before == []
        return [f"{problem.message} | {problem.hint}" for problem in check(change(plan) if change else plan, mixed)]

    return found


def test_a_good_plan_has_no_problem(problems):
    assert problems() == []


def test_a_model_that_cannot_do_what_the_task_needs(problems):
    (said,) = problems(model="embedder")
    assert said.startswith("embedder can embed and classify; fake-vqa needs a model that can generate | models that do: ")
    assert "fake-echo" in said


def test_a_learner_needs_a_train_split(problems):
    def without_train(plan):
        return msgspec.structs.replace(plan, reader=msgspec.structs.replace(plan.reader, splits=("test",)))

    assert problems(model="learner") == []
    assert problems(model="learner", change=without_train) == ["learner learns from a train split; fake-qa has none | "]


def test_a_split_that_the_data_lacks(problems):
    assert problems(split="val") == ["fake-qa has no val split | it has: train, test"]


def test_what_the_reader_finds_is_passed_on(mixed, tmp_path):
    plan, before = resolve(RunOptions(task="fake-vqa", model="fake-echo", data=str(tmp_path)), mixed)
    assert before == []
    assert [problem.message for problem in check(plan, mixed)] == [f"{tmp_path}: no fake.json"]


def test_a_metric_that_measures_something_else(problems):
    def of_pictures(plan):
        metric = plan.metrics[0]
        card = msgspec.structs.replace(metric.card, takes=("picture", "vector"))
        return msgspec.structs.replace(plan, metrics=(msgspec.structs.replace(metric, card=card),))

    assert problems(change=of_pictures) == ["metric vqa measures picture or vector; protocol vqa gives text | medbench list metrics"]


@pytest.mark.parametrize(("role", "can", "cannot"), [("judge", "generate", ""), ("encoder", "embed", "fake-echo")])
def test_a_metric_that_asks_needs_a_judge_that_can_answer(problems, role, can, cannot):
    def asking(plan):
        metric = plan.metrics[0]
        card = msgspec.structs.replace(metric.card, asks=(role,))
        return msgspec.structs.replace(plan, metrics=(msgspec.structs.replace(metric, card=card),))

    assert problems(change=asking)[0] == f"vqa asks a second model, and none is named | --judge MODEL   (medbench list models --can {can})"
    found = problems(change=asking, judge="fake-echo")
    assert [problem.partition(" |")[0] for problem in found] == (
        [f"metric vqa asks a model that can embed; {cannot} can generate"] if cannot else []
    )


def test_a_judge_that_nothing_asks_is_said(problems):
    (said,) = problems(judge="fake-echo")
    assert said == "--judge fake-echo: nothing asks it (computed: vqa) | leave it out, or --metric NAME"


class TestDataUse:
    @pytest.mark.parametrize("access", ["credentialed", "restricted"])
    def test_guarded_data_goes_to_no_other_machine(self, problems, access):
        (said,) = problems(access, model="remote")
        assert said.startswith(f"remote would send fake-qa ({access} data) to another machine | ")
        assert "--i-have-permission-to-send" in said

    @pytest.mark.parametrize("access", ["open", "synthetic", "click-through"])
    def test_other_data_may(self, problems, access):
        assert problems(access, model="remote") == []

    @pytest.mark.parametrize(
        ("terms", "said"), [("deny", "its terms let no third party"), ("zero-retention-only", "no third-party retention")]
    )
    def test_open_data_whose_terms_name_such_services_go_there_no_more_than_guarded_ones(self, problems, terms, said):
        def under(plan):
            return msgspec.structs.replace(plan, reader=msgspec.structs.replace(plan.reader, external_api=terms))

        (found,) = problems("open", model="remote", change=under)
        assert said in found
        assert problems("synthetic", model="remote", change=under) == []
        assert problems("open", model="remote", change=under, permission="asked them") == []

    def test_a_model_on_this_machine_may_have_it(self, problems):
        assert problems("credentialed") == []

    def test_so_may_an_endpoint_that_the_user_calls_local(self, problems):
        assert problems("credentialed", model="remote", model_options={"local": "true"}) == []
        assert problems("credentialed", model="remote", model_options={"local": "1"}) == []

    @pytest.mark.parametrize("local", ["false", "0"])
    def test_but_not_one_that_is_said_not_to_be(self, problems, local):
        assert problems("credentialed", model="remote", model_options={"local": local})

    def test_text_is_no_truth(self, problems):
        def as_text(plan):
            return msgspec.structs.replace(plan, model=msgspec.structs.replace(plan.model, options={"local": "false"}))

        assert problems("credentialed", model="remote", change=as_text)

    def test_a_permission_in_words_opens_the_way(self, problems):
        assert problems("credentialed", model="remote", permission="DUA 7, hospital cloud") == []
        assert problems("credentialed", model="remote", permission="  ")

    def test_the_judge_is_guarded_as_the_model_is(self, problems, mixed, tmp_path):
        assert problems("credentialed", judge="remote")[1].startswith("remote would send fake-qa")
        plan, _ = resolve(RunOptions(task="fake-vqa", judge="remote", data=str(tmp_path / "credentialed")), mixed)
        found = check_scoring(plan, "credentialed", mixed)
        assert [problem.message for problem in found][1:] == ["remote would send fake-qa (credentialed data) to another machine"]


@pytest.mark.parametrize(
    ("part", "model", "kept"),
    [
        ("", "fake-echo", True),
        ("pictures", "fake-echo", True),
        ("pictures", "", False),
        ("train", "fake-echo", False),
        ("train", "majority", True),
        ("test", "", True),
    ],
)
def test_a_problem_of_a_part_of_the_data_counts_where_the_part_is_needed(data, registry, monkeypatch, part, model, kept):
    monkeypatch.setattr("medbench.testing.data.FakeReader.check", lambda *_: [Problem("gone", part=part)])
    plan, _ = resolve(RunOptions(task="fake-vqa", model=model, data=str(data)), registry)
    assert ("gone" in [problem.message for problem in check(plan, registry)]) is kept


def test_the_refusal_says_what_it_rests_on_and_what_can_be_done_here(problems):
    (said,) = problems("restricted", model="remote", model_options={"base_url": "https://user:secret@api.example.org:8443/v1"})
    assert said.startswith("remote would send fake-qa (restricted data) to api.example.org:8443 | agreement: CC0-1.0.")
    assert "secret" not in said
    assert "(24 September 2025)" in said
    assert "local instead: --model " in said
    assert "fake-echo" in said
    assert "--model-option local=true" in said


def test_open_data_with_terms_is_refused_without_the_agreements_text(problems):
    def under(plan):
        return msgspec.structs.replace(plan, reader=msgspec.structs.replace(plan.reader, external_api="deny"))

    (said,) = problems("open", model="remote", change=under)
    assert "24 September" not in said
