from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medbench_torch.devices import place
from medbench_torch.loading import load_model
from medbench_torch.tiny.causal import TEXTS, build_llama
from medbench_torch.tiny.clip_text import clip_tokenizer
from medbench_torch.tiny.gemma import build_gemma
from medbench_torch.tiny.llava import build_llava
from medbench_torch.tiny.qwen import build_qwen
from medbench_torch.tiny.tokenizers import GEMMA, LLAMA, QWEN, byte_level, train_bpe
from medbench_torch.weights import digest
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    CLIPTokenizer,
    LlavaForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)

from medbench.errors import UsageError

CPU = place("cpu")
REPORTS = ["The lungs are clear.", "No pleural effusion or pneumothorax.", "Heart size is normal."]
TRAINED = train_bpe(REPORTS, 300)
FIXED = byte_level()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(max_size=40).filter(lambda text: "<" not in text), trained=st.booleans())
def test_any_text_comes_back(text, trained):
    tokenizer = TRAINED if trained else FIXED
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


@pytest.mark.parametrize("specials", [LLAMA, QWEN, GEMMA])
def test_a_tokenizer_survives_its_folder(tmp_path, specials):
    made = byte_level(specials)
    made.save_pretrained(tmp_path)
    read = AutoTokenizer.from_pretrained(tmp_path)
    text = f"{specials.named['image_token']}\n5 µm, 2.3 × 1.8 cm  Größe"
    assert read(text).input_ids == made(text).input_ids
    assert made(text).input_ids.count(made.convert_tokens_to_ids(specials.named["image_token"])) == 1
    assert (read.padding_side, read.image_token, read.pad_token) == ("left", specials.named["image_token"], specials.pad)
    assert (made("a").input_ids[0] == made.bos_token_id) is bool(specials.bos)
    numbers = read.convert_tokens_to_ids(list(specials.tokens))
    assert numbers == list(range(len(specials.tokens)))
    assert read.decode(numbers, skip_special_tokens=True) == ""


def test_texts_are_padded_on_the_left():
    batch = FIXED(["a", "abc"], padding=True, return_tensors="pt")
    assert batch.input_ids[0, :2].tolist() == [FIXED.pad_token_id] * 2
    assert batch.attention_mask[0].tolist() == [0, 0, 1, 1]


def test_training_does_not_depend_on_the_order_of_texts():
    assert train_bpe(reversed(REPORTS), 300).get_vocab() == TRAINED.get_vocab()
    assert len(TRAINED) <= 300
    assert len(TRAINED("The lungs are clear.").input_ids) < len(FIXED("The lungs are clear.").input_ids)


def test_a_clip_tokenizer_is_one(tmp_path):
    made = clip_tokenizer(["lung", "lungs", "clear"])
    assert isinstance(made, CLIPTokenizer)
    assert len(made("lungs clear").input_ids) == 4
    assert made.decode(made("Lungs é clear").input_ids, skip_special_tokens=True).strip() == "lungs é clear"
    assert len(made("x" * 200, truncation=True).input_ids) == 77
    made.save_pretrained(tmp_path)
    assert CLIPTokenizer.from_pretrained(tmp_path)("lungs clear é").input_ids == made("lungs clear é").input_ids


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_language_models_are_of_their_class(tmp_path, kind):
    model = load_model(AutoModelForCausalLM, build_llama(tmp_path / kind, text=kind), CPU)
    assert model.config.model_type == kind
    assert (model.generation_config.eos_token_id, model.generation_config.pad_token_id) == (2, 3)


def test_the_same_seed_gives_the_same_files_and_another_seed_others(tmp_path, tiny_llava):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = build_llava(tmp_path / "again")
    assert torch.equal(torch.get_rng_state(), before)
    assert digest(again) == digest(tiny_llava)
    assert digest(build_llava(tmp_path / "other", seed=1)) != digest(tiny_llava)


@pytest.mark.parametrize("vision", ["clip", "dinov2"])
def test_a_llava_sees_the_picture(tmp_path, picture, vision):
    folder = build_llava(tmp_path / vision, vision=vision, tokenizer=REPORTS)
    model = load_model(LlavaForConditionalGeneration, folder, CPU)
    processor = AutoProcessor.from_pretrained(folder)
    inputs = [processor(images=image, text="USER: <image>\nhi ASSISTANT:", return_tensors="pt") for image in (picture, picture.rotate(90))]
    with torch.inference_mode():
        one, other = (model(**given).logits for given in inputs)
    assert not torch.equal(one, other)
    chat = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "hi"}]}], add_generation_prompt=True
    )
    assert chat == "USER: <image>\nhi ASSISTANT:"


def test_gemma_answers_about_a_picture(tmp_path, picture):
    folder = build_gemma(tmp_path / "gemma")
    model = load_model(AutoModelForImageTextToText, folder, CPU)
    processor = AutoProcessor.from_pretrained(folder)
    text = "<bos><start_of_turn>user\n<start_of_image>hello<end_of_turn>\n<start_of_turn>model\n"
    given = processor(text=[text], images=[[picture]], return_tensors="pt", add_special_tokens=False)
    with torch.inference_mode():
        assert model(**given).logits.shape[-1] == len(processor.tokenizer)
    assert type(model).__name__ == "Gemma3ForConditionalGeneration"


def test_qwen_answers_about_a_picture(tmp_path, picture):
    folder = build_qwen(tmp_path / "qwen")
    model = load_model(AutoModelForImageTextToText, folder, CPU)
    tokenizer, images = AutoTokenizer.from_pretrained(folder), Qwen2VLImageProcessorPil.from_pretrained(folder)
    pixels = images(images=[picture], return_tensors="pt")
    count = int(pixels["image_grid_thw"][0].prod()) // 4
    ids = tokenizer(f"<|vision_start|>{'<|image_pad|>' * count}<|vision_end|>hello", return_tensors="pt").input_ids
    with torch.inference_mode():
        logits = model(input_ids=ids, mm_token_type_ids=(ids == model.config.image_token_id).int(), **pixels).logits
    assert logits.shape == (1, ids.shape[1], len(tokenizer))
    assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration"


@pytest.mark.parametrize(
    ("options", "said"),
    [({"text": "gpt"}, "text=gpt"), ({"vision": "vgg"}, "vision=vgg"), ({"image_size": 50}, "image_size=50: not a multiple")],
)
def test_unknown_kinds_are_named(tmp_path, options, said):
    with pytest.raises(UsageError, match=said):
        build_llava(tmp_path / "x", **options)
