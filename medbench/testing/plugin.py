"""A plugin for tests: hand this module to `load_registry`. It is never listed for users."""

from __future__ import annotations

from medbench.cards import AnyCard, ModelCard, ReaderCard, TaskCard
from medbench.hookspecs import hookimpl

CARDS: tuple[AnyCard, ...] = (
    ReaderCard(
        name="fake-qa",
        load="medbench.testing.data:FakeReader",
        title="a handful of made-up questions, each of which ends in a word",
        access="open",
        licence="CC0-1.0",
        obtain="medbench.testing.write_fake_data(FOLDER)",
        expects=("fake.json",),
        splits=("train", "test"),
    ),
    ModelCard(
        name="fake-any",
        load="medbench.testing.models:FakeModel",
        title="answers every request with a valid output that follows from its content alone, and means nothing",
        can=("generate", "classify", "embed", "synthesize", "ground"),
        isolated=False,
        paths=(),
    ),
    ModelCard(
        name="fake-echo",
        load="medbench.testing.models:Echo",
        title="answers with the last word of the prompt",
        can=("generate",),
        isolated=False,
    ),
    ModelCard(
        name="fake-faulty",
        load="medbench.testing.models:Faulty",
        title="answers as fake-echo does, in a child process, and fails where it is told to",
        can=("generate",),
        isolated=True,
        batch_size=1,
        timeout_s=2.0,
    ),
    ModelCard(
        name="fake-learner",
        load="medbench.testing.models:Learner",
        title="learns its examples by heart",
        can=("generate",),
        fits="optional",
        isolated=False,
        paths=("weights",),
    ),
    TaskCard(
        name="fake-vqa",
        load="medbench.testing:fake-vqa.toml",
        title="the questions of fake-qa, answered in a word",
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the cards of the kit."""
    return CARDS
