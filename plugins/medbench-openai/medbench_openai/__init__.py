"""OpenAI-compatible endpoints as a medbench plugin: the card, and nothing that is slow to import."""

from __future__ import annotations

from collections.abc import Iterable

from medbench.cards import ModelCard
from medbench.hookspecs import hookimpl

PRICES = {
    "gpt-5.4": (2.5, 15.0),
    "gpt-5.1": (1.25, 10.0),
    "gpt-5": (1.25, 10.0),
    "gpt-5-mini": (0.25, 2.0),
    "gpt-5-nano": (0.05, 0.4),
    "gpt-4.1": (2.0, 8.0),
    "gpt-4.1-mini": (0.4, 1.6),
    "gpt-4.1-nano": (0.1, 0.4),
    "gpt-4o": (2.5, 10.0),
    "gpt-4o-mini": (0.15, 0.6),
    "o1": (15.0, 60.0),
    "o3": (2.0, 8.0),
    "o3-mini": (1.1, 4.4),
    "o4-mini": (1.1, 4.4),
}
"""OpenAI's list prices in March 2026: US dollars for a million tokens in, and out."""

CARD = ModelCard(
    name="openai",
    load="medbench_openai.model:OpenAI",
    title="any OpenAI-compatible chat endpoint that takes images: openai:NAME, vLLM, SGLang, Ollama",
    can=("generate",),
    isolated=False,
    networked=True,
    endpoint="api.openai.com",
    paths=(),
    neutral=(
        "concurrency",
        "key_env",
        "local",
        "max_cost",
        "patience_s",
        "price_in",
        "price_out",
        "retries",
        "timeout_s",
        "workers",
    ),
    batch_size=128,
    prices=PRICES,
    prices_from="OpenAI's list, March 2026",
    needs=("openai",),
    install="pip install medbench-openai",
    source="https://platform.openai.com/docs/api-reference/chat",
)


@hookimpl
def medbench_cards() -> Iterable[ModelCard]:
    """Return the model."""
    return (CARD,)
