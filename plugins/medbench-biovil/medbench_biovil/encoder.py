"""A loaded BioViL-T: vectors of pictures, of pairs with a prior one and of sentences, and maps of phrases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from medbench_torch.devices import Placement, memory_guard
from medbench_torch.embedding import Shown
from medbench_torch.loading import strict_state
from medbench_torch.weights import WeightsError, read_tensors
from torch import nn

from medbench.errors import InputError
from medbench.images import decode_ahead
from medbench.types import Failed, Ground, HeatMap, Image
from medbench_biovil.network import ImageNetwork
from medbench_biovil.pixels import seen, seen_box, smoothed
from medbench_biovil.sizes import PRESETS, PUBLISHED, Sizes
from medbench_biovil.text import UNUSED, Sentences, TextNetwork, read_config, read_sentences, tiny_text

if TYPE_CHECKING:
    from PIL import Image as Pil

PRIOR = "prior"
"""Role of the earlier picture."""
IMAGE_FILES = ("biovil_t_image_model_proj_size_128.safetensors", "biovil_t_image_model_proj_size_128.pt")


class BioVil(nn.Module):
    """Both networks, so that they are counted and moved together."""

    def __init__(self, image: ImageNetwork, text: TextNetwork) -> None:
        super().__init__()
        self.image, self.text = image, text


class BioVilEncoder:
    """Both networks on their device.

    Args:
        networks: Image and text side.
        sentences: The tokenizer.
        sizes: Of the image side.
        placement: Where they are.
    """

    mode = "L"

    def __init__(self, networks: BioVil, sentences: Sentences, sizes: Sizes, placement: Placement) -> None:
        with memory_guard():
            self.networks = networks.eval().to(placement.device, placement.dtype)
        self.sentences, self._sizes, self._placement = sentences, sizes, placement

    def arranged(self, images: Sequence[Image]) -> tuple[Image, ...]:
        """Return the current picture, and the prior one behind it where there is one; DICOM files by their whole range of values.

        Raises:
            InputError: there is no current picture, or more than one beside the prior.
        """
        current = [image for image in images if image.role != PRIOR]
        prior = [image for image in images if image.role == PRIOR]
        if len(current) != 1 or len(prior) > 1:
            raise InputError(f"{len(current)} pictures and {len(prior)} of the role {PRIOR}: one is taken, with one prior or none")
        return tuple(
            msgspec.structs.replace(image, preset="raw_minmax") if image.preset == "default" else image for image in [*current, *prior]
        )

    def prepare(self, picture: Pil.Image) -> torch.Tensor:
        """Return one channel, float32 (1, crop, crop) from 0 to 1."""
        return seen(picture, self._sizes)

    def encode_images(self, shown: Sequence[Shown]) -> torch.Tensor:
        """Return raw vectors, (requests, joint): the mean over the projected patches."""
        made = torch.empty(len(shown), self._sizes.joint, device=self._placement.device, dtype=self._placement.dtype)
        for count in (1, 2):
            rows = [number for number, pictures in enumerate(shown) if len(pictures) == count]
            if rows:
                made[rows] = self._patches([shown[number] for number in rows]).mean((2, 3))
        return made

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return raw vectors, (texts, joint)."""
        ids, mask = self.sentences(texts)
        made: torch.Tensor = self.networks.text(ids.to(self._placement.device), mask.to(self._placement.device))
        return made

    def ground(self, requests: Sequence[Ground], batch_size: int, workers: int, sigma: float) -> Iterator[tuple[int, HeatMap | Failed]]:
        """Yield (index, map) for each request: the cosine of each patch with the phrase, smoothed.

        Args:
            requests: One picture and one phrase each; a prior is not used, as in the published evaluation.
            batch_size: Requests that are encoded together.
            workers: Threads that decode pictures; 0: one for each core, at most 8.
            sigma: Of the smoothing Gaussian, in patches.
        """
        asked: list[tuple[int, Image]] = []
        for number, request in enumerate(requests):
            try:
                asked.append((number, self.arranged(request.images)[0]))
            except InputError as error:
                yield number, Failed(kind="input", error=str(error))
        decoded = decode_ahead((image for _, image in asked), workers, mode=self.mode, prepare=self._placed)
        waiting: list[tuple[int, Any]] = []
        for (number, _), made in zip(asked, decoded, strict=True):
            if isinstance(made, InputError):
                yield number, Failed(kind="input", error=str(made))
                continue
            waiting.append((number, made))
            if len(waiting) == batch_size:
                yield from self._maps(requests, waiting, sigma)
                waiting = []
        if waiting:
            yield from self._maps(requests, waiting, sigma)

    def _placed(self, picture: Pil.Image) -> tuple[torch.Tensor, tuple[float, float, float, float]]:
        return self.prepare(picture), seen_box(*picture.size, self._sizes)

    def _maps(self, requests: Sequence[Ground], waiting: Sequence[tuple[int, Any]], sigma: float) -> Iterator[tuple[int, HeatMap]]:
        with memory_guard(), torch.inference_mode():
            patches = nn.functional.normalize(self._patches([(pixels,) for _, (pixels, _) in waiting]), dim=1)
            texts = nn.functional.normalize(self.encode_texts([requests[number].phrase for number, _ in waiting]), dim=1)
            grids = torch.einsum("njrc,nj->nrc", patches, texts).cpu().to(torch.float64).numpy()
        for (number, (_, box)), grid in zip(waiting, grids, strict=True):
            values = tuple(np.round(smoothed(grid, sigma), 6).ravel().tolist())
            yield number, HeatMap(rows=grid.shape[0], columns=grid.shape[1], grid=values, box=box, interpolation="nearest")

    def _patches(self, shown: Sequence[Shown]) -> torch.Tensor:
        """Return projected patches, (requests, joint, rows, columns), of requests with equally many pictures."""
        stacks = [torch.stack(pictures).to(self._placement.device, self._placement.dtype) for pictures in zip(*shown, strict=True)]
        made: torch.Tensor = self.networks.image(*(stack.expand(-1, 3, -1, -1) for stack in stacks))
        return made


