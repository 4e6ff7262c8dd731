from __future__ import annotations

import pytest
import torch
from medbench_llava import medbench_cards
from medbench_llava.hf_vlm import HfVlm
from medbench_torch.tiny.causal import build_llama
from medbench_torch.tiny.gemma import build_gemma
from medbench_torch.tiny.idefics import build_idefics
from medbench_torch.tiny.llava import build_llava, build_lora
from medbench_torch.tiny.qwen import build_qwen
from PIL import Image as Pil
from transformers import AutoProcessor

from medbench.errors import MedbenchError, UsageError
from medbench.testing import check_model
from medbench.types import Generate

CARD = next(card for card in medbench_cards() if card.name == "hf-vlm")
BUILDERS = {
    "qwen2_vl": lambda folder: build_qwen(folder, kind="qwen2_vl"),
    "qwen2_5_vl": build_qwen,
    "gemma3": build_gemma,
    "idefics3": build_idefics,
    "llava": build_llava,
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("families")
    return {name: build(home / name) for name, build in BUILDERS.items()}


def answers(model, requests):
    return [answer for _, answer in sorted(model.generate(requests))]


@torch.inference_mode()
def logits_of(model, request):
    """Return the logits of the first new token, by the features and inputs that generation uses."""
    speaker = model.speaker
    prepared = [speaker.prepare(Pil.open(image.path).convert("RGB")) for image in request.images]
    features = speaker.encode_images(prepared) if prepared else []
    inputs = speaker.inputs([request], [speaker.prompt_ids(request, features)], [features])
    return speaker.model(**inputs).logits[0, -1]


@pytest.mark.parametrize("name", BUILDERS)
def test_every_family_keeps_what_the_card_promises(name, folders, mixed):
    options = {"weights": str(folders[name]), "batch_size": 3, "device": "cpu", "dtype": "float32"}
    for request, output in zip(mixed, check_model(CARD, options, mixed), strict=True):
        assert set(output.option_logprobs) == set(request.options)
        assert output.usage["input_tokens"] > len(request.images)


@pytest.mark.parametrize("name", ["gemma3", "idefics3", "llava"])
def test_tokens_are_those_of_the_familys_own_processor(name, folders, mixed):
    model = HfVlm(weights=str(folders[name]), batch_size=4)
    greedy = [request for request in mixed if not request.temperature]
    found = answers(model, greedy)
    processor, inner = AutoProcessor.from_pretrained(folders[name]), model.speaker.model
    for request, answer in zip(greedy, found, strict=True):
        content = [*({"type": "image"} for _ in request.images), {"type": "text", "text": request.prompt}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        images = [[Pil.open(image.path).convert("RGB") for image in request.images]] if request.images else None
        inputs = processor(text=[text], images=images, return_tensors="pt", add_special_tokens=name != "gemma3")
        made = inner.generate(**inputs, max_new_tokens=request.max_new_tokens)[0, inputs["input_ids"].shape[1] :]
        assert answer.usage["input_tokens"] == inputs["input_ids"].shape[1]
        assert answer.text == processor.tokenizer.decode(made, skip_special_tokens=True).strip()
        assert torch.allclose(logits_of(model, request), inner(**inputs).logits[0, -1], atol=1e-5)


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl"])
def test_tokens_of_qwen_are_those_of_pixels_put_in_by_hand(name, folders, pictures):
    from medbench_torch.images import pil_processor

    model = HfVlm(weights=str(folders[name]), batch_size=4)
    requests = [Generate(prompt="What is shown?", images=(image,), max_new_tokens=10) for image in pictures]
    found = answers(model, requests)
    speaker, images = model.speaker, pil_processor(folders[name])
    lengths = set()
    for request, answer in zip(requests, found, strict=True):
        seen = images(Pil.open(request.images[0].path).convert("RGB"), return_tensors="pt")
        places = int(seen["image_grid_thw"].prod()) // images.merge_size**2
        lengths.add(places)
        text = (
            f"<|im_start|>user\n<|vision_start|>{'<|image_pad|>' * places}<|vision_end|>What is shown?<|im_end|>\n<|im_start|>assistant\n"
        )
        ids = speaker.tokenizer(text, return_tensors="pt").input_ids
        speaker.model.model.rope_deltas = None
        made = speaker.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=(ids == speaker.model.config.image_token_id).int(),
            pixel_values=seen["pixel_values"],
            image_grid_thw=seen["image_grid_thw"],
            max_new_tokens=10,
        )[0, ids.shape[1] :]
        assert answer.text == speaker.tokenizer.decode(made, skip_special_tokens=True).strip()
        assert answer.usage["input_tokens"] == ids.shape[1]
    assert len(lengths) > 1, "pictures of one size would not tell positions apart"


@pytest.mark.parametrize("name", BUILDERS)
def test_pictures_change_what_is_likely(name, folders, pictures):
    model = HfVlm(weights=str(folders[name]))
    asked = [Generate(prompt="Clear?", images=(image,), max_new_tokens=1, options=("yes", "no")) for image in pictures]
    assert len({round(answer.option_logprobs["yes"], 6) for answer in answers(model, asked)}) == len(pictures)


def test_an_adapter_on_another_family_is_applied_and_recorded(folders, tmp_path, mixed):
    adapter = build_lora(folders["llava"], tmp_path / "adapter", dialect="hf")
    with_it = HfVlm(weights=str(folders["llava"]), adapter=str(adapter))
    assert with_it.facts()["adapter"]["modules"] == 14
    assert [one.text for one in answers(with_it, mixed)] != [one.text for one in answers(HfVlm(weights=str(folders["llava"])), mixed)]


def test_an_adapter_of_another_base_is_refused_in_one_line(folders, tmp_path):
    adapter = build_lora(folders["llava"], tmp_path / "adapter", dialect="hf")
    with pytest.raises(MedbenchError) as caught:
        HfVlm(weights=str(folders["gemma3"]), adapter=str(adapter)).facts()
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_facts_name_the_family(folders):
    assert HfVlm(weights=str(folders["gemma3"])).facts()["family"] == "gemma"
    assert HfVlm(weights=str(folders["idefics3"])).facts()["family"] == "general"


def test_a_template_may_replace_the_chat_template(folders, pictures):
    model = HfVlm(weights=str(folders["gemma3"]), template="Q: {images}{prompt}\nA:")
    answer = answers(model, [Generate(prompt="Clear?", images=(pictures[0],), max_new_tokens=3)])[0]
    pads = len("Q: ") + len("\n\n") * 2 + len("Clear?\nA:") + 1
    assert answer.usage["input_tokens"] == 4 + 2 + pads + 1


def test_without_weights_or_chat_template_it_says_what_to_give(folders, tmp_path):
    with pytest.raises(UsageError, match="hf-vlm needs weights") as caught:
        HfVlm().facts()
    assert "weights=" in caught.value.hint
    with pytest.raises(UsageError, match="aspect=pad: hf-vlm takes none"):
        HfVlm(aspect="pad")
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in folders["gemma3"].iterdir():
        if file.name != "chat_template.jinja":
            (bare / file.name).symlink_to(file)
    with pytest.raises(UsageError, match="no chat template") as caught:
        HfVlm(weights=str(bare)).facts()
    assert "template=" in caught.value.hint


def test_weights_of_a_text_only_model_are_refused_in_one_line(tmp_path):
    with pytest.raises(MedbenchError, match="a llama model, which takes no images") as caught:
        HfVlm(weights=str(build_llama(tmp_path / "llama"))).facts()
    assert "image-text-to-text" in caught.value.hint
