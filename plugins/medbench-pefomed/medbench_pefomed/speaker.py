"""MiniGPT-v2's side of generation: prompts in pieces around the image tokens, features kept after the projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from medbench_torch.generation import left_padded
from medbench_torch.images import Pixels, pil_processor
from medbench_torch.processing import CLIP_MEAN, CLIP_STD

from medbench.types import Generate
from medbench_pefomed.network import PLACE, MiniGptNetwork
from medbench_pefomed.wording import Wording, evaluation_parts

if TYPE_CHECKING:
    from PIL import Image as Pil


CONTEXT = 2048
"""Tokens of prompt and answer where a language model has no limit of its own (ALiBi): what Bloom and MPT were trained on."""


class MiniGptSpeaker:
    """What generation needs of a MiniGPT-v2.

    Args:
        network: In evaluation mode, LoRA merged or in place.
        tokenizer: Of the language model.
        wording: How requests are put.
    """

    fixed_length = True
    shares_prompt = True

    def __init__(self, network: MiniGptNetwork, tokenizer: Any, wording: Wording) -> None:
        self.network = network
        self.model: Any = network.language_model
        self.tokenizer = tokenizer
        self.wording = wording
        config = self.model.config.get_text_config()
        self.context_length = int(getattr(config, "max_position_embeddings", 0) or CONTEXT)
        self.shares_prompt = getattr(config, "sliding_window", None) is None
        said = getattr(self.model.generation_config, "eos_token_id", None)
        listed = [said] if isinstance(said, int) else list(said or ())
        self.end_ids = tuple(dict.fromkeys(token for token in (*listed, tokenizer.eos_token_id) if token is not None))
        self.pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end_ids[0]
        self.pixels = Pixels(squashed(network.vision_tower.config.image_size), "squash")

    def prepare(self, picture: Pil.Image) -> torch.Tensor:
        """Return the pixels of a picture squashed to the square, float32 of shape (3, side, side)."""
        return self.pixels(picture)

    def encode_images(self, pictures: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the projected tokens of each picture, shape (tokens, width): fewer numbers than before the projection."""
        batch = torch.stack(list(pictures)).to(self.model.device, self.network.vision_tower.dtype, non_blocking=True)
        return list(self.network.image_tokens(batch))

    def prompt_ids(self, request: Generate, features: Sequence[Any] | None = None) -> list[int]:
        """Return the prompt as tokens, `PLACE` for each image token; the first piece has a second beginning, as published.

        Raises:
            InputError: nothing is left of the question.
        """
        del features
        bos = self.tokenizer.bos_token or ""
        parts = evaluation_parts(self.wording.evaluated(request), len(request.images), bos)
        return self.joined(parts, special=True)

    def joined(self, parts: Sequence[str], *, special: bool) -> list[int]:
        """Return the tokens of pieces, each tokenised by itself, image tokens between them.

        Args:
            parts: Pieces of a prompt.
            special: The tokenizer puts its own beginning before the first one.
        """
        ids: list[int] = []
        for number, part in enumerate(parts):
            ids += [PLACE] * self.network.n_image_tokens if number else []
            ids += self.tokenizer(part, add_special_tokens=special and not number)["input_ids"]
        return ids

    def inputs(
        self, requests: Sequence[Generate], ids: Sequence[list[int]], features: Sequence[Sequence[torch.Tensor]]
    ) -> dict[str, torch.Tensor]:
        """Return left-padded embeddings (rows, longest, width) with image tokens in their places, and the mask."""
        del requests
        tokens, mask = left_padded(ids, self.pad_id, self.model.device)
        shown = [one for row in features for one in row]
        return {"inputs_embeds": self.network.embedded(tokens, torch.cat(shown) if shown else None), "attention_mask": mask}

    def facts(self) -> dict[str, Any]:
        """Return what is worth recording of how requests are put."""
        config = self.model.config.get_text_config()
        language_model = {"kind": config.model_type, "width": config.hidden_size, "layers": config.num_hidden_layers}
        return {
            **self.wording.facts(),
            "image_tokens": self.network.n_image_tokens,
            "language_model": language_model,
            **self.pixels.facts(),
        }


def squashed(side: int) -> Any:
    """Return the processor of MiniGPT-v2's evaluation: bicubic to the square, CLIP's mean and deviation."""
    size = {"height": side, "width": side}
    return pil_processor(
        {
            "image_processor_type": "BlipImageProcessor",
            "size": size,
            "resample": 3,
            "do_resize": False,
            "image_mean": list(CLIP_MEAN),
            "image_std": list(CLIP_STD),
        }
    )
