"""The first plugin: what medbench brings itself, offered through the same hook as a stranger's."""

from __future__ import annotations

from medbench.builtin import datasets, metrics, models, protocols
from medbench.cards import AnyCard, ExecutorCard
from medbench.hookspecs import hookimpl

EXECUTORS = (
    ExecutorCard(
        name="local",
        load="medbench.builtin.executors.local:LocalExecutor",
        title="this machine: in this process, or in a child process for models that load weights",
    ),
)


@hookimpl
def medbench_cards() -> list[AnyCard]:
    """Return the cards of everything built in."""
    return [*datasets.CARDS, *protocols.CARDS, *models.CARDS, *metrics.CARDS, *EXECUTORS]
