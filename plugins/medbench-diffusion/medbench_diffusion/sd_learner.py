"""Stable Diffusion in training: its autoencoder and base for a preset, LoRA on its denoiser and text encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from peft.utils import get_peft_model_state_dict

from medbench_diffusion.adapter_files import write_file
from medbench_diffusion.learner import AUTOENCODER, BASE, LORA, Learner, lora_targets, picture_loss, spread_penalty
from medbench_diffusion.losses import denoising_loss, noised

TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")


class SdLearner(Learner):
    """A `StableDiffusionPipeline` in training. For the options see `Learner`."""

    PARTS: ClassVar[Mapping[str, str]] = {"vae": "vae", "unet": "unet", "text_encoder": "text_encoder"}
    AUTOENCODER_OF: ClassVar[str] = "vae"
    AUTOENCODER_BATCH: ClassVar[int] = 6
    TRAINED_IN_BASE: ClassVar[tuple[str, ...]] = ("unet.", "text_encoder.")

    def losses(self) -> Mapping[str, Any]:
        """Return stage -> loss."""
        return {AUTOENCODER: self._autoencoding, BASE: self._denoising, LORA: self._denoising}

    def adapted(self) -> Mapping[str, tuple[str, ...]]:
        """Return the denoiser, and the text encoder where it was asked for."""
        return {"unet": lora_targets(), **({"text_encoder": TEXT_TARGETS} if self._lora["text_encoder"] else {})}

    def measure(self, pixels: torch.Tensor) -> None:
        """Set the scaling factor: latents divided by their spread, as Rombach et al. do."""
        vae = self.pipe.vae
        latents = vae.encode(pixels.to(vae.device)).latent_dist.mean
        vae.register_to_config(scaling_factor=round(float(1 / latents.std()), 5))

    def write_adapter(self, folder: Path) -> None:
        """Write diffusers' file with its alpha."""
        parts = {name: getattr(self.pipe, name) for name in self.adapted()}
        made = {name: (get_peft_model_state_dict(part), part.peft_config["default"]) for name, part in parts.items()}
        write_file(folder, made)

    def _autoencoding(self, batch: dict[str, Any]) -> torch.Tensor:
        vae = self.pipe.vae
        posterior = vae.encode(batch["pixels"]).latent_dist
        latents = posterior.mean + posterior.std * batch["spread"]
        drawn = vae.decode(latents).sample
        error = picture_loss(drawn, batch["pixels"]) + 1e-6 * posterior.kl().mean() + 0.02 * spread_penalty(posterior.mean)
        return error * len(latents)

    def _denoising(self, batch: dict[str, Any]) -> torch.Tensor:
        vae, unet, scheduler = self.pipe.vae, self.pipe.unet, self.pipe.scheduler
        with torch.no_grad():
            posterior = vae.encode(batch["pixels"].to(vae.dtype)).latent_dist
            clean = ((posterior.mean + posterior.std * batch["spread"]) * vae.config.scaling_factor).float()
        ids = batch["ids"].chunk(2, dim=1)[0]
        said = self.pipe.text_encoder(ids)[0]
        noisy = noised(scheduler, clean, batch["noise"], batch["steps"])
        predicted = unet(noisy.to(unet.dtype), batch["steps"], said.to(unet.dtype), return_dict=False)[0]
        return denoising_loss(scheduler, predicted, clean, batch["noise"], batch["steps"], self._gamma)
