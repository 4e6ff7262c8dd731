"""Fine-tuning: what is learnt, what is left alone, what is written, and that the same model loads it."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
import torch
from medbench_llava.fitting import fit, learner_of, stages_of
from medbench_llava.launch import configuration
from medbench_llava.launch.__main__ import main
from medbench_llava.llava import Llava, LlavaLora
from medbench_torch.fit import fit as run_stages
from safetensors.torch import load_file

from medbench.errors import UsageError
from medbench.interchange import _turns
from medbench.options import convert_options
from medbench.types import Generate, Sample, Text

ANSWERS = ("The lungs are clear.", "There is a small effusion on the right.", "The heart is enlarged. A nodule is seen.", "Clear.")


@pytest.fixture(scope="session")
def examples(pictures):
    return [
        (Generate(prompt="Describe the findings in this chest X-ray.", images=(picture,), max_new_tokens=24), Text(text=answer))
        for picture, answer in zip(pictures, ANSWERS, strict=True)
    ]


def small(tiny_llava, **options):
    return LlavaLora(
        **{"weights": str(tiny_llava), "r": 4, "alpha": 8, "lr": 1e-2, "steps": 4, "batch_size": 2, "device": "cpu", **options}
    )


@pytest.fixture(scope="session")
def preset(examples, tmp_path_factory):
    """Return the folder of a fit of the preset, of a few steps."""
    out = tmp_path_factory.mktemp("fitted") / "out"
    model = LlavaLora(preset="tiny", base_steps=6, steps=4, batch_size=4, device="cpu")
    facts = fit(model, examples, examples[:2], out, 3, None)
    assert [stage["name"] for stage in facts["stages"]] == ["base", "lora"]
    return out


def loss_of(learner, module, examples):
    batch, count = learner.collate(examples, [0] * len(examples), training=False)
    module.eval()
    with torch.no_grad():
        return learner.loss(module, batch).item(), count


def test_the_written_adapter_loads_and_says_the_same(tiny_llava, examples, tmp_path):
    model = small(tiny_llava)
    learner = learner_of(model, examples, tmp_path / "scratch", 0)
    before, _ = loss_of(learner, learner.module, examples)
    run_stages(learner, stages_of(model), examples, examples[:1], tmp_path / "out", 0)
    after, _ = loss_of(learner, learner.module, examples)
    assert after < before
    again = LlavaLora(weights=str(tiny_llava), adapter=str(tmp_path / "out"), device="cpu")
    assert loss_of(learner, again.speaker.model, examples)[0] == pytest.approx(after, rel=1e-5)
    facts = again.facts()["adapter"]
    assert (facts["dialect"], facts["r"], facts["alpha"], facts["modules"], facts["projector"]) == ("hf", 4, 8.0, 14, True)
    assert not (tmp_path / "out" / "base").exists(), "a base that was given is not written again"


def test_a_preset_gets_a_base_and_an_adapter_that_the_same_model_loads(preset, examples):
    requests = [request for request, _ in examples]
    model = LlavaLora(weights=str(preset), device="cpu")
    assert sorted(index for index, answer in model.generate(requests) if isinstance(answer, Text)) == [0, 1, 2, 3]
    facts = model.facts()
    assert not facts["untrained"]
    assert (facts["adapter"]["r"], facts["adapter"]["modules"]) == (16, 21)
    base = Llava(weights=str(preset / "base"), device="cpu")
    assert "adapter" not in base.facts()
    assert base.facts()["weights_digest"] == facts["weights_digest"]


def test_the_card_says_what_it_was_fitted_on_and_no_time_and_no_path(preset, examples, tmp_path):
    card = json.loads((preset / "adapter" / "card.json").read_text())
    assert card["lora"] == {"r": 16, "alpha": 32.0, "dropout": 0.0, "projector": True}
    assert (card["n_examples"], card["n_validation"], card["seed"], card["base"]["name"]) == (4, 2, 3, "preset tiny")
    assert [(stage["name"], stage["steps"]) for stage in card["stages"]] == [("base", 6), ("lora", 4)]
    assert all(stage["loss"] > 0 and stage["held_out"]["loss"] > 0 for stage in card["stages"])
    for name in ("README.md", "card.json", "adapter_config.json"):
        text = (preset / "adapter" / name).read_text()
        assert "/tmp" not in text
        assert "seconds" not in text
    assert "r 16, alpha 32" in (preset / "adapter" / "README.md").read_text()


def test_the_same_fit_gives_the_same_bytes_interrupted_or_not(preset, examples, tmp_path):
    class StopError(Exception):
        pass

    def stop(event):
        if event["stage"] == "lora":
            raise StopError

    def model():
        return LlavaLora(preset="tiny", base_steps=6, steps=4, batch_size=4, device="cpu")

    with pytest.raises(StopError):
        fit(model(), examples, examples[:2], tmp_path / "out", 3, stop)
    fit(model(), examples, examples[:2], tmp_path / "out", 3, None)
    for path in sorted(preset.rglob("*")):
        if path.is_file() and path.name not in {"events.jsonl", "training.json"}:
            assert path.read_bytes() == (tmp_path / "out" / path.relative_to(preset)).read_bytes(), path.name


def test_the_loss_is_on_the_answers_and_padding_changes_nothing(tiny_llava, examples, tmp_path):
    learner = learner_of(small(tiny_llava), examples, tmp_path, 0)
    batch, count = learner.collate(examples, [0] * 4, training=False)
    tokenizer = learner.speaker.tokenizer
    for (_, target), row in zip(examples, batch["labels"], strict=True):
        learnt = row[row != -100]
        assert tokenizer.decode(learnt[:-1]).strip() == target.text
        assert learnt[-1] == tokenizer.eos_token_id
    assert count == int((batch["labels"] != -100).sum())
    together = loss_of(learner, learner.module, examples)
    alone = [loss_of(learner, learner.module, [example]) for example in examples]
    assert together[0] == pytest.approx(sum(loss for loss, _ in alone), rel=1e-4)
    assert together[1] == sum(count for _, count in alone)


def test_lora_leaves_the_base_alone_and_full_trains_language_model_and_projector(tiny_llava, examples, tmp_path):
    fit(small(tiny_llava, train="full", r=None, alpha=None), examples, [], tmp_path / "full", 0, None)
    before, after = load_file(tiny_llava / "model.safetensors"), load_file(tmp_path / "full" / "base" / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any("vision_tower" in name for name in changed)
    assert {"language_model", "multi_modal_projector"} <= {part for name in changed for part in name.split(".")}
    assert not (tmp_path / "full" / "adapter").exists()
    learner = learner_of(small(tiny_llava, projector=False), examples, tmp_path / "scratch", 0)
    run_stages(learner, stages_of(small(tiny_llava, projector=False)), examples, [], tmp_path / "lora", 0)
    learnt = load_file(tmp_path / "lora" / "adapter" / "adapter_model.safetensors")
    assert all(".lora_" in name for name in learnt)
    trained = {name for name, parameter in learner.module.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name for name in trained)


def test_checkpointed_activations_and_accumulated_passes_change_nothing_but_memory(tiny_llava, examples, tmp_path):
    made = {}
    ways = {"plain": {}, "checkpointed": {"checkpointing": True}, "accumulated": {"batch_size": 1, "accumulate": 2}}
    for name, options in ways.items():
        plain = {"checkpointing": False, "dropout": 0.0, "steps": 2, "lr": 1e-3}
        fit(small(tiny_llava, **{**plain, **options}), examples, [], tmp_path / name, 0, None)
        made[name] = load_file(tmp_path / name / "adapter" / "adapter_model.safetensors")
    for name in ("checkpointed", "accumulated"):
        for key in made["plain"]:
            torch.testing.assert_close(made["plain"][key], made[name][key], rtol=1e-2, atol=2e-4)


def test_layers_that_are_never_seen_are_not_trained(tiny_llava, examples, tmp_path):
    learner = learner_of(small(tiny_llava), examples, tmp_path, 0)
    names = learner.parameters_of("full")
    batch, _ = learner.collate(examples, [0] * 4, training=False)
    learner.loss(learner.module, batch).backward()
    moved = {name for name, parameter in learner.module.named_parameters() if parameter.grad is not None}
    assert set(names) == moved, "several processes wait for the gradient of every parameter that is trained"


def test_augmented_pictures_come_from_their_seeds(tiny_llava, examples, tmp_path):
    learner = learner_of(small(tiny_llava, augment=True), examples, tmp_path, 0)

    def seen(*seeds, training=True):
        return learner.collate(examples[: len(seeds)], seeds, training=training)[0]["pixel_values"]

    assert torch.equal(seen(1, 2), seen(1, 2))
    assert not torch.equal(seen(1)[0], seen(2)[0])
    assert torch.equal(seen(1, training=False), seen(2, training=False))
    assert (seen(1) - seen(1, training=False)).abs().mean() < 0.5


def test_an_answer_beyond_the_limit_is_cut_and_a_prompt_beyond_it_refused(tiny_llava, examples, tmp_path):
    prompt = len(learner_of(small(tiny_llava), examples, tmp_path / "a", 0).speaker.prompt_ids(examples[0][0]))
    learner = learner_of(small(tiny_llava, max_length=prompt + 3), examples, tmp_path / "b", 0)
    assert learner.collate(examples[:1], [0])[1] == 3
    learner = learner_of(small(tiny_llava, max_length=prompt), examples, tmp_path / "c", 0)
    with pytest.raises(UsageError, match=f"a prompt of {prompt} tokens leaves no room"):
        learner.collate(examples[:1], [0])


def test_a_picture_that_cannot_be_used_stops_the_fit_in_one_line(tiny_llava, examples, tmp_path):
    request, target = examples[0]
    gone = msgspec.structs.replace(request, images=(msgspec.structs.replace(request.images[0], path="/nowhere.png", digest="x"),))
    with pytest.raises(UsageError, match=r"a training picture cannot be used: /nowhere\.png"):
        fit(small(tiny_llava), [(gone, target)], [], tmp_path / "out", 0, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 3, "epochs": 1.0}, "epochs and steps: one of them"),
        ({"steps": 0}, "steps=0: must be above 0"),
        ({"dropout": 1.0}, "dropout=1: a share"),
        ({"train": "full"}, "r and alpha are LoRA's"),
        ({"train": "nonsense", "r": None, "alpha": None}, "train = nonsense: no parameter"),
        ({"adapter": "somewhere"}, "begins from a base, not from an adapter"),
        ({"quantize": "4bit"}, "a quantised base is not trained"),
        ({"preset": "tiny"}, "preset and weights are both given"),
        ({"tasks": "vqa-rad"}, "not of the form name=weight"),
        ({"lr": "fast"}, "fit: Expected `float"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tiny_llava, examples, tmp_path, options, said):
    with pytest.raises(UsageError, match=said):
        fit(small(tiny_llava, **options), examples, [], tmp_path / "out", 0, None)


def test_options_of_a_fit_do_nothing_in_a_run_and_are_refused_there(tiny_llava, tiny_lora):
    model = LlavaLora(weights=str(tiny_llava), adapter=str(tiny_lora), r=8, device="cpu")
    with pytest.raises(UsageError, match="r: of medbench fit, not of a run"):
        model.facts()


def test_fitted_weights_are_no_base_of_another_fit(preset, examples, tmp_path):
    with pytest.raises(UsageError, match="has an adapter, and fit begins from a base"):
        fit(LlavaLora(weights=str(preset), steps=1, device="cpu"), examples, [], tmp_path / "out", 0, None)


@pytest.mark.parametrize("roles", [("image",), ("image", "image"), ("frontal", "lateral")])
def test_what_is_exported_is_what_is_trained_on(tiny_llava, pictures, tmp_path, roles):
    images = tuple(msgspec.structs.replace(picture, role=role) for picture, role in zip(pictures, roles, strict=False))
    request, answer = Generate(prompt="Describe the findings.", images=images), "The lungs are clear."
    sample = Sample(id="a", group="a", split="train", references=(answer,))
    human, gpt = _turns(sample, request)["conversations"]
    learner = learner_of(small(tiny_llava, template="plain"), [], tmp_path, 0)
    batch, _ = learner.collate([(request, Text(text=answer))], [0])
    said = learner.speaker.tokenizer.decode(batch["input_ids"][0]).replace("<image>" * learner.speaker.n_image_tokens, "<image>")
    assert said == f"<s>{human['value']} {gpt['value']}</s>"


@pytest.mark.parametrize("name", ["zero3", "fsdp"])
def test_the_launch_configurations_are_ones_that_accelerate_reads(name):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(configuration(name)))
    assert config.mixed_precision == "bf16"
    assert config.distributed_type.value == {"zero3": "DEEPSPEED", "fsdp": "FSDP"}[name]
    if name == "zero3":
        wanted = {"zero_stage": 3, "offload_optimizer_device": "cpu", "offload_param_device": "cpu", "gradient_clipping": 1.0}
        assert config.deepspeed_config | wanted == config.deepspeed_config
    command = " ".join(line.strip("# \\") for line in configuration(name).read_text().splitlines() if line.startswith("# "))
    options = dict(pair.split("=") for pair in re.findall(r"--model-option (\S+)", command))
    problems = []
    recipe = LlavaLora(**convert_options(LlavaLora, options, "llava-lora", problems)).recipe
    recipe.check()
    assert not problems
    assert recipe.train == "full"


def test_the_configurations_are_found_by_name(capsys):
    assert main([]) == 0
    assert "zero3" in capsys.readouterr().out
    assert main(["zero3"]) == 0
    assert capsys.readouterr().out.strip().endswith("zero3.yaml")
    assert main(["zero"]) == 2
    assert "did you mean zero3?" in capsys.readouterr().err
