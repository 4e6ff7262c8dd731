from __future__ import annotations

import json
import subprocess
import sys

import medbench_llava
import msgspec
import pytest
import torch
from medbench_llava import medbench_cards
from medbench_llava.llava import Llava, LlavaLora
from medbench_llava.llava_med import LlavaMed
from medbench_llava.llava_rad import LlavaRad
from medbench_torch.testing import check_adapter_is_no_noop, check_facts_complete, check_reload_gives_same
from medbench_torch.tiny.llava import build_lora

from medbench import api
from medbench.check import misfit
from medbench.errors import MedbenchError, UsageError
from medbench.registry import load_registry
from medbench.testing import check_model
from medbench.types import Failed, Generate

CARDS = {card.name: card for card in medbench_cards()}
FAMILIES = {"llava": Llava, "llava-lora": LlavaLora, "llava-med": LlavaMed, "llava-rad": LlavaRad}


def answers(model, requests):
    return [answer for _, answer in sorted(model.generate(requests))]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_model_keeps_what_its_card_promises(name, mixed):
    requests = [request for request in mixed if len(request.images) == 1] if name == "llava-rad" else mixed
    outputs = check_model(CARDS[name], {"preset": "tiny", "batch_size": 3, "dtype": "float32", "device": "cpu"}, requests)
    scored = [output for output, request in zip(outputs, requests, strict=True) if request.options]
    assert all(output.option_logprobs and 0 < output.covered <= 1 for output in scored)


def test_batches_do_not_change_tokens(mixed):
    def said(size):
        return [(one.text, one.finish_reason, one.usage) for one in answers(LlavaLora(preset="tiny", batch_size=size), mixed)]

    whole = said(64)
    for size in (1, 2, 3):
        assert said(size) == whole


@pytest.mark.parametrize("dialect", ["hf", "hf-before-4.52", "llava"])
def test_an_adapter_answers_alike_in_every_dialect_merged_or_not(dialect, tiny_llava, tmp_path, mixed):
    adapter = build_lora(tiny_llava, tmp_path / "adapter", dialect=dialect)
    merged = LlavaLora(weights=str(tiny_llava), adapter=str(adapter), batch_size=4)
    apart = LlavaLora(weights=str(tiny_llava), adapter=str(adapter), batch_size=4, merge=False)
    base = Llava(weights=str(tiny_llava))
    texts = [one.text for one in answers(merged, mixed)]
    assert texts == [one.text for one in answers(apart, mixed)]
    assert texts != [one.text for one in answers(base, mixed)]
    told = merged.facts()["adapter"]
    assert (told["dialect"], told["r"], told["alpha"], told["modules"], told["merged"]) == (dialect, 4, 8.0, 14, True)
    assert apart.facts()["adapter"]["merged"] is False


def test_what_a_score_depends_on_is_among_the_facts(tiny_llava, tiny_lora):
    facts = LlavaLora(weights=str(tiny_llava), adapter=str(tiny_lora), template="llava-hf", aspect="crop").facts()
    wanted = {
        "template": "llava-hf",
        "prompt": "USER: {images}{prompt} ASSISTANT:",
        "image_backend": "pil",
        "aspect": "crop",
        "image_size": 56,
        "image_tokens": 16,
        "vision_tower": "CLIPVisionModel",
        "dtype": "float32",
        "attention": "sdpa",
        "untrained": False,
        "quantize": "",
    }
    assert facts | wanted == facts
    assert {"torch", "transformers", "peft"} <= facts["versions"].keys()
    assert json.loads(msgspec.json.encode(facts)) == facts


def first_logits(model):
    speaker = model.speaker
    with torch.inference_mode():
        return speaker.model(**speaker.tokenizer("Are the lungs clear?", return_tensors="pt")).logits


