"""The kit is held to its word: what is right passes, each thing that is wrong is found."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from medbench_torch.adapters import AdapterError, apply_adapter, read_adapter
from medbench_torch.devices import place
from medbench_torch.loading import load_model
from medbench_torch.testing import asked, check_adapter_is_no_noop, check_batch_equals_single, check_facts_complete, check_reload_gives_same
from medbench_torch.tiny.causal import build_llama
from transformers import LlavaForConditionalGeneration

from medbench.cards import ModelCard
from medbench.errors import OutOfMemory
from medbench.registry import load
from medbench.testing import FakeModel, check_model
from medbench.types import Embed, Failed, Generate, Text, Vector

CARD = ModelCard(name="tiny-torch", load="tiny_torch_model:TinyTorch", can=("generate",), max_images=0)
REQUESTS = [Generate(prompt=text, max_new_tokens=4) for text in ("a", "is there an effusion?", "lungs")]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(build_llama(tmp_path_factory.mktemp("llama") / "llama"))


@pytest.fixture(scope="module")
def tiny_torch(weights):
    """Return the class that the card points to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield load(CARD)


@pytest.fixture(scope="module")
def model(tiny_torch, weights):
    return tiny_torch(weights=weights)


def test_a_sound_model_passes(model, tiny_torch, weights):
    outputs = check_batch_equals_single(model, REQUESTS)
    assert outputs == asked(model, REQUESTS)
    facts = check_facts_complete(model, more=["device_name"])
    assert facts["untrained"] is False
    check_reload_gives_same(lambda: tiny_torch(weights=weights), lambda m: m.model.lm_head.weight)
    assert check_model(CARD, {"weights": weights}, REQUESTS) == outputs


def test_an_output_that_depends_on_the_batch_is_found():
    class Crowded(FakeModel):
        def generate(self, requests):
            return [Text(text=f"{request.prompt} {len(requests)}") for request in requests]

    with pytest.raises(AssertionError, match="request 0 alone"):
        check_batch_equals_single(Crowded(), REQUESTS)


def test_an_output_that_depends_on_the_order_is_found():
    class First(FakeModel):
        def embed(self, requests):
            return [Vector(data=bytes([0, 0, 128, 63 if n == 0 or len(requests) == 1 else 64])) for n, _ in enumerate(requests)]

    with pytest.raises(AssertionError, match=r"request \d (alone|in reversed order)"):
        check_batch_equals_single(First(), [Embed(text="a"), Embed(text="b")])


def test_log_probabilities_may_differ_by_the_tolerance_alone():
    class Noisy(FakeModel):
        def __init__(self, noise):
            super().__init__()
            self.noise = noise

        def generate(self, requests):
            return [Text(text="yes", option_logprobs={"yes": -1 + self.noise * len(requests)}, covered=0.9) for _ in requests]

    check_batch_equals_single(Noisy(1e-6), REQUESTS)
    with pytest.raises(AssertionError, match="alone"):
        check_batch_equals_single(Noisy(1e-2), REQUESTS)


def test_a_failure_and_a_missing_answer_are_found():
    broken = FakeModel(lambda _request: Failed(kind="model", error="no"))
    with pytest.raises(AssertionError, match="it failed: no"):
        check_batch_equals_single(broken, REQUESTS)

    class Lazy(FakeModel):
        def generate(self, requests):
            return [Text(text="a")]

    with pytest.raises(AssertionError, match=r"answered \[0\] of 3"):
        check_batch_equals_single(Lazy(), REQUESTS)


def test_adapters_are_tried_with_and_against(tiny_llava, tiny_loras, probe):
    def make(adapter):
        base = load_model(LlavaForConditionalGeneration, tiny_llava, place("cpu"))
        return apply_adapter(base, read_adapter(adapter), probe=probe)[0] if adapter else base

    for folder in tiny_loras.values():
        check_adapter_is_no_noop(make, folder, probe)
    with pytest.raises(AssertionError, match="changes nothing"):
        check_adapter_is_no_noop(lambda adapter: make(""), tiny_loras["hf"], probe)

    def careless(adapter):
        try:
            return make(adapter)
        except AdapterError:
            return make("")

    with pytest.raises(AssertionError, match="was accepted"):
        check_adapter_is_no_noop(careless, tiny_loras["hf"], probe)


@pytest.mark.parametrize("lost", ["dtype", "weights_digest", "versions"])
def test_a_fact_that_is_not_stated_is_found(model, lost):
    facts = {name: value for name, value in model.facts().items() if name != lost}
    with pytest.raises(AssertionError, match=lost):
        check_facts_complete(FakeModel(facts=facts))


def test_facts_of_an_adapter_are_asked_for(model):
    with pytest.raises(AssertionError, match="no adapter"):
        check_facts_complete(model, adapter=True)
    with pytest.raises(AssertionError, match="lacks digest"):
        check_facts_complete(FakeModel(facts=model.facts() | {"adapter": {"r": 4}}), adapter=True)


def test_reloading_that_differs_is_found():
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match="loaded twice, it differs"):
        check_reload_gives_same(lambda: torch.rand(3), lambda tensor: tensor)


def test_a_window_that_does_not_fit_is_out_of_memory(tiny_torch, weights):
    small = tiny_torch(weights=weights, fits=2)
    with pytest.raises(OutOfMemory):
        list(small.generate(REQUESTS))
    assert len(list(small.generate(REQUESTS[:2]))) == 2
