"""From options to a plan: every problem at once, each with a hint."""

from __future__ import annotations

import msgspec
import pytest

from medbench.cards import ModelCard, ReaderCard
from medbench.hookspecs import hookimpl
from medbench.options import RunOptions
from medbench.plan import Plan, resolve
from medbench.record import to_json
from medbench.registry import load_registry
from medbench.testing import plugin


@pytest.fixture
def plan(registry, data):
    """Return a function from options to (plan, problems)."""

    def made(**options):
        given = {"task": "fake-vqa", "model": "fake-echo", "data": str(data), **options}
        return resolve(RunOptions(**given), registry)

    return made


def test_a_good_plan_has_everything_and_no_problem(plan, data):
    made, problems = plan(limit=5, seed=3, by=("site",), images=("true", "blank", "true"), shard="2/4")
    assert problems == []
    assert (made.root, made.split, made.variant, made.limit, made.seed, made.shard) == (str(data), "test", "", 5, 3, (2, 4))
    assert made.params == {"prompt": "{question}", "max_new_tokens": 8, "temperature": 0.0, "seed": 3, "options": "closed"}
    assert [(m.card.name, m.convention) for m in made.metrics] == [("vqa", {"vqa": "exact@1"})]
    assert made.images == ("true", "blank")
    assert made.by == ("site",)
    assert (made.model.name, made.model.plugin, made.model.batch_size) == ("fake-echo", "plugin", 8)
    assert made.executor.name == "local"


def test_a_plan_survives_being_kept(plan):
    made, _ = plan(judge="fake-faulty", judge_options={"fits": "2"})
    assert msgspec.json.decode(to_json(made), type=Plan) == made


def test_every_problem_is_found_at_once(plan):
    _, problems = plan(
        model="fake-ecko", judge="fake-judge", executor="remote", shard="5/4", images=("true", "red"), limit=0, seed=-1, batch_size=0,
        params={"promt": "x"}, metrics=("vqaa",), split="dev", variant="x", protocol="report", data="/nowhere",
    )  # fmt: skip
    said = "\n".join(problem.message for problem in problems)
    for part in (
        "no model named fake-ecko",
        "no model named fake-judge",
        "no executor named remote",
        "--shard 5/4",
        "--images red: unknown",
        "--limit 0",
        "--seed -1",
        "--batch-size 0",
        "has no parameter promt",
        "no metric named vqaa",
        "--split dev: unknown",
        "--variant of fake-qa x: unknown",
        "fake-vqa has no protocol report",
        "/nowhere (--data) is not a folder",
    ):
        assert part in said
    assert len(problems) == 14


@pytest.mark.parametrize("shard", ["0/4", "4", "a/b", "1/", "/2", "-1/2", "3/2", "²/4"])
def test_a_shard_is_a_part_of_parts(plan, shard):
    made, problems = plan(shard=shard)
    assert [problem.message for problem in problems] == [f"--shard {shard}: not of the form part/parts"]
    assert made.shard is None


def test_no_images_at_all_is_a_problem(plan):
    assert "at least one" in plan(images=())[1][0].message


@pytest.mark.parametrize(("options", "said"), [({"task": "no-such"}, "no task named no-such")])
def test_without_a_task_there_is_no_plan(plan, options, said):
    made, problems = plan(**options)
    assert made is None
    assert said in problems[0].message


def test_options_for_a_judge_need_one(plan):
    assert [problem.message for problem in plan(judge_options={"suffix": "!"})[1]] == ["--judge-option: no judge is named"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('protocol = "vqaa"', "protocol: no protocol named vqaa"),
        ('dataset = "fake-qu"', "dataset: no dataset named fake-qu"),
        ("params = {promt = 1}", "params.promt: protocol vqa has no parameter promt"),
        (
            'params = {max_new_tokens = "many"}',
            "params.max_new_tokens: protocol vqa: parameter max_new_tokens=many: expected `int`, got `str`",
        ),
        (
            'params = {prompt = "{quesion}"}',
            "params.prompt: protocol vqa: parameter prompt={quesion}: prompt: no such placeholder {quesion}",
        ),
    ],
)
def test_what_a_task_file_says_wrongly_is_told_with_file_and_key(plan, tmp_path, line, said):
    table = {"title": '"t"', "dataset": '"fake-qa"', "protocol": '"vqa"', "metrics": '["vqa"]'}
    key, _, value = line.partition(" = ")
    path = tmp_path / "mine.toml"
    path.write_text("".join(f"{name} = {text}\n" for name, text in {**table, key: value}.items()))
    (problem,) = plan(task=str(path))[1]
    assert problem.message.startswith(f"{path}: {said}")