def test_facts_are_complete_an_adapter_counts_and_loading_again_gives_the_same(tiny_llava, tiny_lora):
    def make(adapter):
        made = LlavaLora(weights=str(tiny_llava), adapter=adapter) if adapter else Llava(weights=str(tiny_llava))
        made.facts()
        return made

    check_facts_complete(make(str(tiny_lora)), adapter=True, more=("template", "prompt", "aspect", "vision_tower"))
    check_facts_complete(LlavaLora(preset="tiny"), adapter=True)
    check_adapter_is_no_noop(make, tiny_lora, first_logits)
    check_reload_gives_same(make, first_logits, adapter=str(tiny_lora))


def test_a_preset_is_untrained_and_the_same_each_time(mixed):
    one, other = LlavaLora(preset="tiny"), LlavaLora(preset="tiny")
    assert one.facts() == other.facts()
    assert one.facts()["untrained"] is True
    assert answers(one, mixed) == answers(other, mixed)


def test_a_fitted_folder_brings_its_base_and_its_adapter(tiny_llava, tmp_path, mixed):
    fitted = tmp_path / "fitted"
    fitted.mkdir()
    (fitted / "base").symlink_to(tiny_llava)
    adapter = build_lora(tiny_llava, fitted / "adapter")
    wanted = answers(LlavaLora(weights=str(tiny_llava), adapter=str(adapter)), mixed)
    assert answers(LlavaLora(weights=str(fitted)), mixed) == wanted
    assert answers(LlavaLora(weights=str(tiny_llava), adapter=str(fitted)), mixed) == wanted
    given = LlavaLora(weights=str(fitted), preset="tiny")
    assert given.facts()["untrained"] is False


def test_the_longest_answer_may_be_the_users(mixed):
    for answer in answers(LlavaLora(preset="tiny", max_new_tokens=2), mixed):
        assert answer.usage["output_tokens"] <= 2


def test_attention_may_be_chosen_and_is_recorded(mixed):
    model = Llava(preset="tiny", attn="eager")
    assert model.facts()["attention"] == "eager"
    assert [one.text for one in answers(model, mixed)] == [one.text for one in answers(Llava(preset="tiny"), mixed)]


def test_half_precision_runs(mixed):
    model = LlavaLora(preset="tiny", dtype="bfloat16")
    assert model.facts()["dtype"] == "bfloat16"
    assert not any(isinstance(answer, Failed) for answer in answers(model, mixed))


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        ({"preset": "small"}, "preset=small: not known", "tiny"),
        ({"aspect": "stretch", "preset": "tiny"}, "aspect=stretch: not known", "pad, crop, squash"),
        ({"template": "llava-v2", "preset": "tiny"}, "template=llava-v2: not known", "llava-v1"),
        ({"vision_tower": "own", "preset": "tiny"}, "vision_tower=own: llava-lora takes none", "llava-med"),
        ({"dtype": "float8", "preset": "tiny"}, "dtype=float8", "bfloat16"),
        ({"device": "abacus", "preset": "tiny"}, "device=abacus", "cpu"),
        ({"attn": "flash", "preset": "tiny"}, "attn=flash", "sdpa"),
        ({"quantize": "2bit", "preset": "tiny"}, "quantize=2bit: not known", "4bit"),
        ({"weights": "/nowhere/at/all"}, "/nowhere/at/all: no such file or folder", "hub id"),
    ],
)
def test_an_option_that_cannot_be_is_told_in_one_line(options, said, hint):
    with pytest.raises(MedbenchError) as caught:
        LlavaLora(**options).facts()
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in caught.value.hint


def test_quantising_needs_its_package_or_its_device():
    with pytest.raises(UsageError, match=r"quantize=4bit: (bitsandbytes is not installed|needs a CUDA device)"):
        Llava(preset="tiny", quantize="4bit", device="cpu").facts()


def test_llava_takes_no_adapter_and_llava_lora_needs_one(tiny_llava, tiny_lora):
    with pytest.raises(UsageError, match="llava takes none"):
        Llava(weights=str(tiny_llava), adapter=str(tiny_lora))
    with pytest.raises(UsageError, match="llava-lora needs an adapter"):
        LlavaLora(weights=str(tiny_llava)).facts()


