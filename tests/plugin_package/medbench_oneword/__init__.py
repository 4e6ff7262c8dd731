"""Answers of one word, as a medbench plugin: the cards of a model, a metric and a task."""

from __future__ import annotations

from medbench.cards import AnyCard, MetricCard, ModelCard, ScoreFacts, TaskCard
from medbench.hookspecs import hookimpl

CARDS: tuple[AnyCard, ...] = (
    ModelCard(
        name="keywords",
        load="medbench_oneword.model:Keywords",
        title="answers by a word of the question, without a look at the image",
        kind="baseline",
        can=("generate",),
        isolated=False,
    ),
    MetricCard(
        name="first-word",
        load="medbench_oneword.metric:FirstWord",
        title="whether an answer begins with the first word of its reference, and how long answers are",
        takes=("text",),
        scores={
            "first-word": ScoreFacts(unit="fraction", worst=0.0, label="first word", primary=True),
            "length": ScoreFacts(unit="score", higher_is_better=None, high=None, label="words per answer"),
        },
    ),
    TaskCard(
        name="vqa-rad-oneword",
        load="medbench_oneword:vqa-rad-oneword.toml",
        title="VQA-RAD, answered in one word",
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return everything that this plugin offers."""
    return CARDS
