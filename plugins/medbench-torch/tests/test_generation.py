from __future__ import annotations

import hashlib

import msgspec
import numpy as np
import pytest
import torch
from medbench_torch.devices import place
from medbench_torch.features import FeatureCache
from medbench_torch.generation import Generator, fitting_batch, left_padded
from medbench_torch.images import Pixels, pil_processor
from medbench_torch.loading import load_model
from medbench_torch.tokenizing import load_tokenizer
from medbench_torch.weights import WeightsError
from PIL import Image as Pil
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from medbench.errors import InputError
from medbench.types import Failed, Generate, Image

LIMIT = 400


class Plain:
    """The least that generation needs of a LLaVA; counts what it is asked to do."""

    shares_prompt = True
    fixed_length = True

    def __init__(self, folder):
        self.model = load_model(LlavaForConditionalGeneration, folder, place("cpu"))
        self.tokenizer = load_tokenizer(folder)
        self.prepare = Pixels(pil_processor(folder), "crop")
        self.end_ids = (self.tokenizer.eos_token_id,)
        self.pad_id = self.tokenizer.pad_token_id
        self.context_length = LIMIT
        self.encoded, self.batches, self.fits = [], [], 1000

    def encode_images(self, pictures):
        self.encoded.append(len(pictures))
        return list(self.model.model.vision_tower(torch.stack(pictures), output_hidden_states=True).hidden_states[-2][:, 1:])

    def prompt_ids(self, request, features=None):
        if "refuse" in request.prompt:
            raise InputError("told to refuse")
        image = self.model.config.image_token_id
        return [
            one
            for token in self.tokenizer("<image>\n" * len(request.images) + request.prompt)["input_ids"]
            for one in [token] * (16 if token == image else 1)
        ]

    def inputs(self, requests, ids, features):
        self.batches.append(len(ids))
        if len(ids) > self.fits:
            raise torch.OutOfMemoryError("tried to allocate 99 GiB")
        tokens, mask = left_padded(ids, self.pad_id, "cpu")
        embeds = self.model.get_input_embeddings()(tokens)
        shown = [one for row in features for one in row]
        if shown:
            projected = self.model.model.multi_modal_projector(torch.stack(shown)).flatten(0, 1)
            embeds = embeds.masked_scatter((tokens == self.model.config.image_token_id)[..., None], projected)
        return {"inputs_embeds": embeds, "attention_mask": mask}


@pytest.fixture(scope="module")
def loaded(tiny_llava):
    return Plain(tiny_llava)


@pytest.fixture
def speaker(loaded):
    loaded.encoded, loaded.batches, loaded.fits = [], [], 1000
    return loaded


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    made = []
    for number in range(4):
        path = folder / f"{number}.png"
        Pil.fromarray(np.random.default_rng(number).integers(0, 255, (60 + 9 * number, 70, 3), dtype=np.uint8)).save(path)
        made.append(Image(path=str(path), digest=hashlib.sha256(path.read_bytes()).hexdigest()[:32]))
    return made


@pytest.fixture(scope="module")
def mixed(pictures):
    one, two, three, four = pictures
    return [
        Generate(prompt="Is there a pneumothorax?", images=(one,), max_new_tokens=9),
        Generate(prompt="hi", max_new_tokens=14),
        Generate(prompt="Are the lungs clear? Answer with one word, and do not say anything else at all.", images=(one,), max_new_tokens=3),
        Generate(prompt="Compare.", images=(three, four), max_new_tokens=12),
        Generate(prompt="Describe the heart.", images=(four,), max_new_tokens=7, temperature=0.9, seed=11),
        Generate(prompt="Write a report.", images=(two,), max_new_tokens=18),
        Generate(prompt="A question without any picture, the longest of all the questions that are asked here.", max_new_tokens=5),
        Generate(prompt="hi", max_new_tokens=14, temperature=1.5, seed=12),
    ]


def answers(speaker, requests, size, **options):
    return [answer for _, answer in sorted(Generator(speaker, batch_size=size, **options)(requests))]


