"""A clip-roco as the training loop sees it: pictures and their captions in batches, each among the others of its batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from medbench_torch.fit import Batch, Stage, Trains, chosen
from torch import nn
from torch.nn import functional

from medbench.errors import InputError, UsageError
from medbench.identity import digest_of
from medbench.images import decode
from medbench.interfaces import Example
from medbench.types import Embed, Image, Text
from medbench_clip.encoder import pixels_of, write_encoder
from medbench_clip.network import SmallClip
from medbench_clip.sizes import Sizes
from medbench_clip.words import Words

KEPT_BYTES = 512 << 20
"""Prepared pictures that are kept, so that small data is decoded once."""


class Learner:
    """A small CLIP in training: the loss of CLIP, the mean of the cross-entropies in both directions of a batch.

    Args:
        sizes: Of the network.
        words: The tokenizer, learnt from the training captions.
        batch: Pairs of a batch, in evaluation too.
        seed: Of the first weights.
        test: Examples that are judged once, with the final weights.
    """

    def __init__(self, sizes: Sizes, words: Words, *, batch: int, seed: int, test: Sequence[Example] = ()) -> None:
        torch.manual_seed(seed)
        self.module: nn.Module = SmallClip(sizes, len(words))
        self.sizes, self.words = sizes, words
        self._batch, self._test = batch, list(test)
        self._kept: dict[tuple[str, str], torch.Tensor] = {}
        self._room = KEPT_BYTES

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on beside stages, examples and seed."""
        return {"sizes": self.sizes, "words": digest_of(self.words.to_json()), "n_test": len(self._test)}

    def begin(self, stage: Stage) -> None:
        """Nothing is frozen or wrapped."""

    def parameters_of(self, trains: Trains) -> list[str]:
        """Return the names of all parameters."""
        return chosen(self.module, trains)

    def collate(self, examples: Sequence[Example], seeds: Sequence[int], *, training: bool = True) -> Batch:  # noqa: ARG002 - the interface's parameters; nothing is random about an example
        """Return pixels and tokens of some pairs, and how many they are."""
        pixels, captions = [], []
        for request, target in examples:
            image, caption = pair_of(request, target)
            pixels.append(self._pixels(image))
            captions.append(caption)
        ids, mask = self.words(captions, self.sizes.length)
        return {"pixels": torch.stack(pixels), "ids": ids, "mask": mask}, len(captions)

    def loss(self, module: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
        """Return the cross-entropy summed over the pairs of a batch, the mean of both directions."""
        logits = module(**batch)
        own = torch.arange(len(logits), device=logits.device)
        return (functional.cross_entropy(logits, own, reduction="sum") + functional.cross_entropy(logits.T, own, reduction="sum")) / 2

    def evaluate(self, module: nn.Module, examples: Mapping[str, Sequence[Example]]) -> dict[str, float]:
        """Return `matching`: the share of held-out pictures and captions whose partner is the likeliest of their batch."""
        found, n = 0.0, 0
        device = next(module.parameters()).device
        everything = [example for name in sorted(examples) for example in examples[name]]
        for start in range(0, len(everything), self._batch):
            part = everything[start : start + self._batch]
            batch, count = self.collate(part, [0] * len(part), training=False)
            logits = module(**{name: tensor.to(device) for name, tensor in batch.items()})
            found += _matched(logits.float().cpu(), [pair_of(*example)[1] for example in part])
            n += count
        return {"matching": found / n} if n else {}

    def save(self, folder: Path, stage: Stage, state: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:  # noqa: ARG002 - the interface's parameters
        """Write the network below `base/`, with what is known of its training and how it does on the test examples."""
        told = {name: value for name, value in facts.items() if name != "stages"}
        told["stages"] = [{name: value for name, value in one.items() if name != "seconds"} for one in facts["stages"]]
        if self._test:
            told["test"] = self._judged(dict(state))
        write_encoder(folder / "base", dict(state), self.sizes, self.words, told)

    def _judged(self, state: dict[str, torch.Tensor]) -> dict[str, float]:
        network = SmallClip(self.sizes, len(self.words))
        network.load_state_dict({name: tensor.cpu() for name, tensor in state.items()})
        network.eval()
        with torch.inference_mode():
            made = self.evaluate(network, {"test": self._test})
            total = 0.0
            for start in range(0, len(self._test), self._batch):
                part = self._test[start : start + self._batch]
                total += float(self.loss(network, self.collate(part, [0] * len(part), training=False)[0]))
        return {"n": len(self._test), "loss": total / len(self._test), **made}

    def _pixels(self, image: Image) -> torch.Tensor:
        key = (image.digest or image.path, image.preset)
        made = self._kept.get(key)
        if made is None:
            try:
                made = pixels_of(decode(image), self.sizes.side)
            except InputError as error:
                raise UsageError(f"a training picture cannot be used: {error}", hint="leave its sample out of the data") from error
            if made.numel() <= self._room:
                self._room -= made.numel()
                self._kept[key] = made
        return made


def pair_of(request: Any, target: Any) -> tuple[Image, str]:
    """Return the picture and the caption of an example.

    Raises:
        UsageError: it is not one picture with a text.
    """
    if not isinstance(request, Embed) or len(request.images) != 1 or not isinstance(target, Text):
        raise UsageError(
            "clip-roco learns pairs of one picture and its caption",
            hint="a task of the protocol matching or retrieval, views other than together",
        )
    return request.images[0], target.text


def _matched(logits: torch.Tensor, captions: Sequence[str]) -> float:
    """Return how many pairs of a batch are matched, the mean of both directions; any equal caption is right."""
    codes = {caption: number for number, caption in enumerate(dict.fromkeys(captions))}
    own = torch.tensor([codes[caption] for caption in captions])
    right = [(own[side.argmax(dim=1)] == own).sum().item() for side in (logits, logits.T)]
    return float(sum(right)) / 2
