"""A masked autoencoder as the training loop sees it: what a stage is shown, what it trains, what is written after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from medbench_torch.fit import Batch, Pictures, Stage, Trains, chosen
from medbench_torch.images import Pixels
from medbench_torch.loading import quiet
from torch import nn

from medbench.files import write_whole
from medbench.identity import sample_seed
from medbench.interfaces import Example
from medbench.stats.ranking import auroc
from medbench.types import Image, Probabilities
from medbench_mae.encoder import About, part_of, write_encoder
from medbench_mae.losses import info_nce, label_loss, margin_loss
from medbench_mae.network import MaeNetwork
from medbench_mae.recipe import ALIGN, LABEL, RECONSTRUCT, Recipe
from medbench_mae.reports import Reports, said

PRETRAINED = "pretrained"
"""Folder of the whole autoencoder after reconstruction: what another fit may begin from."""


class Learner:
    """A network in training, in the stages of a recipe.

    Args:
        network: Encoder, decoder, pooling, head, and the text's side where there is one.
        recipe: The options of the fit.
        pixels: From picture to encoder.
        about: What is written beside the weights.
        identity: What the result depends on beside stages, examples and seed.
        reports: The language model's side; None: nothing is aligned.
        augment: Whether pictures are varied.
    """

    def __init__(
        self,
        network: MaeNetwork,
        recipe: Recipe,
        pixels: Pixels,
        about: About,
        identity: Mapping[str, Any],
        *,
        reports: Reports | None = None,
        augment: bool = False,
    ) -> None:
        self.module: nn.Module = network
        self.network = network
        self._recipe, self._about, self._identity = recipe, about, dict(identity)
        self._pixels, self._pictures = pixels, Pictures(pixels)
        self._reports = reports
        self._augment = augment
        self._stage = ""
        self._place = {label: place for place, label in enumerate(about.labels)}
        self._targets: Mapping[str, Callable[[Sequence[Example], Sequence[int], bool], Batch]] = {
            RECONSTRUCT: self._hidden,
            ALIGN: self._paired,
            LABEL: self._labelled,
        }

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on beside stages, examples and seed."""
        return self._identity

    def begin(self, stage: Stage) -> None:
        """Let the encoder drop patches where they are to be reconstructed, and see all of them else; read the reports when due."""
        self._stage = stage.name
        self.network.mae.config.mask_ratio = self._recipe.mask_ratio if stage.name == RECONSTRUCT else 0.0
        if self._reports is not None:
            if stage.name == ALIGN:
                self._reports.begin(self.network.text)
            else:
                self._reports.model.release()

    def parameters_of(self, trains: Trains) -> list[str]:
        """Return the names of what a stage trains; the sine-cosine positions of a ViT-MAE stay as they are."""
        return [name for name in chosen(self.module, trains) if not name.endswith(("position_embeddings", "decoder_pos_embed"))]

    def collate(self, examples: Sequence[Example], seeds: Sequence[int], *, training: bool = True) -> Batch:
        """Return what the stage at hand is shown of some examples."""
        return self._targets[self._stage](examples, seeds, training)

    def loss(self, module: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
        """Return the loss of the stage at hand, summed over its targets."""
        truth = batch.pop("truth", None)
        if self._stage == RECONSTRUCT:
            made: torch.Tensor = module(RECONSTRUCT, batch)
            return made * len(batch["pixels"])
        if self._stage == LABEL:
            return label_loss(module(LABEL, batch), truth["values"], truth["known"])
        assert self._reports is not None
        batch["text"] = self._reports.inputs(batch["text"])
        image, text, scale = module(ALIGN, batch)
        same = truth[:, None] == truth[None, :]
        return margin_loss(image, text, same, self._recipe.margin) if self._recipe.loss == "margin" else info_nce(image, text, same, scale)

    def evaluate(self, module: nn.Module, examples: Mapping[str, Sequence[Example]]) -> dict[str, float]:
        """Return `auroc`, the mean over the held-out labels that have both values, after a look at the stage that learns labels."""
        held = examples.get(LABEL, ())
        if self._stage != LABEL or not held:
            return {}
        device = next(module.parameters()).device
        logits, truths, knowns = [], [], []
        for start in range(0, len(held), 64):
            part = held[start : start + 64]
            batch, _ = self.collate(part, [0] * len(part), training=False)
            truth = batch.pop("truth")
            moved = {name: part.to(device) if isinstance(part, torch.Tensor) else part for name, part in batch.items()}
            logits.append(module(LABEL, moved).cpu().double().numpy())
            truths.append(truth["values"].numpy())
            knowns.append(truth["known"].numpy())
        made = _macro_auroc(np.concatenate(logits), np.concatenate(truths), np.concatenate(knowns))
        return {} if made is None else {"auroc": made}

    def save(self, folder: Path, stage: Stage, state: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
        """Write the whole autoencoder after reconstruction; after the other stages the encoder with its readout. No times, no paths."""
        stages = [{name: value for name, value in one.items() if name != "seconds"} for one in facts["stages"]]
        told = {**self._identity, **{name: value for name, value in facts.items() if name != "stages"}, "stages": stages}
        if stage.name == RECONSTRUCT:
            out = folder / PRETRAINED
            with quiet():
                self.network.mae.save_pretrained(out, state_dict=part_of(state, "mae."))
                self._pixels.processor.save_pretrained(out)
            write_whole(out / "card.json", msgspec.json.format(msgspec.json.encode(told, order="deterministic"), indent=2) + b"\n")
            return
        labels = self._about.labels if stage.name == LABEL else ()
        kept = dict(state) if labels else {name: tensor for name, tensor in state.items() if not name.startswith("readout.head.")}
        write_encoder(folder, self.network.mae, self._pixels.processor, kept, msgspec.structs.replace(self._about, labels=labels, fit=told))

    # --- what the stages are shown

    def _hidden(self, examples: Sequence[Example], seeds: Sequence[int], training: bool) -> Batch:
        """Return pictures, and the order in which their patches are hidden."""
        shown = self._shown(examples, seeds, training)
        patches = self.network.mae.vit.embeddings.patch_embeddings.num_patches
        own = [sample_seed(seed, f"mask {number if not training else ''}") for number, seed in enumerate(seeds)]
        noise = torch.stack([torch.rand(patches, generator=torch.Generator().manual_seed(seed)) for seed in own])
        return {"pixels": shown["pixels"], "noise": noise}, len(examples)

    def _paired(self, examples: Sequence[Example], seeds: Sequence[int], training: bool) -> Batch:
        """Return pictures, their reports, and a number that is equal where two of the pairs count as the same."""
        assert self._reports is not None
        texts = [said(example) for example in examples]
        truth = torch.tensor([self._reports.kind_of(example) for example in examples])
        return {**self._shown(examples, seeds, training), "text": self._reports.collate(texts), "truth": truth}, len(examples)

    def _labelled(self, examples: Sequence[Example], seeds: Sequence[int], training: bool) -> Batch:
        """Return pictures, and what is known of their labels; the targets are the labels that are known."""
        values = torch.zeros(len(examples), len(self._place))
        known = torch.zeros(values.shape, dtype=torch.bool)
        for number, (_, target) in enumerate(examples):
            assert isinstance(target, Probabilities)
            for label, value in zip(target.labels, target.values, strict=True):
                if label in self._place:
                    values[number, self._place[label]] = value
                    known[number, self._place[label]] = True
        truth = {"values": values, "known": known}
        return {**self._shown(examples, seeds, training), "truth": truth}, int(known.sum())

    def _shown(self, examples: Sequence[Example], seeds: Sequence[int], training: bool) -> dict[str, Any]:
        pixels: list[torch.Tensor] = []
        owner: list[int] = []
        for number, ((request, _), seed) in enumerate(zip(examples, seeds, strict=True)):
            rng = np.random.default_rng(seed) if training and self._augment else None
            images: tuple[Image, ...] = request.images
            pixels += [self._pictures(image, rng) for image in images]
            owner += [number] * len(images)
        return {"pixels": torch.stack(pixels), "owner": torch.tensor(owner), "n": len(examples)}


def _macro_auroc(scores: np.ndarray, truth: np.ndarray, known: np.ndarray) -> float | None:
    """Return the mean AUROC of the labels of which both values are known; None: there is no such label."""
    found = []
    for column in range(scores.shape[1]):
        rows = known[:, column]
        positive = truth[rows, column] > 0.5
        if positive.any() and not positive.all():
            weights = np.ones((1, int(rows.sum())), dtype=np.int64)
            found.append(float(auroc(positive, scores[rows, column], weights)[0]))
    return float(np.mean(found)) if found else None
