"""Kandinsky 2.2 with LoRA adapters in its prior and its decoder for endoscopic pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from medbench.errors import UsageError
from medbench_diffusion.base import Drawing, Sources
from medbench_diffusion.recipe import KANDINSKY
from medbench_diffusion.tunable import Tunable


class KandinskyColonoscopy(Tunable):
    """Kandinsky 2.2, prior and decoder, each with its adapter. For the options see `TextToImage`.

    Args:
        prior: Folder or hub id of the prior, where `weights` is the decoder alone.
        prior_steps: Denoising steps of the prior.
        prior_guidance: Guidance scale of the prior.
        **options: Of every model that can be fine-tuned.
    """

    NAME: ClassVar[str] = "kandinsky-colonoscopy"
    WEIGHTS: ClassVar[str] = "kandinsky-community/kandinsky-2-2-decoder"
    PRIOR: ClassVar[str] = "kandinsky-community/kandinsky-2-2-prior"
    PIPELINES: ClassVar[tuple[str, ...]] = ("KandinskyV22CombinedPipeline", "KandinskyV22Pipeline")
    PUBLISHED: ClassVar[Mapping[str, Any]] = KANDINSKY
    OWN: ClassVar[Drawing] = Drawing(steps=150, guidance=3.5)
    """As the MMCP team drew (CEUR-WS 3740 paper 142)."""
    TINY: ClassVar[Drawing] = Drawing(steps=12, guidance=1.0, more={"prior_num_inference_steps": 12, "prior_guidance_scale": 2.0})
    """More guidance drives the colours of so small a model beyond all measure."""

    def __init__(self, *, prior: str = "", prior_steps: int | None = None, prior_guidance: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        if prior_steps is not None and prior_steps < 1:
            raise UsageError(f"prior_steps={prior_steps}: below 1", hint="leave prior_steps out for its default")
        self.prior = prior
        self._further = {"prior_num_inference_steps": prior_steps, "prior_guidance_scale": prior_guidance}

    def options_of_call(self) -> dict[str, Any]:
        """Return what is set of the prior."""
        return {name: value for name, value in self._further.items() if value is not None}

    def build_tiny(self, folder: Path) -> Sources:
        """Write a tiny Kandinsky and adapters for prior and decoder, in PEFT's form."""
        import torch
        from diffusers import PriorTransformer, UNet2DConditionModel

        from medbench_diffusion.adapter_files import write_directory
        from medbench_diffusion.tiny import build_kandinsky, build_lora

        base = build_kandinsky(folder / "base")
        for name, cls, part in (("decoder", UNet2DConditionModel, "unet"), ("prior", PriorTransformer, "prior_prior")):
            network = cls.from_pretrained(base / part, torch_dtype=torch.float32)
            write_directory(folder / "adapter" / name, build_lora(network), network.peft_config["default"])
        return Sources(weights=base, adapter=str(folder / "adapter"))

    def learner(self, pipe: Any, **settings: Any) -> Any:
        """Return the pipeline as the training loop sees it."""
        from medbench_diffusion.kandinsky_learner import KandinskyLearner

        return KandinskyLearner(pipe, **settings)

    def write_base(self, folder: Path, words: Sequence[str], seed: int) -> Path:
        """Write the untrained base of a preset."""
        from medbench_diffusion.tiny import PREDICTION, build_kandinsky

        return build_kandinsky(folder, words=words, seed=seed, prediction_type=PREDICTION)

    def prior_of(self, folder: Path) -> Path | None:
        """Return the folder of the prior, where `folder` holds a decoder alone."""
        from medbench_diffusion.pipelines import DECODER, check_prior, class_of, fetch

        if class_of(folder) == DECODER:
            return fetch(self.prior or self.PRIOR, trust_pickle=self.trust_pickle)
        check_prior(self.prior)
        return None
