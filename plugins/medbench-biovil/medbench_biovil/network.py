"""BioViL-T's image network in plain torch: a ResNet, a transformer over current and prior patches, a projection of each patch."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from medbench_biovil.resnet import ResNet
from medbench_biovil.sizes import Sizes

EPS = 1e-6


class Attention(nn.Module):
    """Self-attention with projections apart and without biases, but for the last."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.proj_q = nn.Linear(dim, dim, bias=False)
        self.proj_k = nn.Linear(dim, dim, bias=False)
        self.proj_v = nn.Linear(dim, dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return tokens, (pictures, tokens, dim)."""
        pictures, tokens, dim = x.shape

        def apart(made: torch.Tensor) -> torch.Tensor:
            return made.view(pictures, tokens, self.heads, dim // self.heads).transpose(1, 2)

        seen = functional.scaled_dot_product_attention(apart(self.proj_q(x)), apart(self.proj_k(x)), apart(self.proj_v(x)))
        made: torch.Tensor = self.proj(seen.transpose(1, 2).reshape(pictures, tokens, dim))
        return made


class Mlp(nn.Module):
    """Two layers of equal width around a GELU."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, dim)
        self.fc2 = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return tokens, (pictures, tokens, dim)."""
        made: torch.Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return made


class Block(nn.Module):
    """A transformer block; places are told to queries, keys and values alike."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = Mlp(dim)

    def forward(self, x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return tokens, (pictures, tokens, dim); `places` is (1, tokens, dim)."""
        x = x + self.attn(self.norm1(x) + places)
        made: torch.Tensor = x + self.mlp(self.norm2(x))
        return made


class Pooler(nn.Module):
    """What changed between two pictures, patch by patch of the current one."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(sizes.dim, sizes.heads) for _ in range(sizes.blocks))
        self.norm_post = nn.LayerNorm(sizes.dim, eps=EPS)
        self.type_embed = nn.Parameter(torch.zeros(2, 1, sizes.dim))
        self.register_buffer("pos_embed", sine_places(sizes.grid, sizes.dim), persistent=False)

    def forward(self, current: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return a map of differences, (pictures, dim, rows, columns), of two such maps."""
        pictures, dim, rows, columns = current.shape
        x = torch.cat([current.flatten(2).transpose(1, 2), prior.flatten(2).transpose(1, 2)], dim=1)
        places = torch.cat([self.pos_embed + self.type_embed[0], self.pos_embed + self.type_embed[1]], dim=1)
        for block in self.blocks:
            x = block(x, places)
        kept = self.norm_post(x)[:, : rows * columns]
        return kept.transpose(1, 2).reshape(pictures, dim, rows, columns)


class Encoder(nn.Module):
    """Patches of the current picture, and beside them what changed since the prior one."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.encoder = ResNet(sizes.layers, sizes.width, sizes.classes)
        self.backbone_to_vit = nn.Conv2d(self.encoder.channels, sizes.dim, 1, bias=False)
        self.vit_pooler = Pooler(sizes)
        self.missing_previous_emb = nn.Parameter(torch.zeros(1, sizes.dim, 1, 1))

    def forward(self, current: torch.Tensor, prior: torch.Tensor | None = None) -> torch.Tensor:
        """Return patches, (pictures, 2 dim, rows, columns); without a prior, a learnt vector stands for the change."""
        if prior is None:
            patches = self.backbone_to_vit(self.encoder(current))
            return torch.cat([patches, self.missing_previous_emb.expand_as(patches)], dim=1)
        patches, before = self.backbone_to_vit(self.encoder(torch.cat([current, prior]))).chunk(2)
        return torch.cat([patches, self.vit_pooler(patches, before)], dim=1)


class Projector(nn.Module):
    """Each patch into the common space."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        first = nn.Conv2d(before, after, 1, bias=False)
        self.model = nn.Sequential(first, nn.BatchNorm2d(after), nn.ReLU(), nn.Conv2d(after, after, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return projected patches, (pictures, joint, rows, columns)."""
        made: torch.Tensor = self.model(x)
        return made


class ImageNetwork(nn.Module):
    """The whole image side, its tensors named as in `biovil_t_image_model_proj_size_128.pt`."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.encoder = Encoder(sizes)
        self.projector = Projector(2 * sizes.dim, sizes.joint)

    def forward(self, current: torch.Tensor, prior: torch.Tensor | None = None) -> torch.Tensor:
        """Return projected patches, (pictures, joint, rows, columns), of pixels from 0 to 1, (pictures, 3, crop, crop).

        Their mean over the map is the raw vector of a picture.
        """
        made: torch.Tensor = self.projector(self.encoder(current, prior))
        return made


def sine_places(side: int, dim: int) -> torch.Tensor:
    """Return the fixed code of each place of a square map, (1, side x side, dim): rows in the first half, columns in the second.

    Sine and cosine of the place, scaled to 2 pi, at growing periods (Carion et al., ECCV 2020, arXiv 2005.12872).
    """
    half = dim // 2
    steps = torch.arange(1, side + 1, dtype=torch.float32)
    at = steps / (steps[-1] + 1e-6) * 2 * math.pi
    numbers = torch.arange(half, dtype=torch.float32)
    waves = at[:, None] / 10_000 ** (2 * torch.div(numbers, 2, rounding_mode="floor") / half)
    code = torch.stack((waves[:, 0::2].sin(), waves[:, 1::2].cos()), dim=2).flatten(1)
    rows = code[:, None, :].expand(side, side, half)
    columns = code[None, :, :].expand(side, side, half)
    return torch.cat((rows, columns), dim=2).reshape(1, side * side, dim)
