"""Which protocol of a task a model is put to, and what is said where none fits or a package is missing."""

from __future__ import annotations

import msgspec
import pytest

from medbench.cards import ModelCard, ProtocolCard
from medbench.check import check
from medbench.hookspecs import hookimpl
from medbench.options import RunOptions
from medbench.plan import resolve
from medbench.registry import load_registry
from medbench.testing import plugin
from medbench.testing.models import FakeModel

WHERE = "medbench.testing.models:FakeModel"
CARDS = [
    ModelCard(name="both", load=WHERE, can=("embed",), isolated=False),
    ModelCard(name="images-only", load=WHERE, can=("embed",), min_images=1, isolated=False),
    ModelCard(name="texts-only", load=WHERE, can=("embed",), max_images=0, isolated=False),
    ModelCard(name="single", load=WHERE, can=("embed",), max_images=1, isolated=False),
    ModelCard(name="classifier", load=WHERE, can=("classify",), isolated=False),
    ModelCard(name="writer", load=WHERE, can=("generate",), isolated=False),
]


class Offers:
    """A plugin with encoders of all kinds, and a protocol that needs a package nobody has."""

    @hookimpl
    def medbench_cards(self):
        needy = ProtocolCard(
            name="needy",
            load="medbench.builtin.protocols.probe:Probe",
            asks="embed",
            gives="probabilities",
            splits=("train", "test"),
            needs=("no_such_package",),
            install="pip install 'medbench[nothing]'",
        )
        return [*CARDS, needy]


@pytest.fixture(scope="module")
def encoders():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_PLUGINS", "")
        return load_registry(plugin, Offers())


def planned(registry, task, model, **options):
    plan, problems = resolve(RunOptions(task=task, model=model, data="twin", **options), registry)
    return plan, [f"{p.message} | {p.hint}" for p in [*problems, *(check(plan, registry) if plan else [])]]


@pytest.mark.parametrize(
    ("task", "model", "protocol"),
    [
        ("nih-cls14", "classifier", "multilabel"),
        ("nih-cls14", "both", "zero-shot"),
        ("nih-cls14", "images-only", "probe"),
        ("nih-cls14", "raw-pixels", "probe"),
        ("mscxr-t", "both", "temporal"),
        ("mscxr-t", "writer", "choice"),
        ("roco-cui", "texts-only", "concepts"),
        ("roco-cui", "classifier", "multilabel"),
    ],
)
def test_the_first_protocol_that_the_model_fits_is_taken(encoders, task, model, protocol):
    plan, problems = planned(encoders, task, model)
    assert plan.protocol.name == protocol
    assert problems == []


@pytest.mark.parametrize(
    ("task", "model", "said"),
    [
        ("roco-matching", "images-only", "images-only takes no text without an image; protocol matching of roco-matching needs that"),
        ("roco-matching", "texts-only", "texts-only takes no image; protocol matching"),
        ("mscxr-t", "single", "single takes 1 image at a time, not 2; protocol temporal of mscxr-t needs that"),
        ("mscxr-t", "images-only", "images-only takes no text without an image; protocol temporal"),
        ("roco-matching", "writer", "writer can generate; roco-matching needs a model that can embed"),
    ],
)
def test_why_no_protocol_fits_is_said_before_anything_runs(encoders, task, model, said):
    _, problems = planned(encoders, task, model)
    assert len(problems) == 1
    assert problems[0].startswith(said)


def test_a_missing_package_of_a_protocol_is_a_problem_with_what_to_install(encoders, monkeypatch):
    monkeypatch.setattr("medbench.protocol_plans.missing_modules", lambda card: ["sklearn"] if card.name == "probe" else [])
    _, problems = planned(encoders, "pneumonia-fewshot", "raw-pixels")
    assert problems == ["protocol probe needs sklearn | pip install 'medbench[probe]'"]


def test_modules_that_nobody_has_are_found_missing(encoders, tmp_path):
    task = tmp_path / "mine.toml"
    task.write_text('title = "t"\ndataset = "pneumonia"\nprotocol = ["needy"]\nmetrics = ["accuracy"]\n')
    _, problems = planned(encoders, str(task), "both")
    assert problems == ["protocol needy needs no_such_package | pip install 'medbench[nothing]'"]


def test_what_a_task_says_to_another_of_its_protocols_is_no_mistake(encoders):
    plan, problems = planned(encoders, "roco-modality", "images-only")
    assert (plan.protocol.name, problems) == ("probe", [])
    assert "prompts" not in plan.params
    plan, _ = planned(encoders, "roco-modality", "both")
    assert plan.params["prompts"]["x-ray"] == ["xray"]


def test_a_mistyped_parameter_is_still_one(encoders, tmp_path):
    task = tmp_path / "mine.toml"
    task.write_text('title = "t"\ndataset = "pneumonia"\nprotocol = ["probe", "zero-shot"]\nmetrics = ["accuracy"]\n[params]\nshot = [1]\n')
    _, problems = planned(encoders, str(task), "both")
    assert len(problems) == 1
    assert "protocol probe has no parameter shot | did you mean shots?" in problems[0]
    _, problems = planned(encoders, "pneumonia-fewshot", "both", params={"shots": "ten"})
    assert "parameter shots=ten: shots: ten; positive numbers and all" in problems[0]


def test_the_run_seed_is_that_of_batches_and_draws(encoders):
    for task in ("roco-matching", "pneumonia-fewshot"):
        assert planned(encoders, task, "both", seed=7)[0].params["seed"] == 7


def test_a_card_without_needs_of_its_own_is_not_held_up():
    card = ProtocolCard(name="p", load="", asks="embed", gives="ranking", alone=("image",))
    needy = msgspec.structs.replace(CARDS[0], needs_text=True)
    assert card.misfit(needy) == "both takes no image without a text"
    assert callable(FakeModel().embed)