def damaged(folder, tmp_path, name, change):
    """Return a copy of a weights folder in which one JSON file is another."""
    made = tmp_path / "damaged"
    made.mkdir()
    for file in folder.iterdir():
        (made / file.name).symlink_to(file)
    said = json.loads((folder / name).read_text())
    change(said)
    (made / name).unlink()
    (made / name).write_text(json.dumps(said))
    return made


def test_a_processor_of_another_size_is_found_before_any_sample(tiny_llava, tmp_path):
    def change(said):
        said["image_processor"] |= {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}

    folder = damaged(tiny_llava, tmp_path, "processor_config.json", change)
    with pytest.raises(MedbenchError, match="pictures of 28 pixels, the tower takes 56") as caught:
        Llava(weights=str(folder)).facts()
    assert caught.value.hint


def test_a_processor_without_patch_size_is_not_needed(tiny_llava, tmp_path, mixed):
    folder = damaged(tiny_llava, tmp_path, "processor_config.json", lambda said: said.update(patch_size=None))
    assert answers(Llava(weights=str(folder)), mixed[:2]) == answers(Llava(weights=str(tiny_llava)), mixed[:2])


def test_a_tokenizer_of_another_build_is_found_before_any_sample(tiny_llava, tmp_path):
    folder = damaged(tiny_llava, tmp_path, "config.json", lambda said: said.update(image_token_id=9, image_token_index=9))
    with pytest.raises(MedbenchError, match="the tokenizer has <image> as token 4, the model as 9"):
        Llava(weights=str(folder)).facts()


def test_an_unknown_kind_of_model_is_told_in_one_line(tiny_llava, tmp_path):
    folder = damaged(tiny_llava, tmp_path, "config.json", lambda said: said.update(model_type="llavva"))
    with pytest.raises(MedbenchError, match="model_type llavva is unknown") as caught:
        Llava(weights=str(folder)).facts()
    assert "llava" in caught.value.hint


def test_a_prompt_longer_than_the_context_fails_alone(mixed):
    long = Generate(prompt="x" * 3000, max_new_tokens=4)
    found = answers(Llava(preset="tiny"), [long, *mixed])
    assert found[0].kind == "input"
    assert "the model's context is 2048" in found[0].error
    assert found[1:] == answers(Llava(preset="tiny"), mixed)


def test_places_for_another_number_of_pictures_fail_alone(pictures):
    bad = Generate(prompt="<image>\n<image>\nCompare.", images=(pictures[0],), max_new_tokens=4)
    good = Generate(prompt="<image>\nDescribe.", images=(pictures[0],), max_new_tokens=4)
    plain = Generate(prompt="Describe.", images=(pictures[0],), max_new_tokens=4)
    found = answers(Llava(preset="tiny"), [bad, good, plain])
    assert found[0] == Failed(kind="input", error="the prompt has 2 <image> for 1 images")
    assert found[1] == found[2]


def test_a_model_for_one_picture_takes_neither_none_nor_two(mixed):
    card = CARDS["llava-rad"]
    assert [misfit(card, request) for request in mixed if len(request.images) == 1] == [""] * 5
    assert misfit(card, mixed[1]) == "0 images, and llava-rad needs at least 1"
    assert misfit(card, mixed[4]) == "2 images, and llava-rad takes at most 1"
    assert misfit(CARDS["llava"], mixed[1]) == misfit(CARDS["llava"], mixed[4]) == ""


def test_a_run_from_a_clean_start_says_untrained(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    given = {"data": "twin", "limit": 3, "runs_dir": tmp_path / "runs", "registry": load_registry(medbench_llava)}
    record = api.run("vqa-rad", LlavaLora(preset="tiny", device="cpu"), **given)  # in this process: a child would import torch again
    assert record.model.untrained
    assert record.n_failed == 0
    assert record.model.loaded["adapter"]["dialect"] == "llava"
    assert record.model.loaded["image_backend"] == "pil"


def test_planning_imports_nothing_heavy():
    code = (
        "import medbench_llava, sys\n"
        "assert medbench_llava.medbench_cards()\n"
        "import medbench_llava.hf_vlm, medbench_llava.llava, medbench_llava.llava_med, medbench_llava.llava_rad\n"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
