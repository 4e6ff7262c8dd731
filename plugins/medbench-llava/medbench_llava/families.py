"""The families of image-text-to-text models: how each one's tokens, pictures and features become the inputs of generation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from medbench_torch.generation import left_padded
from medbench_torch.images import BACKEND, pil_processor
from medbench_torch.loading import quiet
from medbench_torch.weights import WeightsError

from medbench.errors import InputError
from medbench.types import Generate
from medbench_llava.chat import ChatPrompt
from medbench_llava.speaker import end_ids

if TYPE_CHECKING:
    from PIL import Image as Pil

TYPICAL = 256
"""Tokens that a picture is taken to have where its number is not known before it is read."""


class _Family:
    """What the families have in common."""

    shares_prompt = False
    fixed_length = False
    PLACE = ""
    """What stands for a picture in a rendered prompt; empty: the tokenizer's image token."""

    def __init__(self, model: Any, tokenizer: Any, folder: Path, template: str) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.end_ids = end_ids(model, tokenizer)
        self.pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end_ids[0]
        self.context_length = int(getattr(model.config.get_text_config(), "max_position_embeddings", 1 << 30))
        self.place = self.PLACE or image_token(model, tokenizer)
        self.chat = ChatPrompt(tokenizer, folder, template, self.place)

    def facts(self) -> dict[str, Any]:
        """Return what is worth recording of how requests are put."""
        return {"family": type(self).__name__.removesuffix("Speaker").lower(), "image_backend": BACKEND}

    def _placed(self, request: Generate, pieces: Sequence[str] | None) -> list[int]:
        """Return the prompt as tokens, each place replaced by the text of its picture.

        Raises:
            InputError: the chat template made another number of places.
        """
        text = self.chat(request)
        parts = text.split(self.place)
        if len(parts) - 1 != len(request.images):
            raise InputError(f"the prompt has {len(parts) - 1} {self.place} for {len(request.images)} images")
        if pieces is None:
            return self.chat.ids(text)
        joined = parts[0] + "".join(piece + part for piece, part in zip(pieces, parts[1:], strict=True))
        return self.chat.ids(joined)


