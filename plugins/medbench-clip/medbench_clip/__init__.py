"""Contrastive encoders as a medbench plugin: their cards, and nothing that is slow to import."""

from __future__ import annotations

from medbench.cards import AnyCard, ModelCard
from medbench.hookspecs import hookimpl

_NEEDS = ("torch", "transformers", "accelerate", "medbench_torch")
_INSTALL = "pip install medbench-clip"

CARDS = (
    ModelCard(
        name="clip-roco",
        load="medbench_clip.model:ClipRoco",
        title="small CLIP, 5 convolution and 5 transformer blocks in 128 dimensions, trained from scratch on figures and captions",
        can=("embed",),
        max_images=1,
        fits="optional",
        needs=_NEEDS,
        install=_INSTALL,
        paths=("weights",),
        batch_size=64,
        licence="Apache-2.0 (code); weights are the user's own",
        source="a student project's report on ROCO (no public code, no public weights); CLIP: Radford et al., ICML 2021, arXiv 2103.00020",
    ),
    ModelCard(
        name="hf-clip",
        load="medbench_clip.hf_clip:HfClip",
        title="any CLIP-like model of transformers: CLIP, PubMedCLIP, SigLIP (with its bias), MetaCLIP 2, Chinese-CLIP, AltCLIP",
        can=("embed",),
        max_images=1,
        needs=_NEEDS,
        install=_INSTALL,
        paths=("weights",),
        neutral=("device", "batch_size", "workers", "trust_pickle"),
        batch_size=64,
        source="https://huggingface.co/docs/transformers/model_doc/clip; PubMedCLIP: Eslami et al., Findings of EACL 2023",
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the cards of all models."""
    return CARDS
