from __future__ import annotations

import pytest
import torch
from medbench_clip.network import LARGEST_SCALE, Block, SmallClip
from medbench_clip.sizes import PRESETS, Sizes, sizes_of
from torch import nn
from torch.nn import functional

from medbench.errors import UsageError


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SmallClip(PRESETS["tiny"], 300).eval()


def test_the_published_network_is_as_the_report_has_it():
    sizes = Sizes()
    with torch.device("meta"):
        network = SmallClip(sizes, sizes.vocabulary)
    assert len(network.image.blocks) == 5
    assert [block[0].out_channels for block in network.image.blocks] == [32, 64, 128, 256, 512]
    assert all(sum(isinstance(part, nn.Conv2d) for part in block) == 1 for block in network.image.blocks)
    assert network.image.projection.in_features == 512 * 4 * 4, "the last feature map is flattened, not averaged"
    assert (len(network.text.blocks), network.text.blocks[0].heads, network.text.tokens.embedding_dim) == (5, 4, 128)
    images = network.image(torch.empty(2, 3, 128, 128, dtype=torch.uint8, device="meta"))
    texts = network.text(torch.empty(2, 9, dtype=torch.long, device="meta"), torch.empty(2, 9, dtype=torch.bool, device="meta"))
    assert tuple(images.shape) == tuple(texts.shape) == (2, 128)


def test_filters_grow_and_every_block_halves_the_picture(network):
    shown = torch.zeros(1, 3, 64, 64)
    sides = []
    for block in network.image.blocks:
        shown = block(shown)
        sides.append(tuple(shown.shape[1:]))
    assert sides == [(16, 32, 32), (32, 16, 16), (48, 8, 8), (64, 4, 4), (96, 2, 2)]


def test_norm_can_be_left_out_as_the_report_mentions_none():
    plain = SmallClip(sizes_of("tiny").__class__(side=32, channels=(4, 4), norm=False), 300)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in plain.modules())
    assert plain.image.blocks[0][0].bias is not None


def test_a_text_does_not_depend_on_the_padding_beside_it(network):
    ids = torch.randint(1, 300, (2, 12))
    alone = torch.ones(1, 5, dtype=torch.bool)
    padded = torch.zeros(2, 12, dtype=torch.bool)
    padded[0, :5] = padded[1] = True
    with torch.no_grad():
        assert torch.allclose(network.text(ids[:1, :5], alone)[0], network.text(ids, padded)[0], atol=1e-6)


def test_a_block_is_what_torch_makes_of_the_same_weights():
    torch.manual_seed(0)
    sizes = Sizes(width=16, heads=4, inner=24, dropout=0.0)
    block = Block(sizes).eval()
    layer = nn.TransformerEncoderLayer(16, 4, 24, dropout=0.0, batch_first=True).eval()
    names = {"linear1": block.inner, "linear2": block.outer, "norm1": block.norms[0], "norm2": block.norms[1]}
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(block.attention.weight)
        layer.self_attn.in_proj_bias.copy_(block.attention.bias)
        layer.self_attn.out_proj.load_state_dict(block.mix.state_dict())
        for name, part in names.items():
            getattr(layer, name).load_state_dict(part.state_dict())
        tokens, mask = torch.randn(2, 6, 16), torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
        wanted = layer(tokens, src_key_padding_mask=~mask)
        assert torch.allclose(block(tokens, mask)[mask], wanted[mask], atol=1e-5)


def test_what_is_learnt_from_is_the_cosine_times_a_bounded_factor(network):
    pixels = torch.randint(0, 255, (3, 3, 64, 64), dtype=torch.uint8)
    ids, mask = torch.randint(1, 300, (3, 5)), torch.ones(3, 5, dtype=torch.bool)
    with torch.no_grad():
        images, texts = network.image(pixels), network.text(ids, mask)
        cosines = functional.cosine_similarity(images[:, None], texts[None], dim=-1)
        assert torch.allclose(network(pixels, ids, mask), cosines / 0.07, atol=1e-4)
        before = network.log_scale.item()
        network.log_scale.fill_(9.0)
        assert network.scale.item() == LARGEST_SCALE
        network.log_scale.fill_(before)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="side = 100"):
        Sizes(side=100)
    with pytest.raises(ValueError, match="width = 30"):
        Sizes(width=30)
    with pytest.raises(UsageError, match="preset=huge") as caught:
        sizes_of("huge")
    assert "tiny" in caught.value.hint
