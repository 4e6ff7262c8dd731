"""Kandinsky 2.2 in training: its autoencoder and base for a preset, LoRA on prior and decoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from peft.utils import get_peft_model_state_dict
from PIL import Image

from medbench_diffusion.adapter_files import write_directory
from medbench_diffusion.learner import AUTOENCODER, BASE, LORA, Learner, lora_targets, picture_loss, spread_penalty
from medbench_diffusion.losses import denoising_loss, noised

FOLDERS = {"prior": "prior", "unet": "decoder"}
"""Network -> folder of its adapter, as PEFT's directories are usually called."""


class KandinskyLearner(Learner):
    """A `KandinskyV22CombinedPipeline` in training: prior and decoder learn side by side, their matrices apart."""

    PARTS: ClassVar[Mapping[str, str]] = {
        "movq": "movq",
        "unet": "unet",
        "prior": "prior_prior",
        "text_encoder": "prior_text_encoder",
        "image_encoder": "prior_image_encoder",
    }
    AUTOENCODER_OF: ClassVar[str] = "movq"
    AUTOENCODER_BATCH: ClassVar[int] = 3
    TRAINED_IN_BASE: ClassVar[tuple[str, ...]] = ("unet.", "prior.", "text_encoder.")

    def losses(self) -> Mapping[str, Any]:
        """Return stage -> loss."""
        return {AUTOENCODER: self._autoencoding, BASE: self._denoising, LORA: self._denoising}

    def adapted(self) -> Mapping[str, tuple[str, ...]]:
        """Return prior and decoder."""
        return {"prior": lora_targets(), "unet": lora_targets()}

    def measure(self, pixels: torch.Tensor) -> None:
        """Set mean and spread of image embeddings, which the prior's own are measured in."""
        seen = [self._seen(np.rint((row.numpy().transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)) for row in pixels]
        encoder, prior = self.pipe.prior_image_encoder, self.pipe.prior_prior
        embedded = encoder(torch.stack(seen).to(encoder.device)).image_embeds
        prior.clip_mean.data.copy_(embedded.mean(0, keepdim=True))
        prior.clip_std.data.copy_(embedded.std(0, keepdim=True).clamp(min=1e-4))

    def write_adapter(self, folder: Path) -> None:
        """Write a directory of PEFT for prior and decoder each."""
        for name in self.adapted():
            part = getattr(self.module, name)
            write_directory(folder / FOLDERS[name], get_peft_model_state_dict(part), part.peft_config["default"])

    def further(self, picture: np.ndarray[Any, Any], size: int) -> dict[str, torch.Tensor]:  # noqa: ARG002 - the interface's parameters
        """Return what the image encoder sees of a picture."""
        return {"seen": self._seen(picture)}

    def further_noise(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """Return noise and timestep of the prior, and whether the decoder goes without an embedding."""
        width = self.pipe.prior_prior.config.embedding_dim
        steps = self.pipe.prior_scheduler.config.num_train_timesteps
        return {
            "prior_noise": torch.from_numpy(rng.standard_normal(width, dtype=np.float32)),
            "prior_steps": torch.tensor(int(rng.integers(steps))),
            "blind": torch.tensor(bool(rng.random() < self._dropped)),
        }

    def _seen(self, picture: np.ndarray[Any, Any]) -> torch.Tensor:
        made = self.pipe.prior_image_processor(Image.fromarray(picture), return_tensors="np")["pixel_values"][0]
        return torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))

    def _autoencoding(self, batch: dict[str, Any]) -> torch.Tensor:
        movq = self.pipe.movq
        latents = movq.encode(batch["pixels"]).latents
        # noise of a tenth: the decoder will get latents that a denoiser made
        drawn = movq.decode(latents + 0.1 * batch["spread"], force_not_quantize=True).sample
        return (picture_loss(drawn, batch["pixels"]) + 0.1 * spread_penalty(latents)) * len(latents)

    def _denoising(self, batch: dict[str, Any]) -> torch.Tensor:
        with torch.no_grad():
            encoder = self.pipe.prior_image_encoder
            embeds = encoder(batch["seen"].to(encoder.dtype)).image_embeds
            # what the pipeline takes for no picture at all
            blank = encoder(torch.zeros_like(batch["seen"][:1], dtype=encoder.dtype)).image_embeds
        return self._prior(batch, embeds.float()) + self._decoder(batch, torch.where(batch["blind"][:, None], blank, embeds))

    def _prior(self, batch: dict[str, Any], embeds: torch.Tensor) -> torch.Tensor:
        prior, scheduler = self.pipe.prior_prior, self.pipe.prior_scheduler
        clean = (embeds - prior.clip_mean) / prior.clip_std
        ids, mask = batch["ids"].chunk(2, dim=1)
        said = self.pipe.prior_text_encoder(ids)
        noisy = noised(scheduler, clean, batch["prior_noise"], batch["prior_steps"])
        predicted = prior(
            noisy.to(prior.dtype),
            timestep=batch["prior_steps"],
            proj_embedding=said.text_embeds,
            encoder_hidden_states=said.last_hidden_state,
            attention_mask=mask.bool(),
        ).predicted_image_embedding
        return denoising_loss(scheduler, predicted, clean, batch["prior_noise"], batch["prior_steps"], self._gamma)

    def _decoder(self, batch: dict[str, Any], embeds: torch.Tensor) -> torch.Tensor:
        movq, unet, scheduler = self.pipe.movq, self.pipe.unet, self.pipe.scheduler
        with torch.no_grad():
            clean = movq.encode(batch["pixels"].to(movq.dtype)).latents.float()
        noisy = noised(scheduler, clean, batch["noise"], batch["steps"])
        predicted = unet(
            noisy.to(unet.dtype), batch["steps"], None, added_cond_kwargs={"image_embeds": embeds.to(unet.dtype)}, return_dict=False
        )[0]
        # the other half of its channels is a variance, which this noise schedule does not use
        half = predicted[:, : clean.shape[1]]
        return denoising_loss(scheduler, half, clean, batch["noise"], batch["steps"], self._gamma)
