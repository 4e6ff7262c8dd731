"""Stable Diffusion 1.5 and 2.1 with a LoRA adapter for endoscopic pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from medbench_diffusion.base import Sources
from medbench_diffusion.recipe import SD
from medbench_diffusion.tunable import Tunable


class SdColonoscopy(Tunable):
    """Stable Diffusion with an adapter that is checked before it is believed. For the options see `TextToImage`."""

    NAME: ClassVar[str] = "sd-colonoscopy"
    WEIGHTS: ClassVar[str] = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    PIPELINES: ClassVar[tuple[str, ...]] = ("StableDiffusionPipeline",)
    PUBLISHED: ClassVar[Mapping[str, Any]] = SD

    def build_tiny(self, folder: Path) -> Sources:
        """Write a tiny Stable Diffusion and an adapter for it, in diffusers' form."""
        import torch
        from diffusers import UNet2DConditionModel

        from medbench_diffusion.adapter_files import write_file
        from medbench_diffusion.tiny import build_lora, build_sd

        base = build_sd(folder / "base")
        unet = UNet2DConditionModel.from_pretrained(base / "unet", torch_dtype=torch.float32)
        write_file(folder / "adapter", {"unet": (build_lora(unet), unet.peft_config["default"])})
        return Sources(weights=base, adapter=str(folder / "adapter"))

    def learner(self, pipe: Any, **settings: Any) -> Any:
        """Return the pipeline as the training loop sees it."""
        from medbench_diffusion.sd_learner import SdLearner

        return SdLearner(pipe, **settings)

    def write_base(self, folder: Path, words: Sequence[str], seed: int) -> Path:
        """Write the untrained base of a preset."""
        from medbench_diffusion.tiny import PREDICTION, build_sd

        return build_sd(folder, words=words, seed=seed, prediction_type=PREDICTION)