def test_tokens_are_the_same_at_every_batch_size(speaker, mixed):
    alone = answers(speaker, mixed, 1)
    assert [len(answer.text) > 0 for answer in alone].count(True) >= 6
    for size in (2, 3, 8):
        assert answers(speaker, mixed, size) == alone
    assert answers(speaker, mixed[::-1], 3)[::-1] == alone


def test_answers_are_those_of_the_processor_and_plain_generation(speaker, mixed, tiny_llava):
    processor = LlavaProcessor(
        pil_processor(tiny_llava), speaker.tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1
    )
    greedy = [request for request in mixed if not request.temperature]
    for request, answer in zip(greedy, answers(speaker, greedy, 8), strict=True):
        opened = [Pil.open(image.path).convert("RGB") for image in request.images] or None
        inputs = processor(images=opened, text="<image>\n" * len(request.images) + request.prompt, return_tensors="pt")
        made = speaker.model.generate(**inputs, max_new_tokens=request.max_new_tokens)[0, inputs.input_ids.shape[1] :]
        assert answer.text == speaker.tokenizer.decode(made, skip_special_tokens=True).strip()
        assert answer.usage["input_tokens"] == inputs.input_ids.shape[1]


def test_features_that_are_kept_give_the_same_tokens_and_no_second_encoding(speaker, mixed):
    generator = Generator(speaker, batch_size=3)
    first = sorted(generator(mixed))
    assert sum(speaker.encoded) == 4
    assert sorted(generator(mixed)) == first
    assert sum(speaker.encoded) == 4


def test_a_picture_of_several_requests_is_encoded_once_even_where_nothing_is_kept(speaker, pictures):
    requests = [
        Generate(prompt=f"Question {number}?" * (number + 1), images=(pictures[number % 2],), max_new_tokens=2) for number in range(6)
    ]
    answers(speaker, requests, 2, cache=FeatureCache(0))
    assert sum(speaker.encoded) == 2


def test_a_batch_that_does_not_fit_is_halved_and_the_size_is_remembered(speaker, mixed):
    wanted = answers(speaker, mixed, 8)
    speaker.fits, speaker.batches = 2, []
    generator = Generator(speaker, batch_size=8)
    assert [answer for _, answer in sorted(generator(mixed))] == wanted
    assert generator.batch_size <= 2
    speaker.batches = []
    list(generator(mixed))
    assert max(speaker.batches) <= 2


def test_one_request_that_does_not_fit_alone_fails_and_the_others_do_not(speaker, mixed):
    wanted = answers(speaker, mixed, 8)
    speaker.fits = 0
    found = answers(speaker, mixed[:2], 2)
    assert [answer.kind for answer in found] == ["model", "model"]
    assert "out of memory with a batch of one" in found[0].error
    speaker.fits = 1000
    assert answers(speaker, mixed, 8) == wanted


def test_limits_are_each_rows_own_and_the_reason_of_the_end_is_told(speaker, mixed):
    for request, answer in zip(mixed, answers(speaker, mixed, 8), strict=True):
        assert answer.usage["output_tokens"] <= request.max_new_tokens
        assert (answer.finish_reason == "length") == (answer.usage["output_tokens"] == request.max_new_tokens)


def test_the_end_token_ends_an_answer(speaker):
    request = Generate(prompt="hi", max_new_tokens=14)
    ids = speaker.tokenizer(request.prompt, return_tensors="pt")
    made = speaker.model.generate(**ids, max_new_tokens=14)[0, ids.input_ids.shape[1] :].tolist()
    end = next(token for token in made[1:] if token != made[0])
    speaker.end_ids = (end,)
    try:
        answer = answers(speaker, [request, Generate(prompt="a much longer question than that one", max_new_tokens=14)], 2)[0]
    finally:
        speaker.end_ids = (speaker.tokenizer.eos_token_id,)
    assert answer.finish_reason == "stop"
    assert answer.usage["output_tokens"] == made.index(end) + 1
    assert answer.text == speaker.tokenizer.decode(made[: made.index(end)], skip_special_tokens=True).strip()