def test_a_protocol_of_an_absent_plugin_does_not_stand_in_the_way(plan, tmp_path):
    (tmp_path / "both.toml").write_text('title = "t"\ndataset = "fake-qa"\nprotocol = ["dialogue", "vqa"]\nmetrics = ["vqa"]\n')
    made, problems = plan(task=str(tmp_path / "both.toml"))
    assert (made.protocol.name, problems) == ("vqa", [])


def test_parameters_of_a_run_stand_over_the_tasks(plan):
    assert plan(params={"max_new_tokens": "99"})[0].params["max_new_tokens"] == 99
    assert plan(params={"seed": "5"}, seed=1)[0].params["seed"] == 5


class Choosy:
    """A model class with options."""

    def __init__(self, name="", batch_size=4, device="cpu", weights=""): ...


def test_the_options_of_a_model_are_converted_and_completed(data):
    class Offers:
        @hookimpl
        def medbench_cards(self):
            return [ModelCard(name="choosy", load=f"{__name__}:Choosy", can=("generate",), batch_size=32)]

    registry = load_registry(plugin, Offers())
    options = RunOptions(task="fake-vqa", model="choosy:big", data=str(data), batch_size=2, device="cuda", model_options={"weights": "w"})
    made, problems = resolve(options, registry)
    assert problems == []
    assert made.model.name == "choosy:big"
    assert made.model.options == {"name": "big", "weights": "w", "device": "cuda", "batch_size": 2}
    assert made.model.batch_size == 2
    assert resolve(RunOptions(task="fake-vqa", model="choosy", data=str(data)), registry)[0].model.batch_size == 32


def test_a_models_options_are_checked(plan):
    _, problems = plan(model_options={"sufix": "x"}, batch_size=3)
    assert [(problem.message, problem.hint) for problem in problems] == [("fake-echo has no option sufix", "did you mean suffix?")]
    _, problems = plan(model="fake-faulty", model_options={"fits": "few"})
    assert "fake-faulty: option fits=few: expected `int`" in problems[0].message


def test_a_model_whose_modules_are_missing_says_what_to_install(data):
    class Offers:
        @hookimpl
        def medbench_cards(self):
            return [
                ModelCard(name="heavy", load="medbench_absent:M", can=("generate",), needs=("medbench_absent",), install="pip install it")
            ]

    _, problems = resolve(RunOptions(task="fake-vqa", model="heavy", data=str(data)), load_registry(plugin, Offers()))
    assert [(problem.message, problem.hint) for problem in problems] == [("heavy needs medbench_absent", "pip install it")]


def test_the_first_protocol_that_the_model_allows_is_taken(registry, data, tmp_path):
    (tmp_path / "both.toml").write_text('title = "t"\ndataset = "fake-qa"\nprotocol = ["report", "vqa"]\nmetrics = ["vqa"]\n')
    made, _ = resolve(RunOptions(task=str(tmp_path / "both.toml"), model="fake-echo", data=str(data)), registry)
    assert made.protocol.name == "report"
    made, problems = resolve(RunOptions(task=str(tmp_path / "both.toml"), model="fake-echo", data=str(data), protocol="vqa"), registry)
    assert made.protocol.name == "vqa"
    assert problems == []


def test_a_variant_is_the_first_unless_it_is_named(registry):
    made, problems = resolve(RunOptions(task="vqa-rad", data="twin"), registry)
    assert problems == []
    assert made.variant == registry.get(ReaderCard, "vqa-rad").variants[0]
    _, problems = resolve(RunOptions(task="vqa-rad", data="twin", variant="zzz"), registry)
    assert "--variant of vqa-rad zzz: unknown" in problems[0].message