def load_encoder(folder: Path, image_file: Path | None, placement: Placement, *, trust_pickle: bool = False) -> BioVilEncoder:
    """Return the published networks, each tensor of theirs filled from its file.

    Args:
        folder: Of the text side: config.json, vocab.txt, weights.
        image_file: Weights of the image side; None: the published file in the folder.
        placement: Where they go.
        trust_pickle: Read pickled weights.

    Raises:
        WeightsError: a file or a tensor is missing, left over or of another shape, or a file is a pickle that is not trusted.
    """
    config, joint = read_config(folder)
    sizes = msgspec.structs.replace(PUBLISHED, joint=joint)
    sentences = read_sentences(folder, config)
    networks = BioVil(ImageNetwork(sizes), TextNetwork(config, joint))
    file = image_file or find_image_file(folder)
    strict_state(networks.image, read_tensors(file, trust_pickle=trust_pickle), source=str(file))
    text_file = find_text_file(folder)
    strict_state(networks.text, read_tensors(text_file, trust_pickle=trust_pickle), ignore=UNUSED, source=str(text_file))
    return BioVilEncoder(networks, sentences, sizes, placement)


def find_image_file(folder: Path) -> Path:
    """Return the published weights of the image side in a folder.

    Raises:
        WeightsError: they are not there.
    """
    found = next((folder / name for name in IMAGE_FILES if (folder / name).is_file()), None)
    if found is None:
        hint = f"{IMAGE_FILES[1]} of the same repository belongs there (from the hub: trust_pickle=true), or image_weights=FILE"
        raise WeightsError(f"{folder}: no weights of the image side", hint=hint)
    return found


def find_text_file(folder: Path) -> Path:
    """Return the weights of the text side in a folder.

    Raises:
        WeightsError: they are not there.
    """
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(f"{folder}: no weights of the text side", hint="model.safetensors or pytorch_model.bin belongs there")


def tiny_encoder(preset: str, placement: Placement) -> BioVilEncoder:
    """Return networks with random weights, the same each time."""
    sizes = PRESETS[preset]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text, sentences = tiny_text(sizes)
        image = ImageNetwork(sizes)
        nn.init.normal_(image.encoder.missing_previous_emb, std=0.5)
        nn.init.normal_(image.encoder.vit_pooler.type_embed, std=0.5)
    return BioVilEncoder(BioVil(image, text), sentences, sizes, placement)
