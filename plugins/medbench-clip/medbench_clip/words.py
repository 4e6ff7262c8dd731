"""The tokenizer of clip-roco: lower-case byte-level pieces learnt from the captions that it is trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import torch
from medbench_torch.weights import WeightsError
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PAD = "[PAD]"
FILE = "tokenizer.json"


class Words:
    """Texts to tokens. Every text has tokens: bytes that were never seen together are tokens of their own.

    Args:
        tokenizer: Of the tokenizers library, with `PAD` as its first token.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def of_bytes(cls) -> Self:
        """Return a tokenizer that was trained on nothing: one token for each byte."""
        vocabulary = {token: number for number, token in enumerate((PAD, *sorted(pre_tokenizers.ByteLevel.alphabet())))}
        return cls(_pieces(models.BPE(vocab=vocabulary, merges=[])))

    @classmethod
    def learnt(cls, texts: Iterable[str], size: int) -> Self:
        """Return a tokenizer trained on texts, the same for the same texts in any order.

        Args:
            texts: Captions.
            size: Tokens at most, 256 bytes included.
        """
        tokenizer = _pieces(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=[PAD],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(sorted(texts), trainer)
        return cls(tokenizer)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the tokenizer of a weights folder.

        Raises:
            WeightsError: it is not there, or not whole.
        """
        path = folder / FILE
        if not path.is_file():
            raise WeightsError(f"{path}: no such file", hint="is the folder complete?")
        try:
            return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))
        except Exception as error:  # the library raises bare exceptions
            raise WeightsError(f"{path}: not a tokenizer ({' '.join(str(error).split())[:120]})", hint="is the folder complete?") from error

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def __call__(self, texts: Sequence[str], length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return tokens and where they are, int64 and bool (texts, longest); at most `length` of each text are kept.

        A text without a token has one pad that counts, so that its vector is defined.
        """
        rows = [encoded.ids[:length] or [0] for encoded in self._tokenizer.encode_batch(list(texts))]
        longest = max(map(len, rows))
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.bool)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = True
        return ids, mask

    def to_json(self) -> str:
        """Return what `read` takes."""
        return str(self._tokenizer.to_str(pretty=True))


def _pieces(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    # a space before the first word too: a word is the same token wherever it stands
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