def test_a_stop_string_cuts_its_own_row_alone(speaker):
    request = Generate(prompt="hi", max_new_tokens=14, temperature=1.0, seed=5)
    other = Generate(prompt="another question", max_new_tokens=14)
    whole, beside = answers(speaker, [request, other], 2)
    stop = next(letter for letter in whole.text[2:] if letter.isascii() and letter.strip())
    cut, same = answers(speaker, [msgspec.structs.replace(request, stop=(stop,)), other], 2)
    assert cut.text == whole.text[: whole.text.index(stop)].strip()
    assert cut.finish_reason == "stop"
    assert same == beside


def test_noise_is_the_requests_own(speaker):
    request = Generate(prompt="hi", max_new_tokens=14, temperature=1.0, seed=5)
    again = msgspec.structs.replace(request, repeat=1)
    other = msgspec.structs.replace(request, seed=6)
    greedy = msgspec.structs.replace(request, temperature=0.0)
    first = answers(speaker, [request, again, other, greedy], 4)
    assert len({answer.text for answer in first}) == 4
    assert answers(speaker, [greedy, other, request], 2)[::-1] == [first[0], first[2], first[3]]


def test_a_temperature_near_zero_is_greedy(speaker):
    cold = Generate(prompt="hi", max_new_tokens=8, temperature=1e-4, seed=3)
    greedy = msgspec.structs.replace(cold, temperature=0.0)
    assert answers(speaker, [cold], 1)[0].text == answers(speaker, [greedy], 1)[0].text


def test_bad_input_fails_alone_and_before_the_model(speaker, mixed, pictures, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    bad = [
        Generate(prompt="please refuse"),
        Generate(prompt="What is it?", images=(Image(path=str(tmp_path / "absent.png")),)),
        Generate(prompt="And this?", images=(pictures[0], Image(path=str(broken)))),
        Generate(prompt="x" * (LIMIT + 1), max_new_tokens=4),
        Generate(prompt="Is there a fault?", images=(msgspec.structs.replace(pictures[0], fault="truncated", digest="x"),)),
    ]
    found = answers(speaker, [*bad, *mixed], 4)
    assert found[5:] == answers(speaker, mixed, 4)
    assert all(isinstance(answer, Failed) and answer.kind == "input" for answer in found[:5])
    errors = [
        "told to refuse",
        "no such file",
        "not a picture",
        f"a prompt of {LIMIT + 2} tokens; the model's context is {LIMIT}",
        "truncated",
    ]
    for answer, said in zip(found, errors, strict=False):
        assert said in answer.error


def test_an_answer_ends_where_the_context_does(speaker):
    answer = answers(speaker, [Generate(prompt="x" * (LIMIT - 4), max_new_tokens=50)], 1)[0]
    assert (answer.usage["output_tokens"], answer.finish_reason) == (3, "length")


def test_published_sampling_settings_do_not_leak_in(tiny_llava):
    speaker = Plain(tiny_llava)
    wanted = answers(speaker, [Generate(prompt="hi", max_new_tokens=14)], 1)
    speaker.model.generation_config.repetition_penalty = 9.0
    speaker.model.generation_config.do_sample = True
    assert answers(speaker, [Generate(prompt="hi", max_new_tokens=14)], 1) == wanted


def test_a_window_of_nothing_is_answered_with_nothing(speaker):
    assert answers(speaker, [], 4) == []


def test_small_models_begin_with_larger_batches(speaker):
    assert fitting_batch(speaker.model) == 64


def test_left_padding():
    tokens, mask = left_padded([[5, 6, 7], [8]], 0, "cpu")
    assert tokens.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


def test_a_folder_without_a_tokenizer_is_refused_in_one_line(tmp_path, tiny_llava):
    (tmp_path / "config.json").write_bytes((tiny_llava / "config.json").read_bytes())
    with pytest.raises(WeightsError, match="its tokenizer cannot be loaded") as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in caught.value.message
