"""The datasets that medbench reads. Each reader stands in a module of its own, and is imported when it is needed."""

from __future__ import annotations

from medbench.builtin.datasets.cards import captions, chest, classification, colonoscopy, custom, dermatology, reports, vqa

CARDS = (
    *captions.CARDS,
    *chest.CARDS,
    *classification.CARDS,
    *colonoscopy.CARDS,
    *custom.CARDS,
    *dermatology.CARDS,
    *reports.CARDS,
    *vqa.CARDS,
)
