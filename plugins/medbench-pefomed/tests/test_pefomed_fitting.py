"""Fine-tuning: the published trainable set and stages, what training sees, what is written, and that the same model loads it."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
import torch
from medbench_pefomed.cropping import Cropped, box_of
from medbench_pefomed.fitting import fit, learner_of, stages_of
from medbench_pefomed.model import MiniGptV2, Pefomed
from medbench_pefomed.network import PLACE
from medbench_pefomed.recipe import left_out
from medbench_torch.testing import asked
from PIL import Image as Pil
from safetensors.torch import load_file

from medbench.errors import UsageError
from medbench.interfaces import Examples
from medbench.types import Failed, Generate, Text

QUESTION = "Is the heart (RV) enlarged?"


@pytest.fixture(scope="session")
def examples(pictures):
    answers = ("Yes.", "no", "Right: lower lobe!")
    return [
        (Generate(prompt=QUESTION, images=(picture,), kind="x"), Text(text=answer))
        for picture, answer in zip(pictures, answers, strict=True)
    ]


@pytest.fixture(scope="session")
def reports(pictures):
    return [(Generate(prompt="Write a report.", images=(picture,)), Text(text="The lungs are clear.")) for picture in pictures]


@pytest.fixture(scope="session")
def both(examples, reports):
    return Examples({"vqa-rad": examples, "mimic-mrg": reports})


def preset(**options):
    return Pefomed(**{"preset": "tiny", "base_steps": 3, "steps": 3, "caption_steps": 2, "batch_size": 2, "device": "cpu", **options})


@pytest.fixture(scope="session")
def fitted(both, tmp_path_factory):
    """Return the folder of a fit of the preset, of a few steps, and what was told of it."""
    out, told = tmp_path_factory.mktemp("fitted") / "out", []
    facts = fit(preset(), both, both, out, 3, lambda event: told.append(dict(event)))
    return out, facts, told


def learner(tiny, examples, tmp_path, **options):
    return learner_of(Pefomed(weights=str(tiny / "base"), r=4, device="cpu", **options), {"vqa-rad": examples}, tmp_path, 0)


def test_stages_come_in_their_order_with_what_is_left_out_in_words(fitted):
    _, facts, told = fitted
    assert [(stage["name"], stage["steps"]) for stage in facts["stages"]] == [("base", 3), ("captions", 2), ("questions", 3)]
    said = "stage captions: roco-caption (ratio 60) was not named; CLEF 2022 captions (ratio 60) and MedICaT (20) have no reader here"
    assert facts["left_out"] == [said]
    assert {"left out": said} in told


def test_the_same_model_loads_what_was_fitted_base_and_lora(fitted, both):
    out, _, _ = fitted
    model = Pefomed(weights=str(out), device="cpu")
    answers = asked(model, [request for request, _ in both])
    assert not any(isinstance(answer, Failed) for answer in answers)
    facts = model.facts()
    assert not facts["untrained"]
    assert (facts["adapter"]["r"], facts["adapter"]["alpha"], facts["adapter"]["modules"]) == (16, 32.0, 6)
    card = json.loads((out / "adapter" / "card.json").read_text())
    assert [stage["name"] for stage in card["stages"]] == ["base", "captions", "questions"]
    assert "/tmp" not in json.dumps(card)
    assert "seconds" not in json.dumps(card)
    told = (out / "adapter" / "README.md").read_text()
    assert "LoRA: r 16, alpha 32, dropout 0, on q_proj and v_proj; the projection as a whole beside it" in told
    assert "--model pefomed --model-option weights=BASE --model-option adapter=THIS_FOLDER" in told


def test_an_interrupted_fit_ends_in_the_same_bytes(fitted, both, tmp_path):
    class StopError(Exception):
        pass

    def stop(event):
        if event.get("stage") == "questions":
            raise StopError

    with pytest.raises(StopError):
        fit(preset(), both, both, tmp_path / "out", 3, stop)
    fit(preset(), both, both, tmp_path / "out", 3, None)
    for path in sorted(fitted[0].rglob("*")):
        if path.is_file() and path.name not in {"events.jsonl", "training.json"}:
            assert path.read_bytes() == (tmp_path / "out" / path.relative_to(fitted[0])).read_bytes(), path.name


def test_the_published_stages_are_the_defaults(tiny, both):
    captions, questions = stages_of(Pefomed(weights=str(tiny)), both.by_task)
    one, two = captions.schedule, questions.schedule
    assert (one.lr, one.min_lr, one.steps, one.warmup) == (1e-5, 1e-6, 5000, 1000)
    assert (captions.batch * captions.accumulate, captions.tasks, captions.weight_decay) == (200, {"mimic-mrg": 60.0}, 0.05)
    assert (two.lr, two.min_lr, two.steps, two.warmup) == (
        1e-5,
        1e-6,
        5000,
        100,
    )
    assert (questions.batch, questions.accumulate, questions.trains, questions.betas, questions.clip) == (1, 2, "lora", (0.9, 0.999), 0.0)
    (report,) = stages_of(Pefomed(weights=str(tiny)), {"iuxray-mrg": both.by_task["mimic-mrg"]})
    assert (report.name, report.schedule.lr, report.schedule.min_lr, report.schedule.steps) == ("reports", 3e-5, 1e-5, 400)
    assert len(left_out(["vqa-rad"])) == 1
    assert "as a whole" in left_out(["vqa-rad"])[0]
    assert "second stage" in left_out(["mimic-mrg"])[1]


def test_only_lora_on_queries_and_values_and_the_projection_are_trained(tiny, examples, tmp_path):
    learning = learner(tiny, examples, tmp_path)
    model = Pefomed(weights=str(tiny / "base"), r=4, lr=1e-2, steps=2, batch_size=2, checkpointing=True, augment="none", device="cpu")
    stage = stages_of(model, {"vqa-rad": examples})[0]
    learning.begin(stage)
    names = learning.parameters_of("lora")
    before = {name: parameter.detach().clone() for name, parameter in learning.module.named_parameters()}
    fit(model, Examples({"vqa-rad": examples}), [], tmp_path / "out", 0, None)
    assert all(name.startswith("multi_modal_projector.") or "q_proj.lora_" in name or "v_proj.lora_" in name for name in names)
    assert len(names) == 2 + 2 * 2 * 2
    assert not (tmp_path / "out" / "base").exists(), "a base that was given is not written again"
    written = load_file(tmp_path / "out" / "adapter" / "non_lora_trainables.safetensors")
    assert not torch.equal(written["base_model.model.multi_modal_projector.weight"], before["multi_modal_projector.weight"])
    again = Pefomed(weights=str(tiny / "base"), adapter=str(tmp_path / "out"), merge=False, device="cpu")
    tower = dict(again.speaker.network.vision_tower.named_parameters())
    assert all(torch.equal(before[f"vision_tower.{name}"], tower[name]) for name in tower)


def test_training_sees_lower_case_prompts_of_two_forms_and_processed_answers(tiny, examples, tmp_path):
    learning = learner(tiny, examples, tmp_path)
    tokenizer = learning.speaker.tokenizer
    seen = set()
    for seed in range(12):
        batch, count = learning.collate(examples[2:], [seed])
        ids = batch["input_ids"][0]
        seen.add(tokenizer.decode(ids[ids != PLACE]))
        learnt = batch["labels"][0][batch["labels"][0] != -100]
        assert tokenizer.decode(learnt) == "right lower lobe</s>"
        assert count == len(learnt)
    ask = "based on the image, respond to this question with a short answer is the heart rv enlarged?"
    assert seen == {f"<s>[INST] <img></img> [vqa] {text} [/INST]right lower lobe</s>" for text in (ask, "is the heart rv enlarged?")}


def test_reports_have_the_tag_of_their_stage(tiny, both, tmp_path):
    learning = learner(tiny, [], tmp_path)
    captions, questions = stages_of(Pefomed(weights=str(tiny)), both.by_task)
    for stage, tag in ((captions, "[caption]"), (questions, "[report]")):
        learning.begin(stage)
        ids = learning.collate(both.by_task["mimic-mrg"][:1], [0])[0]["input_ids"][0]
        assert f"</img> {tag} describe the given chest x-ray image in detail [/INST]" in learning.speaker.tokenizer.decode(
            ids[ids != PLACE]
        )


def test_the_loss_of_a_batch_is_that_of_its_rows(tiny, examples, pictures, tmp_path):
    learning = learner(tiny, examples, tmp_path)
    rows = [*examples, (Generate(prompt="Why?", images=()), Text(text="because"))]

    def loss_of(part):
        batch, count = learning.collate(part, [0] * len(part), training=False)
        with torch.no_grad():
            return learning.loss(learning.module.eval(), batch).item(), count

    together = loss_of(rows)
    alone = [loss_of([row]) for row in rows]
    assert together[0] == pytest.approx(sum(loss for loss, _ in alone), rel=1e-4)
    assert together[1] == sum(count for _, count in alone)


def test_a_fit_goes_on_from_tuned_weights_with_their_rank(tiny, examples, tmp_path):
    model = MiniGptV2(weights=str(tiny), steps=2, batch_size=2, augment="none", checkpointing=False, device="cpu")
    fit(model, examples, [], tmp_path / "out", 0, None)
    assert json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())["r"] == 4
    with pytest.raises(UsageError, match="begins from LoRA of rank 4"):
        fit(MiniGptV2(weights=str(tiny), r=8, steps=1, device="cpu"), examples, [], tmp_path / "other", 0, None)


def test_another_language_model_is_fitted_wherever_its_layers_lie_if_it_has_q_and_v(tiny, foreign, examples, tmp_path):
    parts = {"weights": str(tiny / "base"), "language_model": str(foreign("opt")), "device": "cpu"}
    fit(MiniGptV2(**parts, steps=1, batch_size=2, r=4), examples, [], tmp_path / "out", 0, None)
    fitted = MiniGptV2(**parts, adapter=str(tmp_path / "out"))
    assert fitted.facts()["adapter"]["modules"] == 4
    assert fitted.facts()["called"] == "MiniGPT-v2 with another LM (opt)"
    parts["language_model"] = str(foreign("bloom"))
    with pytest.raises(UsageError, match="BloomForCausalLM has no q_proj and v_proj"):
        fit(MiniGptV2(**parts, steps=1), examples, [], tmp_path / "other", 0, None)


def test_crops_are_published_ones_and_come_from_their_seeds(tiny, pictures, tmp_path):
    learning = learner(tiny, [], tmp_path)
    cropped = Cropped(learning.speaker.pixels)
    one, same, other = (cropped(pictures[0], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == learning.speaker.prepare(Pil.new("RGB", (9, 9))).shape
    rng = np.random.default_rng(0)
    for _ in range(100):
        left, top, right, bottom = box_of(Pil.new("L", (90, 60)), rng)
        assert 0 <= left < right <= 90
        assert 0 <= top < bottom <= 60
        assert 0.48 <= (right - left) * (bottom - top) / 5400 <= 1
        assert 0.73 <= (right - left) / (bottom - top) <= 1.36
    assert box_of(Pil.new("L", (1000, 10)), rng) == (493, 0, 506, 10)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 0}, "steps=0: must be above 0"),
        ({"dropout": 1.0}, "dropout=1: a share"),
        ({"preset": "tiny"}, "preset and weights are both given"),
        ({"lr": "fast"}, "fit: Expected `float"),
        ({"augment": "wild"}, "fit: Invalid enum value 'wild'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tiny, examples, tmp_path, options, said):
    with pytest.raises(UsageError, match=said):
        fit(Pefomed(**{"weights": str(tiny / "base"), "device": "cpu", **options}), examples, [], tmp_path / "out", 0, None)


def test_examples_that_cannot_be_learnt_stop_the_fit_in_one_line(tiny, examples, save, tmp_path):
    request, target = examples[0]
    empty = msgspec.structs.replace(request, prompt="...")
    gone = msgspec.structs.replace(request, images=(msgspec.structs.replace(request.images[0], path="/nowhere.png", digest="x"),))
    clear = msgspec.structs.replace(request, images=(save(Pil.new("RGBA", (9, 9)), tmp_path / "clear.png"),))
    cases = [(empty, "the question is empty"), (gone, r"a training picture cannot be used: /nowhere\.png"), (clear, "is transparent")]
    for (row, said), augment in zip([*cases, cases[-1]], ("published", "published", "published", "none"), strict=True):
        model = Pefomed(weights=str(tiny / "base"), steps=1, checkpointing=False, augment=augment, device="cpu")
        with pytest.raises(UsageError, match=said):
            fit(model, [(row, target)], [], tmp_path / "out", 0, None)
