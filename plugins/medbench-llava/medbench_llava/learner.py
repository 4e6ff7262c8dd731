"""A LLaVA as the training loop sees it: answers to be learnt behind the very prompts of evaluation, what is trained, what is written."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from medbench_torch.fit import Batch, Pictures, Stage, Trains, chosen, lora_in_words, write_card
from medbench_torch.loading import quiet
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from medbench.errors import UsageError
from medbench.interfaces import Example
from medbench.types import Generate, Text
from medbench_llava.speaker import LlavaSpeaker
from medbench_llava.templates import rendered

LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""What LoRA wraps: every linear module of the language model's layers, as LLaVA's own training does."""
TARGETS = rf".*language_model\..*\.({'|'.join(LINEARS)})"
PROJECTOR = "multi_modal_projector"
IGNORED = -100
BASE = "base"
"""Name of the stage that makes a base out of random weights."""
WORDS = 10.0
"""Weight of the bag of words in the loss of a base stage, in units of one token's cross-entropy."""
HIDDEN = 0.3
"""Share of an answer's tokens that are hidden (word dropout: Bowman et al., CoNLL 2016)."""


class Learner:
    """A LLaVA in training.

    The loss is the cross-entropy of the answer's tokens and of the end; the prompt is the one of evaluation, and no target.
    A base whose tower is random learns to see first by what stands in the reports: in its stage, the mean of the projected
    image features must tell, through the language model's own output matrix, which tokens the answer holds (Joulin et al.,
    ECCV 2016: visual features from bags of words). Nothing of that is left in the weights' layout.

    Args:
        speaker: Model, tokenizer, pixels and template as evaluation has them.
        base: Digest or name of the weights it begins from, for the fingerprint and the card.
        r: LoRA's rank.
        alpha: LoRA's alpha.
        dropout: Of LoRA's input, 0 to 1.
        projector: Whether the projector is trained beside LoRA.
        max_length: Tokens of prompt and answer; an answer beyond is cut.
        augment: Move and expose training pictures otherwise, and hide `HIDDEN` of the answers' words from what follows.
        seed: Of LoRA's initial matrices.
    """

    def __init__(
        self,
        speaker: LlavaSpeaker,
        *,
        base: Mapping[str, Any],
        r: int,
        alpha: float,
        dropout: float = 0.0,
        projector: bool = True,
        max_length: int = 2048,
        augment: bool = False,
        seed: int = 0,
    ) -> None:
        self.speaker = speaker
        self.module: nn.Module = speaker.model
        self._base = dict(base)
        self._lora = {"r": r, "alpha": alpha, "dropout": dropout, "projector": projector}
        self._max_length = min(max_length, speaker.context_length)
        self._augment = augment
        self._seed = seed
        self._pictures = Pictures(speaker.prepare)
        self._sees_words = False

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on beside stages, examples and seed."""
        speaker = self.speaker
        return {
            "base": self._base,
            "lora": self._lora,
            "template": speaker.template,
            "aspect": speaker.pixels.aspect,
            "max_length": self._max_length,
            "augment": self._augment,
            "dtype": str(speaker.model.dtype).removeprefix("torch."),
        }

    def begin(self, stage: Stage) -> None:
        """Wrap the language model with LoRA where a stage trains it; what is trained is float32 whatever the base has."""
        self._sees_words = stage.name == BASE
        if stage.trains == "lora" and not isinstance(self.module, PeftModel):
            torch.manual_seed(self._seed)
            config = LoraConfig(
                r=self._lora["r"],
                lora_alpha=self._lora["alpha"],
                lora_dropout=self._lora["dropout"],
                target_modules=TARGETS,
                modules_to_save=[PROJECTOR] if self._lora["projector"] else None,
                task_type="CAUSAL_LM",
            )
            with warnings.catch_warnings():
                # PEFT reads a name that transformers renames
                warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
                self.module = get_peft_model(self.speaker.model, config)
        wanted = set(self.parameters_of(stage.trains))
        for name, parameter in self.module.named_parameters():
            if name in wanted:
                parameter.data = parameter.data.float()

    def parameters_of(self, trains: Trains) -> list[str]:
        """Return the names of what a stage trains: `full` leaves out layers of the tower that the language model never sees."""
        names = chosen(self.module, trains, also=("modules_to_save",))
        return [name for name in names if not self._is_unseen(name)]

    def collate(self, examples: Sequence[Example], seeds: Sequence[int], *, training: bool = True) -> Batch:
        """Return prompts with their answers, padded on the left; answers end together, so only the last positions need logits."""
        rows, shown, lengths, pictures, owners = [], [], [], [], []
        for (request, target), seed in zip(examples, seeds, strict=True):
            prompt, answer = self._tokens(request, target)
            rng = np.random.default_rng(seed) if training and self._augment else None
            rows.append(prompt + answer)
            shown.append(prompt + (answer if rng is None else self._hidden(answer, rng)))
            lengths.append(len(answer))
            pictures += [self._pictures(image, rng) for image in request.images]
            owners += [len(rows) - 1] * len(request.images)
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.speaker.pad_id)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        labels = torch.full((len(rows), max(lengths)), IGNORED)
        for number, (row, seen, length) in enumerate(zip(rows, shown, lengths, strict=True)):
            ids[number, width - len(row) :] = torch.tensor(seen)
            mask[number, width - len(row) :] = 1
            labels[number, labels.shape[1] - length :] = torch.tensor(row[-length:])
        batch: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        if pictures:
            batch["pixel_values"] = torch.stack(pictures)
            batch["owners"] = torch.tensor(owners)
        return batch, sum(lengths)

    def loss(self, module: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
        """Return the cross-entropy summed over the tokens of the answers."""
        labels, owners = batch.pop("labels"), batch.pop("owners", None)
        made = module(**batch, logits_to_keep=labels.shape[1] + 1, use_cache=False)
        logits = made.logits[:, :-1].float()
        loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
        if self._sees_words and owners is not None and module.training:
            loss = loss + self._words(made.image_hidden_states, labels[owners])
        return loss

    def _words(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return how badly each picture's mean feature tells the tokens of its answer, summed as the loss of the answers is."""
        seen = features.reshape(len(labels), -1, features.shape[-1]).mean(dim=1)
        logits = self.speaker.model.lm_head(seen.to(self.speaker.model.lm_head.weight.dtype)).float()
        held = labels != IGNORED
        present = torch.zeros_like(logits).scatter_add_(1, labels.clamp(min=0), held.float()).clamp(max=1)
        used = present.any(dim=0)  # tokens that no answer of the batch holds would drown the others
        loss = functional.binary_cross_entropy_with_logits(logits[:, used], present[:, used], reduction="none").mean(dim=1)
        return WORDS * (loss * held.sum(dim=1)).sum()

    def evaluate(self, module: nn.Module, examples: Mapping[str, Sequence[Example]]) -> dict[str, float]:  # noqa: ARG002 - the interface's parameters
        """Return nothing beside the held-out loss: answers are generated and scored by a run, not here."""
        return {}

    def save(self, folder: Path, stage: Stage, state: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
        """Write `base/` after a stage that trained all or parts, `adapter/` after one that trained LoRA."""
        if stage.trains == "lora":
            out = folder / "adapter"
            self._save_adapter(out, state)
        else:
            out = folder / "base"
            with quiet():
                self.speaker.model.save_pretrained(out, state_dict=dict(state))
                self.speaker.tokenizer.save_pretrained(out)
                self.speaker.pixels.processor.save_pretrained(out)
        adapter = stage.trains == "lora"
        beside = "; the projector as a whole beside it" if self._lora["projector"] else ""
        write_card(
            out,
            self.identity(),
            facts,
            title=f"LLaVA, {'a LoRA adapter' if adapter else 'whole weights'} fitted by medbench",
            begun=f"{self._base['name'] or 'a folder'} (digest {self._base['digest']})",
            use="llava-lora --model-option adapter=THIS_FOLDER" if adapter else "llava --model-option weights=THIS_FOLDER",
            about=[lora_in_words(self._lora, f"all linear modules of the language model{beside}")] if adapter else (),
        )

    def _save_adapter(self, out: Path, state: Mapping[str, torch.Tensor]) -> None:
        """Write what PEFT writes, in its current spelling; the base is named by the card, not by a path of this machine."""
        out.mkdir(parents=True, exist_ok=True)
        module: Any = self.module
        tensors = get_peft_model_state_dict(module, state_dict=dict(state))
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, out / "adapter_model.safetensors")
        config = module.peft_config["default"]
        named, config.base_model_name_or_path = config.base_model_name_or_path, self._base.get("name", "")
        config.inference_mode = True
        config.save_pretrained(out)
        config.inference_mode, config.base_model_name_or_path = False, named

    def _is_unseen(self, name: str) -> bool:
        """Say whether a parameter of the tower comes after the layer whose features are taken."""
        if "vision_tower." not in name:
            return False
        config = self.speaker.model.config
        taken = config.vision_feature_layer
        depth = config.vision_config.num_hidden_layers
        last = max((layer if layer >= 0 else depth + 1 + layer) for layer in ([taken] if isinstance(taken, int) else taken))
        layer = re.search(r"\.layers?\.(\d+)\.", name)
        return int(layer[1]) >= last if layer else re.search(r"vision_tower\.(post_layernorm|layernorm)\.", name) is not None

    def _tokens(self, request: Any, target: Any) -> tuple[list[int], list[int]]:
        """Return prompt and answer; the answer's tokens are those it has behind the prompt.

        Raises:
            UsageError: the example is no question with a text for an answer, or the prompt alone is too long.
        """
        if not isinstance(request, Generate) or not isinstance(target, Text):
            raise UsageError(f"LLaVA learns texts, not {type(target).__name__}", hint="a task that asks for text")
        prompt = self.speaker.prompt_ids(request)
        said = self.speaker.tokenizer(rendered(self.speaker.template, request))["input_ids"]
        whole = self.speaker.tokenizer(f"{rendered(self.speaker.template, request)} {target.text.strip()}")["input_ids"]
        if whole[: len(said)] != said:
            # a tokenizer that would join the two: they are apart when the model answers, too
            whole = [*said, *self.speaker.tokenizer(target.text.strip(), add_special_tokens=False)["input_ids"]]
        answer = [*whole[len(said) :], self.speaker.end_ids[0]][: self._max_length - len(prompt)]
        if not answer or len(prompt) >= self._max_length:
            hint = "raise max_length, or shorten the prompt" if self._max_length < self.speaker.context_length else "a shorter prompt"
            raise UsageError(f"a prompt of {len(prompt)} tokens leaves no room for an answer in {self._max_length}", hint=hint)
        return prompt, answer

    def _hidden(self, answer: list[int], rng: np.random.Generator) -> list[int]:
        """Return an answer as it is shown to itself, some tokens hidden: small data would else be known by heart from its first words."""
        mark = self.speaker.tokenizer.unk_token_id
        mark = self.speaker.pad_id if mark is None else mark
        return [mark if gone else token for token, gone in zip(answer, (rng.random(len(answer)) < HIDDEN).tolist(), strict=True)]
