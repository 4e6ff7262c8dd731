"""Models without weights: the baselines that an honest table needs. They learn from the train split, automatically."""

from __future__ import annotations

from medbench.cards import ModelCard

CARDS = (
    ModelCard(
        name="majority",
        load="medbench.builtin.models.majority:Majority",
        title="the most frequent train answer for the kind of question",
        kind="baseline",
        can=("generate",),
        fits="always",
        isolated=False,
        paths=("weights",),
        batch_size=1024,
    ),
    ModelCard(
        name="most-common-report",
        load="medbench.builtin.models.majority:MostCommonReport",
        title="the report that occurs most often in train, whatever the image shows",
        kind="baseline",
        can=("generate",),
        fits="always",
        isolated=False,
        paths=("weights",),
        batch_size=1024,
    ),
    ModelCard(
        name="nearest-neighbour",
        load="medbench.builtin.models.neighbour:NearestNeighbour",
        title="the answer or report of the train sample with the most alike image thumbnail and question words",
        kind="baseline",
        can=("generate",),
        fits="always",
        isolated=False,
        paths=("weights",),
        batch_size=64,
    ),
    ModelCard(
        name="prevalence",
        load="medbench.builtin.models.prevalence:Prevalence",
        title="the share of train samples that have a label, for every image alike",
        kind="baseline",
        can=("classify",),
        fits="always",
        isolated=False,
        paths=("weights",),
        batch_size=1024,
    ),
    ModelCard(
        name="random-answer",
        load="medbench.builtin.models.random_answer:RandomAnswer",
        title="a train answer for the kind of question, drawn at random",
        kind="baseline",
        can=("generate",),
        fits="always",
        isolated=False,
        paths=("weights",),
        batch_size=1024,
    ),
    ModelCard(
        name="raw-pixels",
        load="medbench.builtin.models.raw_pixels:RawPixels",
        title="the grey values of a small thumbnail as a vector: what an image encoder has to beat",
        kind="baseline",
        can=("embed",),
        min_images=1,
        isolated=False,
        paths=(),
        batch_size=64,
    ),
)
