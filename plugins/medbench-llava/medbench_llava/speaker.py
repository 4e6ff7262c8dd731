"""LLaVA's side of generation: prompts with expanded image places, features before the projector, embeddings of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from medbench_torch.generation import left_padded
from medbench_torch.images import Pixels
from medbench_torch.weights import WeightsError

from medbench.types import Generate
from medbench_llava.templates import IMAGE, rendered

if TYPE_CHECKING:
    from PIL import Image as Pil


class LlavaSpeaker:
    """What generation needs of a `LlavaForConditionalGeneration`, whatever its tower and its language model.

    Args:
        model: The model, in evaluation mode, an adapter merged or in place.
        tokenizer: Its tokenizer.
        pixels: From picture to tower.
        template: Text with `{images}` and `{prompt}`.

    Raises:
        WeightsError: tokenizer, processor and model are not of one build.
    """

    fixed_length = True

    def __init__(self, model: Any, tokenizer: Any, pixels: Pixels, template: str) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.pixels = pixels
        self.template = template
        self.image_id = int(model.config.image_token_id)
        text = model.config.get_text_config()
        self.context_length = int(text.max_position_embeddings)
        self.end_ids = end_ids(model, tokenizer)
        self.pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end_ids[0]
        self.shares_prompt = getattr(text, "sliding_window", None) is None
        self._is_of_one_build()
        blank = torch.zeros(3, pixels.side, pixels.side)
        with torch.inference_mode():
            self.n_image_tokens = len(self.encode_images([blank])[0])

    def prepare(self, picture: Pil.Image) -> torch.Tensor:
        """Return the pixels of a picture, float32 of shape (3, side, side)."""
        return self.pixels(picture)

    def encode_images(self, pictures: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the tower's patch features of each picture, shape (patches, width), on the device."""
        config = self.model.config
        batch = torch.stack(list(pictures)).to(self.model.device, self.model.dtype, non_blocking=True)
        states = self.model.model.vision_tower(batch, output_hidden_states=True).hidden_states
        layers = config.vision_feature_layer
        chosen = [states[layer] for layer in ([layers] if isinstance(layers, int) else layers)]
        if config.vision_feature_select_strategy == "default":
            chosen = [state[:, 1:] for state in chosen]
        return list(torch.cat(chosen, dim=-1))

    def prompt_ids(self, request: Generate, features: Sequence[Any] | None = None) -> list[int]:
        """Return the prompt as tokens, each image place as long as its features.

        Raises:
            InputError: the prompt has places for another number of pictures than the request has.
        """
        del features
        made: list[int] = []
        for token in self.tokenizer(rendered(self.template, request))["input_ids"]:
            made += [token] * (self.n_image_tokens if token == self.image_id else 1)
        return made

    def inputs(
        self, requests: Sequence[Generate], ids: Sequence[list[int]], features: Sequence[Sequence[torch.Tensor]]
    ) -> dict[str, torch.Tensor]:
        """Return left-padded embeddings (rows, longest, width) with the projected features in their places, and the mask."""
        del requests
        tokens, mask = left_padded(ids, self.pad_id, self.model.device)
        embedded = self.model.get_input_embeddings()(tokens)
        shown = [one for row in features for one in row]
        if shown:
            # a picture that several rows share is projected once
            own = {id(one): one for one in shown}
            projected = dict(zip(own, self.model.model.multi_modal_projector(torch.stack(list(own.values()))), strict=True))
            everything = torch.cat([projected[id(one)] for one in shown]).to(embedded.dtype)
            embedded = embedded.masked_scatter((tokens == self.image_id).unsqueeze(-1), everything)
        return {"inputs_embeds": embedded, "attention_mask": mask}

    def facts(self) -> dict[str, Any]:
        """Return what is worth recording of how requests are put."""
        tower = type(self.model.model.vision_tower).__name__
        return {"prompt": self.template, "image_tokens": self.n_image_tokens, "vision_tower": tower, **self.pixels.facts()}

    def _is_of_one_build(self) -> None:
        known = self.tokenizer.convert_tokens_to_ids(IMAGE)
        if known != self.image_id:
            raise WeightsError(
                f"the tokenizer has {IMAGE} as token {known}, the model as {self.image_id}",
                hint="tokenizer and weights of one build belong together; an original checkpoint is converted first",
            )
        wanted = getattr(self.model.config.vision_config, "image_size", self.pixels.side)
        if wanted != self.pixels.side:
            raise WeightsError(
                f"the processor gives pictures of {self.pixels.side} pixels, the tower takes {wanted}",
                hint="preprocessor_config.json of other weights?",
            )


def end_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that end an answer: what the generation config and the tokenizer say, together."""
    said = getattr(model.generation_config, "eos_token_id", None)
    listed = [said] if isinstance(said, int) else list(said or ())
    return tuple(dict.fromkeys(token for token in (*listed, tokenizer.eos_token_id) if token is not None))
