"""A pipeline as the training loop sees it: prompts with their real pictures, noise of each example's own, what is written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from medbench_torch.fit import Batch, Stage, Trains, chosen
from peft import LoraConfig
from torch import nn
from torch.nn import functional

from medbench.errors import UsageError
from medbench.identity import sample_seed
from medbench.interfaces import Example
from medbench.types import Picture, Synthesize
from medbench_diffusion.adapter_card import write_card
from medbench_diffusion.tiny import TARGETS, save_pipeline
from medbench_diffusion.training_pictures import EVERY_COLOUR, OTHER_COLOURS, fitted, recoloured

AUTOENCODER, BASE, LORA = "autoencoder", "base", "lora"
"""Stages. The first two make the base of a preset; the last is what is done to a published one."""
KEPT_BYTES = 512 << 20
"""Prepared pictures that are kept, so that small data is decoded once."""
MEASURED = 128
"""Pictures on which the spread of latents and embeddings is measured."""


class Network(nn.Module):
    """The networks of a pipeline under one roof; what its `forward` computes depends on the stage.

    Args:
        losses: Stage -> function of a batch that returns the summed loss.
        **parts: The networks by name.
    """

    def __init__(self, losses: Mapping[str, Any], **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._losses = losses
        self.stage = LORA

    def forward(self, **batch: Any) -> torch.Tensor:
        """Return the loss of a batch, summed over its examples."""
        made: torch.Tensor = self._losses[self.stage](batch)
        return made


class Learner(ABC):
    """A text-to-image pipeline in training.

    Args:
        pipe: The base, in evaluation mode.
        base: Name and digest of the weights it begins from.
        pictures: Real pictures of the train split, on which spreads are measured.
        size: Pixels along a side.
        r: LoRA's rank.
        alpha: LoRA's alpha.
        dropout: Of LoRA's input, 0 to 1.
        gamma: Of min-SNR weighting; 0: none.
        text_encoder: Whether the text encoder gets LoRA too.
        caption_dropout: Share of examples without their prompt.
        flip: Whether half of the pictures are mirrored.
        tiny: Whether the base is made here first.
        seed: Of LoRA's initial matrices.
    """

    PARTS: ClassVar[Mapping[str, str]] = {}
    """Name in `module` -> name in the pipeline."""
    AUTOENCODER_OF: ClassVar[str]
    AUTOENCODER_BATCH: ClassVar[int]
    """Pictures in a step of the autoencoder's stage: each has thousands of pixels to learn from."""
    TRAINED_IN_BASE: ClassVar[tuple[str, ...]]
    LATENTS: ClassVar[int] = 4

    def __init__(
        self,
        pipe: Any,
        *,
        base: Mapping[str, Any],
        pictures: Sequence[Picture],
        size: int,
        r: int,
        alpha: float,
        dropout: float = 0.0,
        gamma: float = 0.0,
        text_encoder: bool = False,
        caption_dropout: float = 0.0,
        flip: bool = False,
        tiny: bool = False,
        seed: int = 0,
    ) -> None:
        self.pipe = pipe
        self._base = dict(base)
        self._pictures = list(pictures)[:MEASURED]
        self._lora = {"r": r, "alpha": alpha, "dropout": dropout, "text_encoder": text_encoder}
        self._data = {"size": size, "snr_gamma": gamma, "caption_dropout": caption_dropout, "flip": flip}
        self._size, self._gamma, self._seed, self._tiny = size, gamma, seed, tiny
        self._kept: dict[str, np.ndarray[Any, Any]] = {}
        self._room = KEPT_BYTES
        self.module: Network = Network(self.losses(), **{name: getattr(pipe, part) for name, part in self.PARTS.items()})

    @abstractmethod
    def losses(self) -> Mapping[str, Any]:
        """Return stage -> function of a batch that returns the summed loss."""

    @abstractmethod
    def adapted(self) -> Mapping[str, tuple[str, ...]]:
        """Return the networks that get LoRA, by name in `module`, and the modules that it wraps."""

    @abstractmethod
    def measure(self, pixels: torch.Tensor) -> None:
        """Set what follows from the autoencoder and the data: the spread of latents and embeddings. Pixels are (n, 3, s, s)."""

    @abstractmethod
    def write_adapter(self, folder: Path) -> None:
        """Write the adapter."""

    def further(self, picture: np.ndarray[Any, Any], size: int) -> dict[str, torch.Tensor]:  # noqa: ARG002 - Kandinsky's uses both
        """Return further tensors of one example, made of its picture (uint8)."""
        return {}

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on beside stages, examples and seed."""
        return {"base": self._base, "lora": self._lora, "data": self._data, "pipeline": type(self.pipe).__name__}

    def begin(self, stage: Stage) -> None:
        """Make the network ready for a stage: measure what the base needs, wrap with LoRA; what is trained is float32."""
        self.module.stage = stage.name
        if stage.name == BASE:
            rng = np.random.default_rng(self._seed)
            with torch.no_grad():
                self.measure(torch.stack([_scaled(recoloured(self._pixels(picture), rng, EVERY_COLOUR)) for picture in self._pictures]))
        if stage.name == LORA:
            torch.manual_seed(self._seed)
            for name, targets in self.adapted().items():
                part: Any = getattr(self.module, name)
                if not getattr(part, "peft_config", None):
                    config = LoraConfig(
                        r=self._lora["r"],
                        lora_alpha=self._lora["alpha"],
                        lora_dropout=self._lora["dropout"],
                        init_lora_weights="gaussian",
                        target_modules=list(targets),
                    )
                    part.add_adapter(config)
        wanted = set(self.parameters_of(stage.trains))
        for name, parameter in self.module.named_parameters():
            if name in wanted:
                parameter.data = parameter.data.float()

    def parameters_of(self, trains: Trains) -> list[str]:
        """Return the names of what a stage trains; the codebook and the statistics of embeddings are no part of any."""
        names = chosen(self.module, trains)
        return [name for name in names if not name.endswith((".clip_mean", ".clip_std")) and ".quantize." not in name]

    def collate(self, examples: Sequence[Example], seeds: Sequence[int], *, training: bool = True) -> Batch:
        """Return prompts, pictures, noise and timesteps; held-out examples have the same noise at each look."""
        rows: list[dict[str, torch.Tensor]] = []
        for (request, target), seed in zip(examples, seeds, strict=True):
            prompt, picture = _checked(request, target)
            own = seed if training else sample_seed(0, f"{prompt}\0{picture.digest or picture.path}")
            rng = np.random.default_rng(own)
            rows.append(self._row(prompt, self._pixels(picture), rng, training=training))
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}, len(rows)

    def loss(self, module: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
        """Return the loss of the stage, summed over the examples."""
        made: torch.Tensor = module(**batch)
        return made

    def evaluate(self, module: nn.Module, examples: Mapping[str, Sequence[Example]]) -> dict[str, float]:  # noqa: ARG002 - the interface's parameters
        """Return nothing beside the held-out loss: pictures are drawn and scored by a run, not here."""
        return {}

    def save(self, folder: Path, stage: Stage, state: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:  # noqa: ARG002 - the networks hold it
        """Write `base/` once the base of a preset is whole, `adapter/` after the LoRA stage."""
        if stage.name == BASE:
            write_card(save_pipeline(self.pipe, folder / "base"), self.identity(), facts)
        elif stage.name == LORA:
            self.write_adapter(folder / "adapter")
            write_card(folder / "adapter", self.identity(), facts)

    def _row(self, prompt: str, pixels: np.ndarray[Any, Any], rng: np.random.Generator, *, training: bool) -> dict[str, torch.Tensor]:
        """Return one example's tensors."""
        if training and self._data["flip"] and rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        if self._tiny and self.module.stage != LORA:
            pixels = recoloured(pixels, rng, EVERY_COLOUR if self.module.stage == AUTOENCODER else OTHER_COLOURS)
        said = "" if training and rng.random() < self._dropped else prompt
        side = self._size // self.grain
        return {
            "pixels": _scaled(pixels),
            "ids": self._tokens(said),
            "noise": torch.from_numpy(rng.standard_normal((self.LATENTS, side, side), dtype=np.float32)),
            "spread": torch.from_numpy(rng.standard_normal((self.LATENTS, side, side), dtype=np.float32)),
            "steps": torch.tensor(int(rng.integers(self.schedule_length))),
            **self.further(pixels, self._size),
            **self.further_noise(rng),
        }

    def further_noise(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:  # noqa: ARG002 - Kandinsky's uses it
        """Return further random tensors of one example."""
        return {}

    @property
    def grain(self) -> int:
        """Pixels along a side of one latent."""
        autoencoder = getattr(self.pipe, self.AUTOENCODER_OF)
        return int(2 ** (len(autoencoder.config.block_out_channels) - 1))

    @property
    def schedule_length(self) -> int:
        """Number of timesteps of the noise schedule."""
        return int(self.pipe.scheduler.config.num_train_timesteps)

    @property
    def _dropped(self) -> float:
        return 0.1 if self._tiny and self.module.stage == BASE else float(self._data["caption_dropout"])

    def _tokens(self, prompt: str) -> torch.Tensor:
        tokenizer = getattr(self.pipe, "tokenizer", None) or self.pipe.prior_tokenizer
        made = tokenizer(prompt, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt")
        return torch.cat([made.input_ids[0], made.attention_mask[0]])

    def _pixels(self, picture: Picture) -> np.ndarray[Any, Any]:
        """Return a picture as uint8 (size, size, 3): its shortest side fitted, its middle taken."""
        key = picture.digest or picture.path
        made = self._kept.get(key)
        if made is None:
            made = fitted(picture, self._size)
            if made.nbytes <= self._room:
                self._room -= made.nbytes
                self._kept[key] = made
        return made


def spread_penalty(latents: torch.Tensor) -> torch.Tensor:
    """Return how far latents are from mean 0 and spread 1, channel by channel: what the noise schedule assumes of them."""
    over = (0, 2, 3)
    return (latents.mean(over) ** 2 + (latents.std(over) - 1) ** 2).mean()


def picture_loss(drawn: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the absolute error of pixels, and of their differences to neighbours, averaged over the batch."""
    error = drawn - real
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return functional.l1_loss(drawn, real) + 0.5 * edges


def lora_targets() -> tuple[str, ...]:
    """Return the modules of attention that LoRA wraps, as both published recipes do."""
    return TARGETS


def _scaled(pixels: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)) / 127.5 - 1.0


def _checked(request: Any, target: Any) -> tuple[str, Picture]:
    """Return prompt and picture.

    Raises:
        UsageError: the example is no prompt with a picture.
    """
    if not isinstance(request, Synthesize) or not isinstance(target, Picture) or not target.path:
        raise UsageError(
            f"a {type(target).__name__} for a {type(request).__name__}: nothing to learn drawing from", hint="a text-to-image task"
        )
    return request.prompt, target
