"""Which metrics are computed, under which conventions, with which options."""

from __future__ import annotations

import pytest

from medbench.cards import MetricCard, ScoreFacts
from medbench.hookspecs import hookimpl
from medbench.metric_plans import MetricPlan, plan_metrics
from medbench.options import RunOptions
from medbench.registry import load_registry
from medbench.tasks import Task


class Measure:
    """A metric class with an option."""

    def __init__(self, convention, order: int = 4, name: str = ""): ...


def card(name, **fields):
    return MetricCard(name=name, load=f"{__name__}:Measure", takes=("text",), scores={name: ScoreFacts()}, **fields)


class Offers:
    """A plugin with metrics of two families of conventions."""

    @hookimpl
    def medbench_cards(self):
        return [
            card("alpha", conventions={"text": ("plain@1", "ptb@2"), "corpus": ("test@1", "train@1")}),
            card("beta", conventions={"text": ("ptb@2", "plain@1")}),
            card("gamma"),
            card("heavy", needs=("medbench_absent",), install="pip install heavy"),
            MetricCard(name="broken", load="medbench_absent:M", takes=("text",), scores={}),
        ]


@pytest.fixture
def metrics():
    return load_registry(Offers())


def task(*names, **conventions):
    return Task(name="t", title="t", dataset="d", protocol=("vqa",), metrics=names, conventions=conventions)


@pytest.fixture
def plan(metrics):
    def made(of, **options):
        problems = []
        planned, absent = plan_metrics(of, RunOptions(task="t", **options), metrics, problems)
        return planned, absent, [(problem.message, problem.hint) for problem in problems]

    return made


def test_the_tasks_conventions_stand_over_the_cards_defaults(plan):
    planned, _, problems = plan(task("alpha", "beta", text="plain"))
    assert problems == []
    assert [one.convention for one in planned] == [{"text": "plain@1", "corpus": "test@1"}, {"text": "plain@1"}]


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (("ptb",), [{"text": "ptb@2", "corpus": "test@1"}, {"text": "ptb@2"}]),
        (("text=ptb@2",), [{"text": "ptb@2", "corpus": "test@1"}, {"text": "ptb@2"}]),
        (("train",), [{"text": "plain@1", "corpus": "train@1"}, {"text": "plain@1"}]),
        (
            ("text=all",),
            [{"text": "plain@1", "corpus": "test@1"}, {"text": "ptb@2", "corpus": "test@1"}, {"text": "plain@1"}, {"text": "ptb@2"}],
        ),
        (("plain", "plain@1"), [{"text": "plain@1", "corpus": "test@1"}, {"text": "plain@1"}]),
    ],
)
def test_conventions_that_are_asked_for_are_computed_one_by_one(plan, asked, made):
    planned, _, problems = plan(task("alpha", "beta", text="plain"), conventions=asked)
    assert problems == []
    assert [one.convention for one in planned] == made


def test_an_unknown_convention_is_a_problem(plan):
    assert plan(task("alpha"), conventions=("plian",))[2] == [("no convention named plian", "did you mean plain?")]
    assert plan(task("alpha"), conventions=("corpus=plain",))[2][0][0] == "no convention named corpus=plain"
    assert plan(task("alpha", text="plian@1"))[2] == [("t: conventions.text = 'plian@1' is unknown", "did you mean plain@1?")]
    assert plan(task("alpha", vqa="anything"))[2] == []


def test_what_is_not_installed_is_left_out_and_named(plan):
    planned, absent, problems = plan(task("gamma", "bleu", "heavy", "zzz"))
    assert [one.card.name for one in planned] == ["gamma"]
    assert absent["bleu"] == "bleu comes with medbench-lexical: pip install medbench-lexical"
    assert absent["heavy"] == "needs medbench_absent: pip install heavy"
    assert absent["zzz"]
    assert problems == []


def test_nothing_installed_is_a_problem(plan):
    _, _, problems = plan(task("bleu", "heavy"))
    assert problems[0][0] == "none of the metrics of t is installed (bleu, heavy)"
    assert "pip install medbench-lexical" in problems[0][1]


def test_metrics_that_are_asked_for_must_be_there(plan):
    planned, _, problems = plan(task("alpha"), metrics=("gamma", "gamma", "zzz"))
    assert [one.card.name for one in planned] == ["gamma"]
    assert [message for message, _ in problems] == ["no metric named zzz"]


def test_options_go_to_all_that_take_them_or_to_one(plan):
    planned, _, problems = plan(task("alpha", "gamma"), metric_options={"order": "2", "gamma.order": "3"})
    assert problems == []
    assert [one.options for one in planned] == [{"order": 2}, {"order": 3}]
    assert len({one.slug for one in planned}) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"odrer": "2"}, "--metric-option odrer: none of alpha, gamma has it"),
        ({"beta.order": "2"}, "--metric-option beta.order: beta is not computed here"),
        ({"alpha.odrer": "2"}, "alpha has no option odrer"),
        ({"order": "two"}, "alpha: option order=two: expected `int`"),
    ],
)
def test_options_that_do_not_fit_are_problems(plan, options, said):
    assert said in plan(task("alpha", "gamma"), metric_options=options)[2][0][0]


def test_a_class_that_cannot_be_imported_is_a_problem_not_a_crash(plan):
    _, _, problems = plan(task("gamma", "broken"), metric_options={"zzz": "1"})
    assert ("broken: cannot import medbench_absent (No module named 'medbench_absent')", "is its package installed?") in problems


def test_what_stands_behind_the_colon_is_an_option(plan):
    planned, _, problems = plan(task("alpha"), metrics=("gamma:org/name",))
    assert problems == []
    assert planned[0].options == {"name": "org/name"}


def test_a_slug_is_a_file_name_and_tells_options_apart():
    plain = MetricPlan(card=card("a"), convention={"x": "b@1", "y": "a/c@2"})
    assert plain.slug == "a-a-c@2-b@1"
    assert MetricPlan(card=card("a"), options={"order": 1}).slug != MetricPlan(card=card("a"), options={"order": 2}).slug
