"""Masked autoencoders as a medbench plugin: their cards, and nothing that is slow to import."""

from __future__ import annotations

from medbench.cards import AnyCard, ModelCard
from medbench.hookspecs import hookimpl

_NEEDS = ("torch", "transformers", "accelerate", "medbench_torch")
_INSTALL = "pip install medbench-mae"
_NEUTRAL = ("device", "batch_size", "workers", "trust_pickle", "text_cache", "text_batch")

CARDS = (
    ModelCard(
        name="mae-cls",
        load="medbench_mae.model:MaeCls",
        title="ViT-MAE encoder with attention pooling and a head for labels, pre-trained on pictures alone",
        can=("classify", "embed"),
        min_images=1,
        fits="optional",
        needs=_NEEDS,
        install=_INSTALL,
        paths=("weights",),
        neutral=_NEUTRAL,
        batch_size=32,
        licence="CC BY-NC 4.0 (weights of facebook/vit-mae-base, where they are begun from)",
        source="He et al., CVPR 2022, arXiv 2111.06377; the row 'MAE alone' of an NYU poster on MIMIC-CXR (no public code or weights)",
    ),
    ModelCard(
        name="mae-llm",
        load="medbench_mae.model:MaeLlm",
        title="ViT-MAE encoder aligned to a language model's last-layer embeddings of the reports, then a head for labels",
        can=("classify", "embed"),
        min_images=1,
        fits="optional",
        needs=_NEEDS,
        install=_INSTALL,
        paths=("weights", "language_model"),
        neutral=_NEUTRAL,
        batch_size=32,
        licence="CC BY-NC 4.0 (facebook/vit-mae-base), Llama 2 Community License (its language model), where they are begun from",
        source="an NYU poster on MIMIC-CXR (no public code or weights); Hadsell et al., CVPR 2006, for the margin loss",
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the cards of both models."""
    return CARDS
