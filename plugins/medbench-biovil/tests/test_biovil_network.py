from __future__ import annotations

import pytest
import torch
from medbench_biovil.network import Block, ImageNetwork, sine_places
from medbench_biovil.sizes import PRESETS, PUBLISHED
from medbench_biovil.text import TextNetwork
from torch import nn
from torch.nn import functional
from transformers import BertConfig


@pytest.fixture(scope="module")
def meta():
    with torch.device("meta"):
        return ImageNetwork(PUBLISHED)


def test_it_has_the_372_tensors_of_the_published_file_under_their_names(meta):
    state = meta.state_dict()
    assert len(state) == 372
    assert sum(parameter.numel() for parameter in meta.parameters()) == pytest.approx(27.35e6, abs=1e4)
    shapes = {
        "encoder.encoder.conv1.weight": (64, 3, 7, 7),
        "encoder.encoder.layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "encoder.encoder.layer4.2.bn3.running_var": (2048,),
        "encoder.encoder.fc.weight": (1000, 2048),
        "encoder.backbone_to_vit.weight": (256, 2048, 1, 1),
        "encoder.missing_previous_emb": (1, 256, 1, 1),
        "encoder.vit_pooler.type_embed": (2, 1, 256),
        "encoder.vit_pooler.blocks.2.attn.proj_q.weight": (256, 256),
        "encoder.vit_pooler.blocks.0.mlp.fc2.bias": (256,),
        "encoder.vit_pooler.norm_post.weight": (256,),
        "projector.model.0.weight": (128, 512, 1, 1),
        "projector.model.1.running_mean": (128,),
        "projector.model.3.bias": (128,),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    prefixes = ("encoder.encoder.", "encoder.backbone_to_vit.", "encoder.vit_pooler.", "encoder.missing_previous_emb", "projector.model.")
    assert all(name.startswith(prefixes) for name in state)


def test_448_pixels_become_14_by_14_patches_of_128(meta):
    assert PUBLISHED.grid == 14
    made = meta(torch.empty(1, 3, 448, 448, device="meta"), torch.empty(1, 3, 448, 448, device="meta"))
    assert tuple(made.shape) == (1, 128, 14, 14)


def test_a_block_is_what_torch_makes_of_the_same_weights():
    torch.manual_seed(0)
    block = Block(16, 4).eval()
    attention = nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([block.attn.proj_q.weight, block.attn.proj_k.weight, block.attn.proj_v.weight]))
        attention.in_proj_bias.zero_()
        attention.out_proj.weight.copy_(block.attn.proj.weight)
        attention.out_proj.bias.copy_(block.attn.proj.bias)
        x, places = torch.randn(2, 5, 16), torch.randn(1, 5, 16)
        told = functional.layer_norm(x, (16,), eps=1e-6) + places
        wanted = x + attention(told, told, told, need_weights=False)[0]
        wanted = wanted + block.mlp(functional.layer_norm(wanted, (16,), eps=1e-6))
        assert torch.allclose(block(x, places), wanted, atol=1e-6)


def test_places_tell_rows_from_columns():
    code = sine_places(14, 256).view(14, 14, 256)
    assert torch.equal(code[3, :, :128], code[3, :1, :128].expand(14, 128))
    assert torch.equal(code[:, 5, 128:], code[:1, 5, 128:].expand(14, 128))
    assert torch.equal(code[3, 0, :128], code[0, 3, 128:])
    angle = torch.tensor(4 / (14 + 1e-6) * 2 * torch.pi)
    assert code[3, 0, 0] == pytest.approx(float(angle.sin()), abs=1e-6)
    assert code[3, 0, 1] == pytest.approx(float(angle.cos()), abs=1e-6)
    slow = angle / 10_000 ** (126 / 128)
    assert code[3, 0, 126:128].tolist() == pytest.approx([float(slow.sin()), float(slow.cos())], abs=1e-6)
    assert code.flatten(0, 1).unique(dim=0).shape[0] == 196


def test_without_a_prior_a_learnt_vector_stands_for_the_change():
    torch.manual_seed(0)
    network = ImageNetwork(PRESETS["tiny"]).eval()
    current, prior = torch.rand(2, 2, 3, 128, 128).unbind()
    with torch.no_grad():
        alone, again, pair = network(current), network(current), network(current, prior)
        network.encoder.missing_previous_emb += 1.0
        moved = network(current)
    assert torch.equal(alone, again)
    assert not torch.allclose(alone, pair)
    assert not torch.allclose(alone, moved)


def test_the_projected_sentence_is_that_of_its_first_token():
    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    network = TextNetwork(config, 16).eval()
    ids, mask = torch.randint(5, 50, (3, 7)), torch.ones(3, 7, dtype=torch.long)
    with torch.no_grad():
        first = network.bert(ids, mask).last_hidden_state[:, 0]
        head = network.cls_projection_head
        hidden = functional.gelu(head["dense_to_hidden"](first))
        normed = (hidden - hidden.mean(1, keepdim=True)) / hidden.var(1, unbiased=False, keepdim=True).add(1e-12).sqrt()
        assert torch.allclose(network(ids, mask), head["dense_to_output"](normed), atol=1e-5)
    with torch.device("meta"):
        whole = TextNetwork(BertConfig(), 128)
    assert tuple(whole.cls_projection_head["dense_to_hidden"].weight.shape) == (128, 768)
