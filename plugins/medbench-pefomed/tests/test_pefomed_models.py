"""The models on a tiny MiniGPT-v2: equal at every batch size, every way of giving the weights, every refusal."""

from __future__ import annotations

import shutil

import medbench_pefomed
import msgspec
import numpy as np
import pytest
import torch
from medbench_pefomed.checkpoint import lora_config, write_tuned
from medbench_pefomed.model import MiniGptV2, Pefomed
from medbench_pefomed.network import PLACE
from medbench_pefomed.presets import build_tuned, random_tuned
from medbench_torch.testing import asked, check_batch_equals_single, check_facts_complete
from medbench_torch.tiny.causal import build_llama
from medbench_torch.weights import WeightsError
from peft import PeftModel
from PIL import Image as Pil
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from medbench.check import misfit
from medbench.errors import MedbenchError
from medbench.types import Failed, Generate

CARDS = {card.name: card for card in medbench_pefomed.CARDS}


@pytest.fixture(scope="module")
def model(tiny):
    return Pefomed(weights=str(tiny), device="cpu")


def said_by(model, requests):
    return [answer.text for answer in asked(model, requests)]


def test_answers_are_the_same_at_every_batch_size(model, mixed):
    check_batch_equals_single(model, mixed)


def test_generated_tokens_are_those_of_plain_generate(model, pictures):
    """One row by hand: two beginnings, the pieces tokenised apart, projected image tokens between them."""
    speaker = model.speaker
    tokenizer, language_model, network = speaker.tokenizer, speaker.model, speaker.network
    request = Generate(prompt="Is the heart (RV) enlarged?", images=(pictures[0],), max_new_tokens=12)
    first = tokenizer("<s>[INST] <Img>", return_tensors="pt").input_ids
    text = "</Img> [vqa] based on the image, respond to this question with a short answer is the heart rv enlarged? [/INST]"
    second = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
    assert first[0, :2].tolist() == [tokenizer.bos_token_id] * 2
    side = network.vision_tower.config.image_size
    with Pil.open(pictures[0].path) as opened:
        small = np.asarray(opened.convert("RGB").resize((side, side), Pil.Resampling.BICUBIC), dtype=np.float64) / 255
    normal = (small - [0.48145466, 0.4578275, 0.40821073]) / [0.26862954, 0.26130258, 0.27577711]
    with torch.inference_mode():
        patches = network.vision_tower(pixel_values=torch.tensor(normal).float().permute(2, 0, 1)[None]).last_hidden_state[:, 1:]
        tokens = network.multi_modal_projector(patches.reshape(1, -1, 4 * patches.shape[-1]))
        embedded = language_model.get_input_embeddings()
        inputs = torch.cat([embedded(first), tokens, embedded(second)], dim=1)
        mask = torch.ones(inputs.shape[:2], dtype=torch.long)
        made = language_model.generate(inputs_embeds=inputs, attention_mask=mask, max_new_tokens=12, do_sample=False)
    assert said_by(model, [request]) == [tokenizer.decode(made[0], skip_special_tokens=True).strip()]
    ids = speaker.prompt_ids(request)
    assert [token for token in ids if token != PLACE] == [*first[0].tolist(), *second[0].tolist()]
    assert ids.count(PLACE) == tokens.shape[1]


def test_the_image_decides_and_is_encoded_once_for_all_its_questions(tiny, pictures):
    model = Pefomed(weights=str(tiny), device="cpu")
    seen = []
    network = model.speaker.network
    network.vision_tower.register_forward_hook(lambda *given: seen.append(len(given[2].last_hidden_state)))
    requests = [Generate(prompt=f"Question {number}?", images=(pictures[number % 2],), max_new_tokens=6) for number in range(6)]
    asked(model, requests)
    assert seen == [2]
    pair = [msgspec.structs.replace(requests[0], images=(pictures[number],), options=("yes", "no")) for number in (0, 2)]
    one, other = asked(model, pair)
    assert one.option_logprobs != other.option_logprobs


def test_facts_are_complete_and_say_what_was_asked_how(model):
    facts = check_facts_complete(model, adapter=True, more=("family", "prompt", "report_prompt", "image_tokens", "language_model"))
    assert (facts["family"], facts["aspect"], facts["untrained"]) == ("MiniGPT-v2", "squash", False)
    assert (facts["adapter"]["r"], facts["adapter"]["alpha"], facts["adapter"]["modules"], facts["adapter"]["merged"]) == (4, 8.0, 4, True)
    assert facts["prompt"].startswith("<s>[INST] <Img><ImageHere></Img> [vqa] based on the image, respond")
    assert "random crops" in CARDS["pefomed"].title


