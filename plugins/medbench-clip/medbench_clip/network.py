"""The network of clip-roco: convolutions for pictures, a transformer encoder for texts, one space for both."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from medbench_clip.sizes import Sizes

FIRST_SCALE = 1 / 0.07
LARGEST_SCALE = 100.0
"""As in CLIP: the factor on cosines is learnt, and bounded."""


class ImageEncoder(nn.Module):
    """Blocks of one convolution and one max pooling, then the flattened feature map, projected."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        blocks = []
        for before, after in zip((3, *sizes.channels), sizes.channels, strict=False):
            convolution = nn.Conv2d(before, after, sizes.kernel, padding="same", bias=not sizes.norm)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            normed = [nn.BatchNorm2d(after)] if sizes.norm else []
            blocks.append(nn.Sequential(convolution, *normed, nn.ReLU(), nn.MaxPool2d(2)))
        self.blocks = nn.Sequential(*blocks)
        last = sizes.side // 2 ** len(sizes.channels)
        self.projection = nn.Linear(sizes.channels[-1] * last * last, sizes.width)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return raw vectors, (pictures, width), of pixels from 0 to 255, uint8 (pictures, 3, side, side)."""
        scaled = pixels.to(self.projection.weight.dtype) / 255
        vectors: torch.Tensor = self.projection(self.blocks(scaled).flatten(1))
        return vectors


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each with dropout, added up and normalised after it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.attention = nn.Linear(sizes.width, 3 * sizes.width)
        self.mix = nn.Linear(sizes.width, sizes.width)
        self.inner = nn.Linear(sizes.width, sizes.inner)
        self.outer = nn.Linear(sizes.inner, sizes.width)
        self.norms = nn.ModuleList(nn.LayerNorm(sizes.width) for _ in range(2))
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return tokens, (texts, length, width); `mask` is True where there is one, (texts, length)."""
        texts, length, width = tokens.shape
        parts = self.attention(tokens).view(texts, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*parts, attn_mask=mask[:, None, None, :])
        tokens = self.norms[0](tokens + self.dropout(self.mix(seen.transpose(1, 2).reshape(texts, length, width))))
        made: torch.Tensor = self.norms[1](tokens + self.dropout(self.outer(functional.relu(self.inner(tokens)))))
        return made


class TextEncoder(nn.Module):
    """Token and position embeddings, transformer blocks, the mean over the tokens."""

    def __init__(self, sizes: Sizes, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, sizes.width)
        self.positions = nn.Parameter(torch.empty(sizes.length, sizes.width))
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.02)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.blocks))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return raw vectors, (texts, width), of tokens, (texts, length), where `mask` is True."""
        made = self.tokens(ids) + self.positions[: ids.shape[1]]
        for block in self.blocks:
            made = block(made, mask)
        kept = mask[..., None].to(made.dtype)
        return (made * kept).sum(1) / kept.sum(1)


class SmallClip(nn.Module):
    """Both encoders and the factor on their cosines.

    Args:
        sizes: Of the network.
        vocabulary: Number of tokens.
    """

    def __init__(self, sizes: Sizes, vocabulary: int) -> None:
        super().__init__()
        self.image = ImageEncoder(sizes)
        self.text = TextEncoder(sizes, vocabulary)
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    @property
    def scale(self) -> torch.Tensor:
        """Return the factor on cosines."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def forward(self, pixels: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return scaled cosines, (pictures, texts)."""
        images = functional.normalize(self.image(pixels).float(), dim=-1)
        texts = functional.normalize(self.text(ids, mask).float(), dim=-1)
        return self.scale.float() * images @ texts.T
