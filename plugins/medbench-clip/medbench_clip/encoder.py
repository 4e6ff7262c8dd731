"""A loaded clip-roco: from pictures and texts to vectors, and the files that it is kept in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from medbench_torch.devices import Placement, memory_guard
from medbench_torch.embedding import Shown
from medbench_torch.loading import strict_state
from medbench_torch.weights import WeightsError, read_json, read_tensors
from safetensors.torch import save

from medbench.errors import InputError
from medbench.files import write_whole
from medbench.types import Image
from medbench_clip.network import SmallClip
from medbench_clip.sizes import Sizes
from medbench_clip.words import FILE, Words

if TYPE_CHECKING:
    from PIL import Image as Pil

KIND = "clip-roco"


def only_image(images: Sequence[Image]) -> tuple[Image, ...]:
    """Return the one image of a request.

    Raises:
        InputError: there are several.
    """
    if len(images) > 1:
        raise InputError(f"{len(images)} images in one request: one is taken at a time")
    return tuple(images)


def pixels_of(picture: Pil.Image, side: int) -> torch.Tensor:
    """Return an RGB picture as the network takes it: squashed to a square, uint8 (3, side, side)."""
    from PIL.Image import Resampling

    if picture.size != (side, side):
        picture = picture.resize((side, side), Resampling.BILINEAR)
    return torch.from_numpy(np.array(picture, dtype=np.uint8)).permute(2, 0, 1).contiguous()


class ClipEncoder:
    """A network on its device, with its tokenizer."""

    mode = "RGB"

    def __init__(self, network: SmallClip, words: Words, sizes: Sizes, device: torch.device) -> None:
        self.network = network.eval()
        self._words, self._sizes, self._device = words, sizes, device

    def arranged(self, images: Sequence[Image]) -> tuple[Image, ...]:
        """Return the one image; raises InputError for several."""
        return only_image(images)

    def prepare(self, picture: Pil.Image) -> torch.Tensor:
        """Return pixels, uint8 (3, side, side)."""
        return pixels_of(picture, self._sizes.side)

    def encode_images(self, shown: Sequence[Shown]) -> torch.Tensor:
        """Return raw vectors, (pictures, width)."""
        made: torch.Tensor = self.network.image(torch.stack([pixels for (pixels,) in shown]).to(self._device))
        return made

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return raw vectors, (texts, width)."""
        ids, mask = self._words(texts, self._sizes.length)
        made: torch.Tensor = self.network.text(ids.to(self._device), mask.to(self._device))
        return made


def untrained(sizes: Sizes, placement: Placement) -> ClipEncoder:
    """Return a network with random weights, always the same, and a tokenizer of bytes."""
    words = Words.of_bytes()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SmallClip(sizes, len(words))
    return ClipEncoder(network.to(placement.device, placement.dtype), words, sizes, placement.device)


def read_encoder(folder: Path, placement: Placement) -> ClipEncoder:
    """Return the network of a folder that `write_encoder` filled.

    Raises:
        WeightsError: something is missing, torn, or of another model.
        OutOfMemory: the device has no room for it.
    """
    config = read_json(folder / "config.json")
    if config.get("model_type") != KIND:
        raise WeightsError(
            f"{folder}: a {config.get('model_type') or 'nameless'} model, not {KIND}", hint="hf-clip loads those of transformers"
        )
    try:
        sizes = msgspec.convert(config.get("sizes"), Sizes)
    except msgspec.ValidationError as error:
        raise WeightsError(f"{folder / 'config.json'}: sizes: {error}") from None
    words = Words.read(folder)
    network = SmallClip(sizes, len(words))
    strict_state(network, read_tensors(folder), source=str(folder))
    with memory_guard():
        network = network.to(placement.device, placement.dtype)
    return ClipEncoder(network, words, sizes, placement.device)


def write_encoder(folder: Path, state: dict[str, torch.Tensor], sizes: Sizes, words: Words, card: dict[str, Any]) -> None:
    """Write weights, sizes, tokenizer and a card about the training; no times, no paths.

    Args:
        folder: Made where it is not there.
        state: Every tensor by name.
        sizes: Of the network.
        words: The tokenizer.
        card: What is told of the training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}
    config = {"model_type": KIND, "sizes": msgspec.to_builtins(sizes)}
    write_whole(folder / "model.safetensors", save(tensors))
    write_whole(folder / "config.json", msgspec.json.format(msgspec.json.encode(config, order="deterministic")))
    write_whole(folder / "card.json", msgspec.json.format(msgspec.json.encode(card, order="deterministic")))
    write_whole(folder / FILE, words.to_json().encode())