def test_the_preset_is_marked_untrained_and_always_the_same(mixed):
    one, other = (Pefomed(preset="tiny", device="cpu") for _ in range(2))
    assert check_facts_complete(one, adapter=True)["untrained"] is True
    assert said_by(one, mixed) == said_by(other, mixed)


def test_every_way_of_giving_the_weights_gives_the_same_answers(tiny, released, model, mixed, tmp_path):
    wanted = said_by(model, mixed)
    parts = {"vision": str(tiny / "base"), "language_model": str(tiny / "base" / "language_model"), "device": "cpu"}
    ways = [
        {"weights": str(tiny / "base"), "adapter": str(tiny / "adapter")},
        {"weights": str(tiny / "base"), "adapter": str(tiny), "merge": False},
        {**parts, "weights": str(released), "r": 4, "alpha": 8.0, "trust_pickle": True},
        {**parts, "adapter": str(tiny / "adapter")},
    ]
    for way in ways:
        assert said_by(Pefomed(**{"device": "cpu", **way}), mixed) == wanted, way


@pytest.mark.parametrize("kind", ["qwen2", "phi", "gpt_neox", "bloom"])
def test_another_language_model_is_named_as_such(tiny, foreign, mixed, kind):
    model = MiniGptV2(weights=str(tiny / "base"), language_model=str(foreign(kind)), device="cpu")
    assert model.facts()["family"] == model.facts()["called"] == f"MiniGPT-v2 with another LM ({kind})"
    check_batch_equals_single(model, mixed[:4])


def test_a_llama_of_another_size_is_another_language_model_and_the_presets_own_is_not(tiny, tmp_path):
    other = build_llama(tmp_path / "other", hidden_size=64, num_hidden_layers=3)
    facts = MiniGptV2(weights=str(tiny / "base"), language_model=str(other), device="cpu").facts()
    assert facts["called"] == "MiniGPT-v2 with another LM (llama, 64 wide of 3 layers)"
    facts = Pefomed(weights=str(tiny / "base"), language_model=str(other), device="cpu").facts()
    assert facts["called"] == "pefomed, MiniGPT-v2 with another LM (llama, 64 wide of 3 layers)"
    assert "called" not in MiniGptV2(weights=str(tiny / "base"), device="cpu").facts()


def test_a_base_with_a_projection_answers_without_lora(tiny, model, mixed):
    alone = Pefomed(weights=str(tiny / "base"), device="cpu")
    assert "adapter" not in alone.facts()
    assert said_by(alone, mixed) != said_by(model, mixed)


def test_minigpt_puts_questions_as_they_are(tiny, pictures):
    model = MiniGptV2(weights=str(tiny), device="cpu")
    ids = model.speaker.prompt_ids(Generate(prompt="Is it A?", images=(pictures[0],)))
    text = model.speaker.tokenizer.decode([token for token in ids if token != PLACE])
    assert text.endswith("</Img> [vqa] Based on the image, respond to this question with a short answer: Is it A? [/INST]")


def test_a_transparent_picture_fails_alone_and_an_alpha_that_hides_nothing_is_dropped(model, pictures, save, tmp_path):
    with Pil.open(pictures[0].path) as opened:
        solid = opened.convert("RGBA")
    clear = solid.copy()
    clear.putpixel((3, 5), (0, 0, 0, 128))
    images = [save(clear, tmp_path / "clear.png"), save(solid, tmp_path / "solid.png"), pictures[0]]
    refused, one, other = asked(model, [Generate(prompt="What is it?", images=(image,), max_new_tokens=8) for image in images])
    assert refused == Failed(
        kind="input", error=f"{images[0].path}: part of the picture is transparent, and what lies behind it is not known"
    )
    assert one == other


