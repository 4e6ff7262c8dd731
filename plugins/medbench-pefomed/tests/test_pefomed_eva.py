"""EVA ViT-g against a plain reference of it, its conversion, and the published numbers of parameters."""

from __future__ import annotations

import math

import pytest
import torch
from medbench_pefomed.eva import convert_eva, stretched
from medbench_pefomed.learner import tuned_names, wrap_lora
from medbench_pefomed.network import LN_EPS, MiniGptNetwork, assembled
from medbench_torch.devices import place
from medbench_torch.tiny.causal import build_llama
from medbench_torch.weights import WeightsError
from torch.nn import functional
from transformers import AutoModelForCausalLM, Blip2VisionConfig, Blip2VisionModel, LlamaConfig

WIDTH, HEADS, DEPTH, PATCH, GRID = 32, 4, 3, 14, 4
"""Of the `eva` of conftest."""


def reference(tensors, pixels, depth):
    """Return what EVA ViT-g computes, written out: pre-norm blocks, biases on queries and values alone, then an identity norm."""
    x = functional.conv2d(pixels, tensors["patch_embed.proj.weight"], tensors["patch_embed.proj.bias"], stride=PATCH).flatten(2).mT
    x = torch.cat([tensors["cls_token"].expand(len(x), -1, -1), x], dim=1) + tensors["pos_embed"]
    for number in range(depth):
        p = {name.removeprefix(f"blocks.{number}."): value for name, value in tensors.items() if name.startswith(f"blocks.{number}.")}
        y = functional.layer_norm(x, (WIDTH,), p["norm1.weight"], p["norm1.bias"], 1e-6)
        q, k, v = (y @ p["attn.qkv.weight"].T).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (q + p["attn.q_bias"], k, v + p["attn.v_bias"]))
        weights = (q @ k.mT / math.sqrt(WIDTH // HEADS)).softmax(-1)
        x = x + (weights @ v).transpose(1, 2).flatten(2) @ p["attn.proj.weight"].T + p["attn.proj.bias"]
        y = functional.layer_norm(x, (WIDTH,), p["norm2.weight"], p["norm2.bias"], 1e-6)
        y = functional.gelu(y @ p["mlp.fc1.weight"].T + p["mlp.fc1.bias"])
        x = x + y @ p["mlp.fc2.weight"].T + p["mlp.fc2.bias"]
    return functional.layer_norm(x, (WIDTH,), eps=1e-5)


def converted(tensors, depth=DEPTH, grid=GRID):
    return convert_eva(tensors, "eva_vit_g.pth", layers=depth, head=WIDTH // HEADS, side=grid * PATCH)


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    folder = build_llama(tmp_path_factory.mktemp("llama") / "model")
    return AutoModelForCausalLM.from_pretrained(folder)


@pytest.mark.parametrize("depth", [DEPTH, DEPTH - 1])
def test_the_tower_computes_what_eva_computes_without_the_blocks_that_are_left_out(eva, language_model, depth):
    tensors = eva()
    config, made = converted(tensors, depth)
    network = assembled(config, made, language_model, place("cpu"), "eva")
    pixels = torch.randn(2, 3, GRID * PATCH, GRID * PATCH, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours = network.vision_tower(pixel_values=pixels).last_hidden_state
    torch.testing.assert_close(ours, reference(tensors, pixels, depth), rtol=1e-4, atol=1e-4)
    assert network.vision_tower.post_layernorm.eps == LN_EPS


def test_four_patches_in_raster_order_make_one_token(eva, language_model):
    config, made = converted(eva())
    network = assembled(config, made, language_model, place("cpu"), "eva")
    torch.nn.init.zeros_(network.multi_modal_projector.bias)
    torch.nn.init.normal_(network.multi_modal_projector.weight)
    pixels = torch.randn(1, 3, GRID * PATCH, GRID * PATCH, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        patches = network.vision_tower(pixel_values=pixels).last_hidden_state[0, 1:]
        tokens = network.image_tokens(pixels)[0]
    assert len(tokens) == network.n_image_tokens == GRID * GRID // 4
    second = torch.cat([patches[4], patches[5], patches[6], patches[7]]) @ network.multi_modal_projector.weight.T
    torch.testing.assert_close(tokens[1], second)


def test_positions_are_stretched_as_the_reference_does(eva):
    positions = eva()["pos_embed"]
    made = stretched(positions, 8)
    model = Blip2VisionModel(
        Blip2VisionConfig(hidden_size=WIDTH, intermediate_size=8, num_hidden_layers=1, num_attention_heads=4, image_size=56)
    )
    model.embeddings.position_embedding.data = positions
    theirs = model.embeddings.interpolate_pos_encoding(torch.zeros(1, 65, WIDTH), 8 * PATCH, 8 * PATCH)
    torch.testing.assert_close(made, theirs)
    assert torch.equal(made[:, 0], positions[:, 0])
    assert torch.equal(stretched(positions, GRID), positions)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pos_embed": None}, "no EVA ViT"),
        ({"blocks.0.attn.q_bias": None}, "block 0 has one of q_bias and v_bias"),
        ({"blocks.0.attn.relative_position_bias_table": torch.ones(3)}, "1 tensors that EVA ViT-g does not have"),
        ({"blocks.2.norm1.weight": None}, None),
    ],
)
def test_a_file_that_is_no_eva_is_refused(eva, language_model, change, said):
    tensors = {name: value for name, value in (eva() | change).items() if value is not None}
    with pytest.raises(WeightsError, match=said or "1 tensor missing"):
        assembled(*converted(tensors), language_model, place("cpu"), "eva")


def test_too_few_blocks_are_refused(eva):
    with pytest.raises(WeightsError, match="2 blocks 32 wide; 3 of heads 8 wide"):
        converted(eva(depth=2))


def test_the_full_size_has_the_published_numbers_of_trainable_parameters():
    with torch.device("meta"):
        network = MiniGptNetwork(Blip2VisionModel(Blip2VisionConfig(image_size=448)), AutoModelForCausalLM.from_config(LlamaConfig()))
        wrap_lora(network.language_model, 64, 16, 0.05)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    trained = tuned_names(list(sizes))
    lora = sum(sizes[name] for name in trained if "lora_" in name)
    projection = sum(sizes[name] for name in trained if "lora_" not in name)
    assert (lora, projection) == (33_554_432, 23_072_768)
    assert round((lora + projection) / 1e6, 2) == 56.63
    assert sum(size for name, size in sizes.items() if name.startswith("vision_tower.")) == pytest.approx(0.987e9, rel=1e-2)
    assert network.n_image_tokens == 256
    assert network.multi_modal_projector.in_features == 5632
