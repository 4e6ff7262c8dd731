"""A model's tokenizer from its weights folder, fit for batches: padded on the left, with a pad token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medbench_torch.loading import quiet
from medbench_torch.weights import WeightsError


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a weights folder; one without a pad token pads with its end token.

    Raises:
        WeightsError: the folder has none, or one that needs code of its own or a package that is absent.
    """
    from transformers import AutoTokenizer  # noqa: PLC0415 - takes seconds

    try:
        with quiet():
            made = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    except Exception as error:  # transformers and tokenizers raise whatever their parsing trips over
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        hint = "tokenizer.json, or tokenizer.model and sentencepiece, belong beside the weights"
        raise WeightsError(f"{folder}: its tokenizer cannot be loaded ({reason})", hint=hint) from error
    if made.pad_token_id is None:
        made.pad_token = made.eos_token
    return made