def test_an_empty_question_and_a_broken_picture_fail_alone(model, pictures, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    image = msgspec.structs.replace(pictures[0], path=str(tmp_path / "broken.png"), digest="x")
    requests = [
        Generate(prompt="...", images=(pictures[0],)),
        Generate(prompt="Is it?", images=(image,)),
        Generate(prompt="Is it?", images=(pictures[0],), max_new_tokens=3),
    ]
    empty, broken, good = asked(model, requests)
    assert (empty.kind, broken.kind) == ("input", "input")
    assert "empty" in empty.error
    assert "broken.png" in broken.error
    assert not isinstance(good, Failed)
    assert misfit(CARDS["pefomed"], Generate(prompt=" ", images=(pictures[0],))) == "no text, and pefomed needs some"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"r": 8}, "LoRA of rank 4, and r=8 is expected"),
        ({"r": None}, "LoRA of rank 4, and r=64 is expected"),
        ({"trust_pickle": False}, "a pickle, which is not read"),
        ({"steps": 3}, "steps: of medbench fit, not of a run"),
        ({"weights": "", "vision": "EVA"}, "pefomed needs what was fine-tuned"),
        ({"vision": ""}, "pefomed needs its vision tower"),
        ({"language_model": "LLAMA"}, "is 32 wide of 2 layers"),
        ({"weights": "LLAMA"}, "neither base/ nor adapter/ of a MiniGPT-v2"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(tiny, released, tmp_path, change, said):
    other = build_llama(tmp_path / "other", hidden_size=32)
    bare = shutil.copytree(tiny / "base", tmp_path / "bare", ignore=shutil.ignore_patterns("projection.safetensors"))
    places = {"LLAMA": str(other), "EVA": str(bare)}
    options = {
        "weights": str(released),
        "vision": str(tiny / "base"),
        "language_model": str(tiny / "base" / "language_model"),
        "r": 4,
        "alpha": 8.0,
        "trust_pickle": True,
    }
    options |= {name: places.get(value, value) for name, value in change.items()}
    with pytest.raises(MedbenchError, match=said) as raised:
        Pefomed(device="cpu", **options).facts()
    assert raised.value.hint
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"llama_proj.bias": None}, r"not whole, no llama_proj\.bias"),
        ({"llama_model.base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight": None}, r"not whole, no model\.layers\.1"),
        ({"ln_vision.weight": torch.ones(3)}, "1 tensors that this model does not have"),
        ({"llama_model.base_model.model.model.layers.0.mlp.up_proj.lora_A.weight": torch.ones(4, 4)}, "that this model does not have"),
    ],
)
def test_a_checkpoint_that_is_not_whole_or_has_more_is_refused(tiny, release, tmp_path, change, said):
    lora, projection = random_tuned(tiny / "base", r=4, seed=0, std=0.2)
    file = release(tmp_path / "checkpoint.pth", lora, projection, **change)
    with pytest.raises(WeightsError, match=said):
        Pefomed(weights=str(tiny / "base"), adapter=str(file), r=4, alpha=8.0, trust_pickle=True, device="cpu").facts()


def test_lora_of_a_missing_layer_and_lora_that_changes_nothing_are_refused(tiny, tmp_path):
    lora, projection = random_tuned(tiny / "base", r=4, seed=0, std=0.2)
    folder = shutil.copytree(tiny / "adapter", tmp_path / "adapter")
    del lora["model.layers.0.self_attn.q_proj"]
    write_tuned(folder, lora_config(4, 8.0), lora, projection)
    with pytest.raises(WeightsError, match="1 of them have no tensors"):
        Pefomed(weights=str(tiny / "base"), adapter=str(folder), device="cpu").facts()
    build_tuned(tmp_path / "zero", tiny / "base", std=0.0)
    with pytest.raises(WeightsError, match="every lora_B is zero"):
        Pefomed(weights=str(tiny / "base"), adapter=str(tmp_path / "zero"), device="cpu").facts()


# PEFT reads a name that transformers renames
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_the_adapter_is_one_that_peft_reads_for_the_language_model_alone(tiny):
    names = load_file(tiny / "adapter" / "adapter_model.safetensors")
    assert "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" in names
    language_model = AutoModelForCausalLM.from_pretrained(tiny / "base" / "language_model")
    before = language_model.model.layers[0].self_attn.q_proj.weight.clone()
    merged = PeftModel.from_pretrained(language_model, tiny / "adapter").merge_and_unload()
    ours = Pefomed(weights=str(tiny), device="cpu").speaker.model
    weight = merged.model.layers[0].self_attn.q_proj.weight
    torch.testing.assert_close(ours.model.layers[0].self_attn.q_proj.weight, weight)
    assert not torch.equal(before, weight)
