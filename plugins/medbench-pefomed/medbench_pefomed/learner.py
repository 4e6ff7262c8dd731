"""A MiniGPT-v2 as the training loop sees it: PeFoMed's training prompts, LoRA on q and v with the projection, what is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from medbench_torch.fit import Batch, Pictures, Stage, Trains, lora_in_words, write_card
from medbench_torch.fit.pictures import augmented
from medbench_torch.loading import quiet
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from torch.nn import functional

from medbench.errors import InputError, UsageError
from medbench.interfaces import Example
from medbench.types import Generate, Image, Text
from medbench_pefomed.base import LANGUAGE_MODEL, write_base
from medbench_pefomed.checkpoint import PROJECTOR, lora_config, write_tuned
from medbench_pefomed.cropping import Cropped
from medbench_pefomed.network import LORA_TARGETS
from medbench_pefomed.speaker import MiniGptSpeaker
from medbench_pefomed.wording import QUESTIONS, Tag, evaluation_parts, training_parts

IGNORED = -100


class Learner:
    """A MiniGPT-v2 in training. The loss is the cross-entropy of the answer's tokens and of the end.

    Args:
        speaker: Network, tokenizer and wording as evaluation has them.
        base: What it begins from, for the fingerprint and the card.
        lora: r, alpha and dropout.
        augment: `published`, `mild` or `none`.
        seed: Of LoRA's initial matrices.
    """

    def __init__(self, speaker: MiniGptSpeaker, *, base: Mapping[str, Any], lora: Mapping[str, Any], augment: str, seed: int) -> None:
        self.speaker = speaker
        self.module: nn.Module = speaker.network
        self._base, self._lora, self._augment, self._seed = dict(base), dict(lora), augment, seed
        self._pictures = Pictures(speaker.prepare, opaque=True)
        self._cropped = Cropped(speaker.pixels)
        self._tag: Tag = "report"
        self._as_asked = 0.0

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on beside stages, examples and seed."""
        wording = msgspec.to_builtins(self.speaker.wording)
        return {
            "base": self._base,
            "lora": self._lora,
            "augment": self._augment,
            "wording": wording,
            "dtype": str(self.speaker.model.dtype),
        }

    def begin(self, stage: Stage) -> None:
        """Put LoRA on queries and values where a stage trains it and it is not there; what is trained is float32."""
        self._tag = "caption" if stage.name == "captions" else "report"
        # a base that stands for MiniGPT-v2 knows both spellings of a prompt: that of training and that of evaluation
        self._as_asked = 0.5 if stage.trains == "full" else 0.0
        if stage.trains == "lora" and not any("lora_" in name for name, _ in self.module.named_parameters()):
            torch.manual_seed(self._seed)
            wrap_lora(self.speaker.model, self._lora["r"], self._lora["alpha"], self._lora["dropout"])
        wanted = set(self.parameters_of(stage.trains))
        for name, parameter in self.module.named_parameters():
            if name in wanted:
                parameter.data = parameter.data.float()

    def parameters_of(self, trains: Trains) -> list[str]:
        """Return the names of what a stage trains: all, or LoRA and the projection, exactly as published."""
        names = [name for name, parameter in self.module.named_parameters() if parameter.is_floating_point()]
        return names if trains == "full" else tuned_names(names)

    def collate(self, examples: Sequence[Example], seeds: Sequence[int], *, training: bool = True) -> Batch:
        """Return prompts with their answers, padded on the left; answers end together, so only the last positions need logits."""
        rows, lengths, pictures = [], [], []
        for (request, target), seed in zip(examples, seeds, strict=True):
            rng = np.random.default_rng(seed)
            prompt, answer = self._tokens(request, target, rng if training else None)
            rows.append(prompt + answer)
            lengths.append(len(answer))
            pictures += [self._picture(image, rng if training else None) for image in request.images]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.speaker.pad_id)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        labels = torch.full((len(rows), max(lengths)), IGNORED)
        for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            ids[number, width - len(row) :] = torch.tensor(row)
            mask[number, width - len(row) :] = 1
            labels[number, labels.shape[1] - length :] = torch.tensor(row[-length:])
        batch: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        if pictures:
            batch["pixel_values"] = torch.stack(pictures)
        return batch, sum(lengths)

    def loss(self, module: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
        """Return the cross-entropy summed over the tokens of the answers."""
        labels = batch.pop("labels")
        logits = module(**batch, logits_to_keep=labels.shape[1] + 1)[:, :-1]
        return functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")

    def evaluate(self, module: nn.Module, examples: Mapping[str, Sequence[Example]]) -> dict[str, float]:  # noqa: ARG002 - the interface's parameters
        """Return nothing beside the held-out loss: answers are generated and scored by a run, not here."""
        return {}

    def save(self, folder: Path, stage: Stage, state: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
        """Write `base/` after a stage that trained everything, `adapter/` after one that trained LoRA and the projection."""
        projection = {kind: state[f"{PROJECTOR}.{kind}"] for kind in ("weight", "bias")}
        if stage.trains == "lora":
            out = folder / "adapter"
            config = lora_config(self._lora["r"], self._lora["alpha"], self._lora["dropout"], str(self._base.get("language_model", "")))
            write_tuned(out, config, lora_tensors(state), projection)
        else:
            out = folder / "base"
            tower = _below(state, "vision_tower.")
            write_base(out, self.speaker.network.vision_tower.config, tower, projection, preset=self._base.get("preset", ""))
            with quiet():
                self.speaker.model.save_pretrained(out / LANGUAGE_MODEL, state_dict=_below(state, "language_model."))
                self.speaker.tokenizer.save_pretrained(out / LANGUAGE_MODEL)
        adapter = stage.trains == "lora"
        named = "pefomed" if self.speaker.wording.processed else "minigpt-v2"
        begun = self._base["preset"] and f"preset {self._base['preset']}"
        write_card(
            out,
            self.identity(),
            facts,
            title=f"MiniGPT-v2, {'LoRA and projection' if adapter else 'tower, projection and language model'} fitted by medbench",
            begun=begun or f"a folder (digests {', '.join(map(str, self._base['digests'].values()))})",
            use=f"{named} --model-option weights={'BASE --model-option adapter=' if adapter else ''}THIS_FOLDER",
            about=[lora_in_words(self._lora, f"{' and '.join(LORA_TARGETS)}; the projection as a whole beside it")] if adapter else (),
        )

    def _picture(self, image: Image, rng: np.random.Generator | None) -> torch.Tensor:
        if rng is None or self._augment == "none":
            return self._pictures(image)
        return augmented(self._pictures(image), rng) if self._augment == "mild" else self._cropped(image, rng)

    def _tokens(self, request: Any, target: Any, rng: np.random.Generator | None) -> tuple[list[int], list[int]]:
        """Return prompt and answer as tokens; without a generator the prompt has the form of evaluation's question.

        Raises:
            UsageError: the example is no question with a text for an answer, or does not fit.
        """
        if not isinstance(request, Generate) or not isinstance(target, Text):
            raise UsageError(f"PeFoMed learns texts, not {type(target).__name__}", hint="a task that asks for text")
        try:
            prompt = self._prompt(request, rng)
        except InputError as error:
            raise UsageError(f"a training example cannot be put: {error}", hint="leave its sample out of the data") from error
        said = self.speaker.wording.target(target.text)
        answer = [*self.speaker.tokenizer(said, add_special_tokens=False)["input_ids"], self.speaker.end_ids[0]]
        room = self.speaker.context_length - len(prompt)
        if room < 1:
            raise UsageError(f"a prompt of {len(prompt)} tokens; the context is {self.speaker.context_length}", hint="a shorter prompt")
        return prompt, answer[:room]

    def _prompt(self, request: Generate, rng: np.random.Generator | None) -> list[int]:
        speaker = self.speaker
        bos = speaker.tokenizer.bos_token
        if not speaker.wording.processed or (rng is not None and rng.random() < self._as_asked):
            return speaker.joined(evaluation_parts(speaker.wording.evaluated(request), len(request.images), bos or ""), special=True)
        form = QUESTIONS[int(rng.integers(len(QUESTIONS)))] if rng is not None else QUESTIONS[-1]
        parts = training_parts(speaker.wording.trained(request, form, self._tag))
        return ([speaker.tokenizer.bos_token_id] if bos else []) + speaker.joined(parts, special=False)


def wrap_lora(language_model: Any, r: int, alpha: float, dropout: float) -> None:
    """Put LoRA on the queries and values of a language model, in place.

    Raises:
        UsageError: it has no modules of these names.
    """
    try:
        inject_adapter_in_model(LoraConfig(r=r, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(LORA_TARGETS)), language_model)
    except ValueError as error:
        raise UsageError(f"{type(language_model).__name__} has no {' and '.join(LORA_TARGETS)}", hint="another language_model=") from error


def tuned_names(names: Sequence[str]) -> list[str]:
    """Return, of a network's parameters, those of LoRA and of the projection."""
    return [name for name in names if ".lora_" in name or name.startswith(f"{PROJECTOR}.")]


def lora_tensors(state: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Return the LoRA tensors of a network by module of the language model and kind."""
    made: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in state.items():
        path, mark, kind = name.removeprefix("language_model.").partition(".lora_")
        if mark:
            made.setdefault(path, {})[f"lora_{kind[0]}"] = tensor
    return made


def _below(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
