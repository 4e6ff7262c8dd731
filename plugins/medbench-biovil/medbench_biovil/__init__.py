"""BioViL-T as a medbench plugin: its card, and nothing that is slow to import."""

from __future__ import annotations

from medbench.cards import AnyCard, ModelCard
from medbench.hookspecs import hookimpl

CARDS = (
    ModelCard(
        name="biovil-t",
        load="medbench_biovil.model:BioVilT",
        title="BioViL-T: chest radiographs (with a prior one, where there is one) and sentences in one space; phrases as maps",
        can=("embed", "ground"),
        max_images=2,
        needs=("torch", "transformers", "medbench_torch"),
        install="pip install medbench-biovil",
        paths=("weights", "image_weights"),
        neutral=("device", "batch_size", "workers", "trust_pickle"),
        batch_size=32,
        licence="MIT (its card: for research)",
        trained_on=("mimic-cxr",),
        converts="medbench_biovil.convert:convert",
        source="Bannur et al., CVPR 2023, arXiv 2301.04558; microsoft/BiomedVLP-BioViL-T; https://github.com/microsoft/hi-ml",
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the cards of all models."""
    return CARDS
