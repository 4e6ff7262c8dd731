"""The protocols that medbench brings: their cards."""

from __future__ import annotations

from medbench.cards import ProtocolCard

CARDS = (
    ProtocolCard(
        name="multilabel",
        load="medbench.builtin.protocols.multilabel:Multilabel",
        title="classification: the images of a sample in, a probability for each label out",
        asks="classify",
        gives="probabilities",
    ),
    ProtocolCard(
        name="vqa",
        load="medbench.builtin.protocols.vqa:Vqa",
        title="visual question answering: one question about one image, answered in words",
        asks="generate",
        gives="text",
    ),
    ProtocolCard(
        name="report",
        load="medbench.builtin.protocols.report:Report",
        title="report generation: the images of a study in, its report out",
        asks="generate",
        gives="text",
    ),
)
