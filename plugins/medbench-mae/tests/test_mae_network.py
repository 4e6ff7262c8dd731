"""The encoder sees every patch in its place and gives the same each time; pooling, losses."""

from __future__ import annotations

import doctest

import pytest
import torch
from medbench_mae import losses
from medbench_mae.losses import info_nce, label_loss, margin_loss
from medbench_mae.network import AttentionPool, AttentionText, MeanText, Readout, all_tokens
from medbench_mae.presets import tiny_mae
from torch.nn import functional


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(3, 3, 112, 112, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def vit():
    return tiny_mae(mask_ratio=0.0).vit


@pytest.fixture
def unit():
    def made(n, seed):
        return functional.normalize(torch.randn(n, 5, generator=torch.Generator().manual_seed(seed)), dim=-1)

    return made


@torch.inference_mode()
def test_all_patches_come_back_in_raster_order_each_time(vit, pixels):
    tokens = all_tokens(vit, pixels)
    assert tokens.shape == (3, 65, 96)
    assert torch.equal(tokens, all_tokens(vit, pixels))
    torch.testing.assert_close(all_tokens(vit, pixels[1:2])[0], tokens[1], rtol=1e-4, atol=1e-5)
    by_chance = vit(pixels).last_hidden_state
    assert not torch.allclose(by_chance, tokens, atol=1e-3), "without the fixed noise, the patches come in another order each time"
    torch.testing.assert_close(by_chance[:, 0], tokens[:, 0], rtol=1e-3, atol=1e-4)


@torch.inference_mode()
def test_a_changed_patch_changes_its_own_token_most(vit, pixels):
    other = pixels[:1].clone()
    other[..., 14:28, 28:42] += 3.0  # second row, third column of 8
    moved = (all_tokens(vit, other) - all_tokens(vit, pixels[:1])).norm(dim=-1)[0]
    assert moved.argmax() == 1 + 8 + 2


def test_an_encoder_that_drops_patches_is_refused(pixels):
    with pytest.raises(ValueError, match=r"mask_ratio 0\.75"):
        all_tokens(tiny_mae().vit, pixels)


@torch.inference_mode()
def test_padding_is_not_pooled():
    torch.manual_seed(0)
    pool, tokens = AttentionPool(8, 2), torch.randn(2, 5, 8)
    mask = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    torch.testing.assert_close(pool(tokens, mask)[0], pool(tokens[:1, :3])[0])
    torch.testing.assert_close(pool(tokens, mask)[1], pool(tokens)[1])
    text = AttentionText(8, 4, 2, 6)
    torch.testing.assert_close(text(tokens, mask)[0], text(tokens[:1, :3], mask[:1, :3])[0])


@torch.inference_mode()
def test_several_pictures_of_a_request_are_averaged():
    torch.manual_seed(0)
    readout, tokens = Readout(8, 2, 0), torch.randn(3, 4, 8)
    one, two, three = readout.pool(tokens)
    pooled = readout.pooled(tokens, torch.tensor([0, 1, 1]), 2)
    torch.testing.assert_close(pooled, torch.stack([one, (two + three) / 2]))


@torch.inference_mode()
def test_mean_vectors_are_put_on_one_scale_before_they_are_projected():
    torch.manual_seed(0)
    side, vectors = MeanText(4, 3), torch.randn(6, 4) * 2 + 7
    side.mean.copy_(vectors.mean(dim=0))
    side.deviation.copy_(vectors.std(dim=0, unbiased=False))
    scaled = (vectors - vectors.mean(dim=0)) / vectors.std(dim=0, unbiased=False)
    torch.testing.assert_close(side(vectors), functional.linear(scaled, side.projection.weight, side.projection.bias))


def test_the_margin_loss_is_the_published_sum_over_pairs(unit):
    image, text = unit(6, 0), unit(6, 1)
    kinds = [0, 1, 0, 2, 3, 1]
    same = torch.tensor([[a == b for b in kinds] for a in kinds])
    total = 0.0
    for i in range(6):
        for j in range(6):
            distance = float((image[i] - text[j]).norm())
            total += distance**2 if same[i, j] else max(0.0, 1.2 - distance) ** 2
    assert float(margin_loss(image, text, same, 1.2)) == pytest.approx(total / 6, rel=1e-5)


def test_the_margin_loss_has_a_gradient_where_two_vectors_meet():
    image = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    margin_loss(image, torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.eye(2, dtype=torch.bool), 1.0).backward()
    assert torch.isfinite(image.grad).all()


def test_info_nce_without_equal_reports_is_the_one_of_clip(unit):
    image, text = unit(5, 2), unit(5, 3)
    logits, own = 7.0 * image @ text.T, torch.arange(5)
    clip = (functional.cross_entropy(logits, own, reduction="sum") + functional.cross_entropy(logits.T, own, reduction="sum")) / 2
    made = info_nce(image, text, torch.eye(5, dtype=torch.bool), torch.tensor(7.0))
    torch.testing.assert_close(made, clip)


def test_an_unknown_label_moves_nothing():
    logits = torch.tensor([[0.3, -0.8], [1.1, 0.4]], requires_grad=True)
    truth, known = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[True, False], [True, True]])
    loss = label_loss(logits, truth, known)
    loss.backward()
    by_hand = sum(functional.binary_cross_entropy_with_logits(logits[i, j], truth[i, j]) for i in range(2) for j in range(2) if known[i, j])
    torch.testing.assert_close(loss, by_hand)
    assert logits.grad[0, 1] == 0
    assert (logits.grad[known] != 0).all()


def test_the_examples_in_docstrings_hold():
    done = doctest.testmod(losses)
    assert done.attempted > 0
    assert done.failed == 0
