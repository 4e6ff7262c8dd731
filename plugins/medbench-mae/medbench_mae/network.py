"""The networks: attention pooling over a ViT-MAE's tokens, a head for labels, and the text's side of the alignment."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

MAX_LOG_SCALE = math.log(100.0)
"""As CLIP has it: the learnt factor of InfoNCE stays below 100."""


def all_tokens(vit: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return the last states of the class token and of every patch, in raster order: (n, 1 + patches, width).

    A `ViTMAEModel` drops tokens at its mask ratio, and shuffles them by random noise even where it drops none; so the ratio must be
    0 here, and the noise rises from patch to patch.

    Args:
        vit: With `mask_ratio` 0.
        pixels: Normalised, (n, 3, side, side).

    Raises:
        ValueError: tokens would be dropped.
    """
    if vit.embeddings.config.mask_ratio:
        raise ValueError(f"mask_ratio {vit.embeddings.config.mask_ratio}: an encoder that drops tokens gives another vector each time")
    patches = vit.embeddings.patch_embeddings.num_patches
    noise = torch.arange(patches, dtype=torch.float32, device=pixels.device).expand(len(pixels), -1)
    tokens: torch.Tensor = vit(pixels, noise=noise).last_hidden_state
    return tokens


class AttentionPool(nn.Module):
    """One learnt query attends to all tokens; what it gathers is normalised.

    Args:
        width: Of the tokens, and of what comes out.
        heads: Of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return one vector for each row of tokens, (n, width).

        Args:
            tokens: (n, tokens, width).
            mask: Which tokens there are, boolean (n, tokens); None: all.
        """
        absent = None if mask is None else ~mask
        gathered, _ = self.attention(self.query.expand(len(tokens), -1, -1), tokens, tokens, key_padding_mask=absent, need_weights=False)
        made: torch.Tensor = self.norm(gathered[:, 0])
        return made


class Readout(nn.Module):
    """From the tokens of pictures to one vector for each request, and from there to the logits of labels, where there are any."""

    def __init__(self, width: int, heads: int, n_labels: int) -> None:
        super().__init__()
        self.pool = AttentionPool(width, heads)
        self.head = nn.Linear(width, n_labels) if n_labels else None

    def pooled(self, tokens: torch.Tensor, owner: torch.Tensor, n: int) -> torch.Tensor:
        """Return the mean over each request's pictures of their pooled tokens, (n, width).

        Args:
            tokens: (pictures, tokens, width).
            owner: Which request each picture belongs to, (pictures,).
            n: Requests.
        """
        vectors = self.pool(tokens)
        if len(vectors) == n:
            return vectors
        sums = vectors.new_zeros((n, vectors.shape[1])).index_add(0, owner, vectors)
        return sums / torch.bincount(owner, minlength=n).unsqueeze(1)


class MeanText(nn.Module):
    """The text's side where a report is one vector: put on one scale by the statistics of train, then projected.

    Last states of a language model point in much the same direction; without their mean taken away, all reports look alike.
    """

    def __init__(self, width: int, joint: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.projection = nn.Linear(width, joint)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return (n, joint) of mean vectors (n, width)."""
        made: torch.Tensor = self.projection((vectors - self.mean) / self.deviation)
        return made


class AttentionText(nn.Module):
    """The text's side where a report is all its tokens: brought to the pictures' width, pooled by attention, projected."""

    def __init__(self, width: int, pooled: int, heads: int, joint: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.entrance = nn.Linear(width, pooled)
        self.pool = AttentionPool(pooled, heads)
        self.projection = nn.Linear(pooled, joint)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return (n, joint) of last states (n, tokens, width) and which of them there are, boolean (n, tokens)."""
        made: torch.Tensor = self.projection(self.pool(self.entrance(self.norm(states)), mask))
        return made


class MaeNetwork(nn.Module):
    """Everything that a fit trains; the language model itself is never part of it.

    Args:
        mae: A `ViTMAEForPreTraining`.
        heads: Of attention pooling.
        n_labels: Of the head.
        text: The text's side; None: nothing is aligned.
        joint: Width of the space of alignment.
    """

    def __init__(self, mae: Any, *, heads: int, n_labels: int, text: MeanText | AttentionText | None = None, joint: int = 0) -> None:
        super().__init__()
        width = mae.config.hidden_size
        self.mae = mae
        self.readout = Readout(width, heads, n_labels)
        if text is not None:
            self.projection = nn.Linear(width, joint)
            self.text = text
            self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, stage: str, batch: dict[str, torch.Tensor]) -> Any:
        """Return what the loss of a stage is made of; one door, so that a wrapper for several processes sees every pass."""
        return getattr(self, stage)(**batch)

    def reconstruct(self, pixels: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error over the patches that were hidden, by the order of `noise` (n, patches)."""
        made: torch.Tensor = self.mae(pixels, noise=noise).loss
        return made

    def align(
        self, pixels: torch.Tensor, owner: torch.Tensor, n: int, text: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return unit vectors of pictures and of reports, (n, joint) each, and the factor of InfoNCE."""
        image = self.projection(self._pooled(pixels, owner, n))
        said = self.text(*text)
        scale = self.log_scale.clamp_max(MAX_LOG_SCALE).exp()
        return functional.normalize(image.float(), dim=-1), functional.normalize(said.float(), dim=-1), scale

    def label(self, pixels: torch.Tensor, owner: torch.Tensor, n: int) -> torch.Tensor:
        """Return logits (n, labels)."""
        assert self.readout.head is not None
        made: torch.Tensor = self.readout.head(self._pooled(pixels, owner, n))
        return made.float()

    def _pooled(self, pixels: torch.Tensor, owner: torch.Tensor, n: int) -> torch.Tensor:
        return self.readout.pooled(all_tokens(self.mae.vit, pixels), owner, n)
