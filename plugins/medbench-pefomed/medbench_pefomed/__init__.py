"""PeFoMed and MiniGPT-v2 as a medbench plugin: their cards, and nothing that is slow to import."""

from __future__ import annotations

from medbench.cards import AnyCard, ModelCard, TaskCard
from medbench.hookspecs import hookimpl

_SHARED = {
    "can": ("generate",),
    "needs_text": True,
    "fits": "optional",
    "needs": ("torch", "transformers", "peft", "medbench_torch"),
    "install": "pip install medbench-pefomed",
    "paths": ("weights", "adapter", "vision", "language_model"),
    "neutral": ("device", "batch_size", "workers", "trust_pickle"),
    "converts": "medbench_pefomed.convert:convert",
}

CARDS = (
    ModelCard(
        name="pefomed",
        load="medbench_pefomed.model:Pefomed",
        title="PeFoMed: MiniGPT-v2 tuned by LoRA. Its released evaluation has random crops and a random instruction; this one has neither",
        licence="BSD-3-Clause (tuned weights); Llama 2 Community License (language model)",
        trained_on=("roco", "mimic-cxr", "vqa-rad", "slake", "pathvqa", "iu-xray"),
        source="Liu et al., arXiv 2401.02797; https://github.com/jinlHe/PeFoMed",
        **_SHARED,
    ),
    ModelCard(
        name="minigpt-v2",
        load="medbench_pefomed.model:MiniGptV2",
        title="MiniGPT-v2 without a medical adapter, or its design on another causal language model",
        licence="BSD-3-Clause (tuned weights); Llama 2 Community License (language model)",
        source="Chen et al., arXiv 2310.09478; https://github.com/Vision-CAIR/MiniGPT-4",
        **_SHARED,
    ),
    TaskCard(
        name="roco-caption",
        load="medbench_pefomed:tasks/roco-caption.toml",
        title="ROCO: the caption of a figure, as PeFoMed's first stage learns it",
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the cards of the models and of the task that PeFoMed's first stage learns from."""
    return CARDS
