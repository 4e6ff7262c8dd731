"""Tokenizers made in code, of the classes that real models use: every byte has a token, so that any text survives."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from medbench.types import Struct


class Specials(Struct):
    """The special tokens of a family of models, in the order of their ids."""

    tokens: tuple[str, ...]
    pad: str
    eos: str
    bos: str = ""
    """Put before every text; empty: the family has none."""
    unk: str = ""
    named: dict[str, str] = {}
    """Tokens that processors look up by name: `{"image_token": "<image>"}`."""


LLAMA = Specials(
    tokens=("<unk>", "<s>", "</s>", "<pad>", "<image>"),
    bos="<s>",
    eos="</s>",
    pad="<pad>",
    unk="<unk>",
    named={"image_token": "<image>"},
)
"""As LLaVA has them."""

QWEN = Specials(
    tokens=("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
    eos="<|im_end|>",
    pad="<|endoftext|>",
    named={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
)

GEMMA = Specials(
    tokens=(
        "<pad>",
        "<eos>",
        "<bos>",
        "<unk>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<start_of_image>",
        "<end_of_image>",
        "<image_soft_token>",
    ),
    bos="<bos>",
    eos="<eos>",
    pad="<pad>",
    unk="<unk>",
    named={"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"},
)

BYTES = tuple(sorted(pre_tokenizers.ByteLevel.alphabet()))
"""The characters that stand for the 256 bytes."""


def byte_level(specials: Specials = LLAMA) -> PreTrainedTokenizerFast:
    """Return a tokenizer with the special tokens and one token for each byte: always the same, trained on nothing.

    Decoding the tokens of a text gives the text, unless it contains the spelling of a special token.
    """
    vocabulary = {token: index for index, token in enumerate((*specials.tokens, *BYTES))}
    return _finished(Tokenizer(models.BPE(vocab=vocabulary, merges=[])), specials)


def train_bpe(texts: Iterable[str], size: int = 600, specials: Specials = LLAMA) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer trained on texts.

    Args:
        texts: What it is trained on, in any order: the same texts give the same tokenizer.
        size: Number of tokens at most, the special ones and 256 bytes included.
        specials: The special tokens.
    """
    tokenizer = _finished_pieces(Tokenizer(models.BPE()), specials)
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(specials.tokens), initial_alphabet=list(BYTES), show_progress=False)
    tokenizer.train_from_iterator(sorted(texts), trainer)
    return _finished(tokenizer, specials)


def _finished_pieces(tokenizer: Tokenizer, specials: Specials) -> Tokenizer:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if specials.bos:
        number = specials.tokens.index(specials.bos)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{specials.bos} $A", pair=f"{specials.bos} $A $B", special_tokens=[(specials.bos, number)]
        )
    return tokenizer


def _finished(tokenizer: Tokenizer, specials: Specials) -> PreTrainedTokenizerFast:
    roles = {f"{role}_token": token for role in ("bos", "eos", "pad", "unk") if (token := getattr(specials, role))}
    made = PreTrainedTokenizerFast(
        tokenizer_object=_finished_pieces(tokenizer, specials),
        padding_side="left",
        clean_up_tokenization_spaces=False,
        extra_special_tokens=specials.named,
        **roles,
    )
    others = [token for token in specials.tokens if token not in {*roles.values(), *specials.named.values()}]
    if others:
        made.add_tokens(others, special_tokens=True)
    return made
