"""MiniGPT-v2 as one network: a frozen EVA tower, four patches to a token, a linear projection, a causal language model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from medbench_torch.devices import Placement
from medbench_torch.fit.trainable import checkpoint_activations
from medbench_torch.loading import strict_state
from medbench_torch.weights import WeightsError
from torch import nn
from transformers import Blip2VisionConfig, Blip2VisionModel

GROUPED = 4
"""Consecutive patches, in raster order, that make one image token."""
LN_EPS = 1e-5
"""Of the normalisation behind the tower, which has another epsilon than those inside."""
PLACE = -1
"""What stands for an image token in a row of token ids."""
LORA_TARGETS = ("q_proj", "v_proj")
"""What LoRA wraps in the language model."""


class MiniGptNetwork(nn.Module):
    """Tower, projection and language model.

    Args:
        vision_tower: Whose patches are grouped by four.
        language_model: A causal language model of transformers.
    """

    def __init__(self, vision_tower: Blip2VisionModel, language_model: nn.Module) -> None:
        super().__init__()
        self.vision_tower = vision_tower
        self.multi_modal_projector = nn.Linear(GROUPED * vision_tower.config.hidden_size, width_of(language_model))
        self.language_model = language_model
        # one without counts them by the mask itself (ALiBi)
        self._takes_positions = "position_ids" in inspect.signature(language_model.forward).parameters

    @property
    def config(self) -> Any:
        """Return the config of the language model."""
        return self.language_model.config

    @property
    def n_image_tokens(self) -> int:
        """Return how many tokens a picture has."""
        config = self.vision_tower.config
        return int((config.image_size // config.patch_size) ** 2 // GROUPED)

    def image_tokens(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return projected tokens (pictures, tokens, width) of normalised pixels (pictures, 3, side, side)."""
        patches = self.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
        rows, count, width = patches.shape
        return self.multi_modal_projector(patches.reshape(rows, count // GROUPED, width * GROUPED))

    def embedded(self, ids: torch.Tensor, tokens: torch.Tensor | None) -> torch.Tensor:
        """Return embeddings (rows, length, width) of token ids, each `PLACE` filled with the next of the image tokens."""
        made = self.language_model.get_input_embeddings()(ids.clamp(min=0))
        if tokens is None:
            return made
        return made.masked_scatter((ids == PLACE).unsqueeze(-1), tokens.to(made.dtype))

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, pixel_values: torch.Tensor | None = None, logits_to_keep: int = 0
    ) -> torch.Tensor:
        """Return the logits (rows, kept positions, vocabulary) of left-padded rows."""
        tokens = None if pixel_values is None else self.image_tokens(pixel_values.to(self.vision_tower.dtype))
        return self.language_model(
            inputs_embeds=self.embedded(input_ids, tokens),
            attention_mask=attention_mask,
            **({"position_ids": (attention_mask.cumsum(-1) - 1).clamp(min=0)} if self._takes_positions else {}),
            logits_to_keep=logits_to_keep,
            use_cache=False,
        ).logits

    def activation_checkpointing_enable(self) -> None:
        """Compute the language model's activations again in the backward pass; the tower is frozen and keeps none."""
        checkpoint_activations(self.language_model)


def width_of(language_model: nn.Module) -> int:
    """Return the width of a language model's embeddings."""
    return int(language_model.get_input_embeddings().embedding_dim)  # type: ignore[operator,union-attr]


def assembled(
    config: Blip2VisionConfig, tensors: Mapping[str, torch.Tensor], language_model: Any, placement: Placement, source: str
) -> Any:
    """Return the network of a tower's tensors and a loaded language model, its projection not filled yet.

    Raises:
        WeightsError: the tensors are not those of the config, or its patches cannot be grouped.
    """
    if (config.image_size // config.patch_size) ** 2 % GROUPED:
        raise WeightsError(f"{source}: {config.image_size} pixels in patches of {config.patch_size} make no groups of {GROUPED}")
    with torch.device("meta"):
        tower = Blip2VisionModel._from_config(config, attn_implementation=placement.attn)  # noqa: SLF001 - as from_pretrained does
        network = MiniGptNetwork(tower, language_model)
    for part in (network.vision_tower, network.multi_modal_projector):
        part.to(placement.dtype).to_empty(device=placement.device)
    strict_state(network.vision_tower, tensors, source=source)
    network.vision_tower.post_layernorm.eps = LN_EPS
    return network.eval()
