"""Generative vision-language models as a medbench plugin: their cards, and nothing that is slow to import."""

from __future__ import annotations

from medbench.cards import AnyCard, ModelCard
from medbench.hookspecs import hookimpl

_NEEDS = ("torch", "transformers", "peft", "medbench_torch")
_INSTALL = "pip install medbench-llava"
_PATHS = ("weights", "adapter", "vision_tower")
_NEUTRAL = ("device", "batch_size", "workers", "trust_pickle")

CARDS = (
    ModelCard(
        name="llava",
        load="medbench_llava.llava:Llava",
        title="LLaVA-1.5, as it is published, without an adapter",
        can=("generate",),
        needs_text=True,
        needs=_NEEDS,
        install=_INSTALL,
        paths=_PATHS,
        neutral=_NEUTRAL,
        converts="medbench_torch.convert:convert_llava",
        licence="Llama 2 Community License",
        source="Liu et al., arXiv 2310.03744; llava-hf/llava-1.5-7b-hf",
    ),
    ModelCard(
        name="llava-lora",
        load="medbench_llava.llava:LlavaLora",
        title="LLaVA-1.5 with a LoRA adapter, in any of the three spellings that adapters come in; can be fine-tuned",
        can=("generate",),
        needs_text=True,
        fits="optional",
        needs=_NEEDS,
        install=_INSTALL,
        paths=_PATHS,
        neutral=_NEUTRAL,
        converts="medbench_torch.convert:convert_adapter",
        licence="Llama 2 Community License (base)",
        source="Liu et al., arXiv 2310.03744; https://github.com/haotian-liu/LLaVA (finetune_lora.sh)",
    ),
    ModelCard(
        name="llava-med",
        load="medbench_llava.llava_med:LlavaMed",
        title="LLaVA-Med 1.5 on Mistral, zero-shot; the original checkpoint is converted once, and says which tower it got",
        can=("generate",),
        needs_text=True,
        needs=_NEEDS,
        install=_INSTALL,
        paths=_PATHS,
        neutral=_NEUTRAL,
        converts="medbench_torch.convert:convert_llava",
        licence="Apache-2.0 (weights; the authors restrict use to research)",
        source="Li et al., arXiv 2306.00890; microsoft/llava-med-v1.5-mistral-7b",
    ),
    ModelCard(
        name="llava-rad",
        load="medbench_llava.llava_rad:LlavaRad",
        title="LLaVA-Rad: findings of one frontal chest radiograph",
        can=("generate",),
        min_images=1,
        max_images=1,
        needs_text=True,
        needs=_NEEDS,
        install=_INSTALL,
        paths=_PATHS,
        neutral=_NEUTRAL,
        converts="medbench_torch.convert:convert_rad",
        licence="MSR research licence: non-commercial, no redistribution",
        trained_on=("mimic-cxr",),
        source="Zambrano Chaves et al., arXiv 2403.08002; microsoft/llava-rad",
    ),
    ModelCard(
        name="hf-vlm",
        load="medbench_llava.hf_vlm:HfVlm",
        title="any image-text-to-text model of transformers: MedGemma, Gemma 3, Qwen2-VL, Qwen2.5-VL, Idefics, LLaVA …",
        can=("generate",),
        needs_text=True,
        needs=_NEEDS,
        install=_INSTALL,
        paths=_PATHS,
        neutral=_NEUTRAL,
        source="https://huggingface.co/docs/transformers/tasks/image_text_to_text",
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the cards of all models."""
    return CARDS
