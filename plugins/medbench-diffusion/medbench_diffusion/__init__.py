"""Text-to-image models as a medbench plugin: their cards, and nothing that is slow to import."""

from __future__ import annotations

from medbench.cards import AnyCard, ModelCard
from medbench.hookspecs import hookimpl

_NEEDS = ("torch", "diffusers", "transformers", "peft", "accelerate", "medbench_torch")
_INSTALL = "pip install medbench-diffusion"
_NEUTRAL = ("device", "batch", "batch_size", "workers", "trust_pickle")
_HOURS = 4 * 3600.0
"""A window is sixteen batches, and one picture of full size takes minutes on a CPU."""
_UNFILTERED = "no safety checker is run: it would black out pictures, and endoscopy is not what it was made for"

CARDS = (
    ModelCard(
        name="sd-colonoscopy",
        load="medbench_diffusion.stable_diffusion:SdColonoscopy",
        title=f"Stable Diffusion 1.5 or 2.1 with a LoRA adapter on endoscopic images; can be fine-tuned ({_UNFILTERED})",
        can=("synthesize",),
        max_images=0,
        needs_text=True,
        fits="optional",
        needs=_NEEDS,
        install=_INSTALL,
        paths=("weights", "adapter"),
        neutral=_NEUTRAL,
        batch_size=2,
        timeout_s=_HOURS,
        licence="CreativeML OpenRAIL-M (base)",
        source="Rombach et al., CVPR 2022, arXiv 2112.10752; diffusers train_text_to_image_lora.py as MEDVQA-GI 2025's notebook runs it",
    ),
    ModelCard(
        name="kandinsky-colonoscopy",
        load="medbench_diffusion.kandinsky:KandinskyColonoscopy",
        title="Kandinsky 2.2 with LoRA adapters in prior and decoder on endoscopic images; can be fine-tuned",
        can=("synthesize",),
        max_images=0,
        needs_text=True,
        fits="optional",
        needs=_NEEDS,
        install=_INSTALL,
        paths=("weights", "prior", "adapter"),
        neutral=_NEUTRAL,
        batch_size=2,
        timeout_s=_HOURS,
        licence="Apache-2.0 (base)",
        source="Razzhigaev et al., EMNLP 2023, arXiv 2310.03502; MMCP team at MEDVQA-GI 2024, CEUR-WS 3740 paper 142",
    ),
    ModelCard(
        name="diffusion",
        load="medbench_diffusion.any_pipeline:Diffusion",
        title=f"any text-to-image pipeline of diffusers, with or without a LoRA adapter ({_UNFILTERED})",
        can=("synthesize",),
        max_images=0,
        needs_text=True,
        needs=_NEEDS,
        install=_INSTALL,
        paths=("weights", "prior", "adapter"),
        neutral=_NEUTRAL,
        batch_size=2,
        timeout_s=_HOURS,
        source="https://huggingface.co/docs/diffusers/api/pipelines/auto_pipeline",
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the cards of all models."""
    return CARDS