class GemmaSpeaker(_Family):
    """Gemma 3 and MedGemma: a fixed number of tokens for a picture, which see each other both ways. Pan and scan is off."""

    fixed_length = True

    def __init__(self, model: Any, tokenizer: Any, folder: Path, template: str) -> None:
        self.PLACE = str(tokenizer.boi_token)
        super().__init__(model, tokenizer, folder, template)
        self._images = pil_processor(folder)
        self._id = int(model.config.image_token_id)
        self._piece = f"\n\n{tokenizer.boi_token}{tokenizer.image_token * model.config.mm_tokens_per_image}{tokenizer.eoi_token}\n\n"

    def prepare(self, picture: Pil.Image) -> torch.Tensor:
        """Return the pixels of a picture, shape (3, side, side)."""
        return torch.from_numpy(self._images(picture, return_tensors="np")["pixel_values"][0]).float()

    def encode_images(self, pictures: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the pooled features of each picture, shape (tokens, width): pooling comes with the projector here."""
        batch = torch.stack(list(pictures)).to(self.model.device, self.model.dtype)
        return list(self.model.get_image_features(batch, return_dict=True).pooler_output)

    def prompt_ids(self, request: Generate, features: Sequence[Any] | None = None) -> list[int]:
        """Return the prompt as tokens."""
        del features
        return self._placed(request, [self._piece] * len(request.images))

    def inputs(self, requests: Sequence[Generate], ids: Sequence[list[int]], features: Sequence[Sequence[torch.Tensor]]) -> dict[str, Any]:
        """Return left-padded ids, mask, which tokens are pictures, and their features."""
        del requests
        tokens, mask = left_padded(ids, self.pad_id, self.model.device)
        made: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": (tokens == self._id).long()}
        shown = [one for row in features for one in row]
        return made | (_encoded(torch.stack(shown)) if shown else {})


class QwenSpeaker(_Family):
    """Qwen2-VL and Qwen2.5-VL, whose processors cannot be made without torchvision: the inputs are built by hand.

    A picture keeps its aspect and has as many tokens as its size asks for; positions are three-dimensional.
    """

    def __init__(self, model: Any, tokenizer: Any, folder: Path, template: str) -> None:
        super().__init__(model, tokenizer, folder, template)
        self._images = pil_processor(folder)
        self._id = int(model.config.image_token_id)

    def prepare(self, picture: Pil.Image) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the patches of a picture, shape (patches, pixels), and its grid (time, rows, columns)."""
        made = self._images(picture, return_tensors="np")
        return torch.from_numpy(made["pixel_values"]).float(), torch.from_numpy(made["image_grid_thw"][0]).long()

    def encode_images(self, pictures: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return of each picture its merged features, shape (tokens, width), and its grid."""
        grid = torch.stack([grid for _, grid in pictures])
        patches = torch.cat([patches for patches, _ in pictures]).to(self.model.device)
        made = self.model.get_image_features(patches, grid.to(self.model.device), return_dict=True).pooler_output
        return list(zip(made, grid, strict=True))

    def prompt_ids(self, request: Generate, features: Sequence[Any] | None = None) -> list[int]:
        """Return the prompt as tokens."""
        if features is None:
            return self._placed(request, [self.place * TYPICAL] * len(request.images))
        return self._placed(request, [self.place * len(tokens) for tokens, _ in features])

    def inputs(
        self, requests: Sequence[Generate], ids: Sequence[list[int]], features: Sequence[Sequence[tuple[torch.Tensor, torch.Tensor]]]
    ) -> dict[str, Any]:
        """Return left-padded ids, mask, which tokens are pictures, their grids and their features."""
        del requests
        tokens, mask = left_padded(ids, self.pad_id, self.model.device)
        made: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask, "mm_token_type_ids": (tokens == self._id).int()}
        shown = [one for row in features for one in row]
        self.model.model.rope_deltas = None  # left by the batch before
        if not shown:
            return made
        grids = torch.stack([grid for _, grid in shown]).to(self.model.device)
        return made | {"image_grid_thw": grids} | _encoded([one for one, _ in shown])


class GeneralSpeaker(_Family):
    """Any other model, by its own processor: nothing is known of its features, so they are computed with each batch.

    Its pictures go through the processor twice: once for the length of the prompt, once for the batch.
    """

    def __init__(self, model: Any, tokenizer: Any, folder: Path, template: str) -> None:
        super().__init__(model, tokenizer, folder, template)
        self._processor = processor_of(folder, tokenizer)

    def prepare(self, picture: Pil.Image) -> Pil.Image:
        """Return the picture: the processor takes it as it is."""
        return picture

    def encode_images(self, pictures: Sequence[Pil.Image]) -> list[Pil.Image]:
        """Return the pictures."""
        return list(pictures)

    def prompt_ids(self, request: Generate, features: Sequence[Any] | None = None) -> list[int]:
        """Return the prompt as tokens."""
        if features is None:
            return self._placed(request, None) + [self.pad_id] * (TYPICAL * len(request.images))
        return self._processed([request], [features])["input_ids"][0].tolist()

    def inputs(self, requests: Sequence[Generate], ids: Sequence[list[int]], features: Sequence[Sequence[Pil.Image]]) -> dict[str, Any]:
        """Return what the processor makes of the batch, padded on the left; more tokens than the prompts have go behind them."""
        made = dict(self._processed(requests, features).to(self.model.device, dtype=self.model.dtype))
        rows, width = made["input_ids"], made["input_ids"].shape[1]
        lengths = made["attention_mask"].sum(dim=1).tolist()
        longest = max(map(len, ids))
        if longest == width and all(len(row) == length for row, length in zip(ids, lengths, strict=True)):
            return made
        tokens, mask = left_padded(ids, self.pad_id, self.model.device)
        for name, value in made.items():
            if isinstance(value, torch.Tensor) and value.shape == rows.shape and name not in {"input_ids", "attention_mask"}:
                made[name] = _behind(value, lengths, [len(row) for row in ids], longest)
        return made | {"input_ids": tokens, "attention_mask": mask}

    def _processed(self, requests: Sequence[Generate], features: Sequence[Sequence[Pil.Image]]) -> Any:
        texts = [self.chat(request) for request in requests]
        images = [list(row) for row in features] if any(features) else None
        plain = not any(self.chat.starts_itself(text) for text in texts)
        with quiet():
            return self._processor(text=texts, images=images, padding=True, return_tensors="pt", add_special_tokens=plain)


def _behind(values: torch.Tensor, lengths: Sequence[int], wanted: Sequence[int], longest: int) -> torch.Tensor:
    """Return left-padded values per token, followed by as many zeros as each row has tokens behind its prompt."""
    made = values.new_zeros(len(lengths), longest)
    for row, (length, total) in enumerate(zip(lengths, wanted, strict=True)):
        if length:
            made[row, longest - total : longest - total + length] = values[row, -length:]
    return made


def _encoded(features: Any) -> dict[str, Any]:
    """Return features as what `generate` takes for pictures that are encoded already."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=features)}}


def image_token(model: Any, tokenizer: Any) -> str:
    """Return what stands for a picture in the model's prompts.

    Raises:
        WeightsError: neither tokenizer nor config says it.
    """
    named = getattr(tokenizer, "image_token", None)
    if named:
        return str(named)
    number = getattr(model.config, "image_token_id", None)
    if number is None or number >= len(tokenizer):
        raise WeightsError(f"{type(model).__name__}: its image token is not known", hint="a folder with its processor and tokenizer")
    return str(tokenizer.convert_ids_to_tokens(int(number)))


def processor_of(folder: Path, tokenizer: Any) -> Any:
    """Return a model's own processor, on Pillow, padding on the left.

    Raises:
        WeightsError: it cannot be made.
    """
    from transformers import AutoProcessor

    try:
        with quiet():
            made = AutoProcessor.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # processors raise whatever their parsing or a missing package trips over
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise WeightsError(f"{folder}: its processor cannot be made ({reason})", hint="preprocessor_config.json and tokenizer?") from error
    if not hasattr(made, "image_processor") or not hasattr(made, "tokenizer"):
        raise WeightsError(f"{folder}: no processor for images and text in it", hint="a folder of an image-text-to-text model")
    made.tokenizer = tokenizer
    return made


FAMILIES: dict[str, Any] = {"gemma3": GemmaSpeaker, "qwen2_vl": QwenSpeaker, "qwen2_5_vl": QwenSpeaker}
"""`model_type` -> who speaks for it; all others go by their own processor."""
