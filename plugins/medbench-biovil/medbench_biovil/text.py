"""CXR-BERT, BioViL-T's text side: a BERT whose first token is projected into the common space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from medbench_torch.weights import WeightsError, read_json
from torch import nn
from torch.nn import functional
from transformers import BertConfig, BertModel, BertTokenizer

from medbench_biovil.sizes import Sizes

UNUSED = (r"^cls\.", r"(^|\.)position_ids$", r"^bert\.pooler\.")
"""Tensors of the published file that no vector depends on: the head that guesses masked words, and a pooler."""
KIND = "cxr-bert"
JOINT = 128
"""Dimensions of the common space, where a config does not say."""
ENDS = "!?."
"""Stripped from the end of a prompt, as hi-ml's own code does."""


class TextNetwork(nn.Module):
    """The whole text side, its tensors named as in the published file.

    Args:
        config: Of the BERT.
        joint: Dimensions of the common space.
    """

    def __init__(self, config: BertConfig, joint: int) -> None:
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        self.cls_projection_head = nn.ModuleDict(
            {
                "dense_to_hidden": nn.Linear(config.hidden_size, joint),
                "LayerNorm": nn.LayerNorm(joint, eps=1e-12),
                "dense_to_output": nn.Linear(joint, joint),
            }
        )

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return raw vectors, (texts, joint)."""
        first = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        head = self.cls_projection_head
        made: torch.Tensor = head["dense_to_output"](head["LayerNorm"](functional.gelu(head["dense_to_hidden"](first))))
        return made


class Sentences:
    """Texts to tokens of a BERT.

    Args:
        tokenizer: Of the published vocabulary.
        length: Tokens that the network has places for; what is beyond is cut.
    """

    def __init__(self, tokenizer: BertTokenizer, length: int) -> None:
        self._tokenizer, self.length = tokenizer, length

    def __call__(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return tokens and their mask, int64 (texts, longest)."""
        said = [text.rstrip(ENDS) for text in texts]
        made = self._tokenizer(said, padding="longest", truncation=True, max_length=self.length, return_tensors="pt")
        return made["input_ids"], made["attention_mask"]


def read_config(folder: Path) -> tuple[BertConfig, int]:
    """Return the BERT's config and the dimensions of the common space, of a published folder.

    Raises:
        WeightsError: there is no config, or it is another model's.
    """
    given = read_json(folder / "config.json")
    if given.get("model_type") != KIND:
        found = given.get("model_type", "nameless")
        raise WeightsError(f"{folder / 'config.json'}: a {found} model, not {KIND}", hint="the folder of microsoft/BiomedVLP-BioViL-T")
    known: dict[str, Any] = {name: value for name, value in given.items() if name in BertConfig().to_dict() and name not in _FOREIGN}
    return BertConfig(**known), int(given.get("projection_size", JOINT))


def read_sentences(folder: Path, config: BertConfig) -> Sentences:
    """Return the tokenizer of a published folder, from its vocabulary alone.

    Raises:
        WeightsError: the vocabulary is missing, or of another size than the network's.
    """
    path = folder / "vocab.txt"
    if not path.is_file():
        raise WeightsError(f"{path}: no such file", hint="is the folder complete?")
    lower = read_json(folder / "tokenizer_config.json").get("do_lower_case", True) if (folder / "tokenizer_config.json").is_file() else True
    tokenizer = BertTokenizer(str(path), do_lower_case=bool(lower))
    if len(tokenizer) > config.vocab_size:
        raise WeightsError(
            f"{path}: {len(tokenizer):,} words, and the network knows {config.vocab_size:,}", hint="vocabulary and weights of one model"
        )
    return Sentences(tokenizer, config.max_position_embeddings)


def tiny_text(sizes: Sizes) -> tuple[TextNetwork, Sentences]:
    """Return a tiny network with random weights and a vocabulary of letters and marks, so that any text has tokens."""
    letters = [chr(code) for code in range(33, 127)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {word: number for number, word in enumerate(words)}
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=512
    )
    return TextNetwork(config, sizes.joint), Sentences(BertTokenizer(vocab=vocabulary), config.max_position_embeddings)


_FOREIGN = ("model_type", "architectures", "auto_map", "transformers_version", "torch_dtype", "dtype")
