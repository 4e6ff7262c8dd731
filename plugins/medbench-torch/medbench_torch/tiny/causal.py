"""Tiny language models of the true classes, with their tokenizer, in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from medbench.errors import UsageError
from medbench_torch.loading import quiet
from medbench_torch.tiny.tokenizers import byte_level, train_bpe

TEXTS = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config}
"""Kinds of language models."""


def build_llama(
    folder: str | Path,
    *,
    seed: int = 0,
    text: str = "llama",
    tokenizer: PreTrainedTokenizerFast | Iterable[str] | None = None,
    **sizes: Any,
) -> Path:
    """Save a causal language model with random weights and its tokenizer.

    Args:
        folder: Where to.
        seed: Seed of the weights.
        text: One of `TEXTS`.
        tokenizer: A tokenizer, texts to train one on, or None for the one of bytes.
        **sizes: Fields of the config that are not as `text_config` has them.

    Returns:
        The folder.
    """
    tokens = tokenizer_from(tokenizer)
    config = text_config(text, tokens, **sizes)
    return save(folder, seeded(lambda: AutoModelForCausalLM.from_config(config), seed), tokens)


def text_config(kind: str, tokenizer: PreTrainedTokenizerFast, **sizes: Any) -> PreTrainedConfig:
    """Return the config of a tiny language model: width 64, 2 layers, 4 heads, 2,048 positions, unless `sizes` says otherwise.

    Raises:
        UsageError: the kind is unknown.
    """
    if kind not in TEXTS:
        raise UsageError(f"text={kind}: no such tiny language model", hint=f"one of {', '.join(TEXTS)}")
    fields: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4 if kind == "llama" else 2,
        "max_position_embeddings": 2048,
    }
    ids = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "pad")}
    return TEXTS[kind](vocab_size=len(tokenizer), **ids, **(fields | sizes))


def tokenizer_from(given: PreTrainedTokenizerFast | Iterable[str] | None) -> PreTrainedTokenizerFast:
    """Return the tokenizer itself, one trained on the texts, or the one of bytes."""
    if isinstance(given, PreTrainedTokenizerFast):
        return given
    return byte_level() if given is None else train_bpe(given)


def seeded(make: Any, seed: int) -> PreTrainedModel:
    """Return a model with the weights of a seed, in evaluation mode; the state of torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = make()
    return model.eval()


def save(folder: str | Path, model: PreTrainedModel, *beside: Any) -> Path:
    """Save a model and what belongs beside it (tokenizer, processor) in one folder, and return that.

    Its generation config names the special tokens and leaves all else open: greedy.
    """
    if model.can_generate():
        text = model.config.get_text_config()
        for role in ("bos", "eos", "pad"):
            setattr(model.generation_config, f"{role}_token_id", getattr(text, f"{role}_token_id"))
    path = Path(folder)
    with quiet():
        for part in (model, *beside):
            part.save_pretrained(path)
    return path
