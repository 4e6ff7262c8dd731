"""A CLIP tokenizer made in code: one token for each byte, with and without the mark of a word's end."""

from __future__ import annotations

from collections.abc import Iterable

from transformers import CLIPTokenizer

from medbench_torch.tiny.tokenizers import BYTES


def clip_tokenizer(words: Iterable[str] = (), *, length: int = 77) -> CLIPTokenizer:
    """Return a true `CLIPTokenizer` whose vocabulary is the bytes, their word-final forms and the given words.

    Args:
        words: Words that are one token each instead of one for each byte; lower case, letters and digits alone.
        length: Longest text, in tokens, the two marks at its ends included.
    """
    merges: dict[tuple[str, str], None] = {}
    known = dict.fromkeys((*BYTES, *(f"{byte}</w>" for byte in BYTES)))
    for word in dict.fromkeys(words):
        for pair in _merged(word):
            merges.setdefault(pair)
            known.setdefault("".join(pair))
    vocabulary = {token: index for index, token in enumerate((*known, "<|startoftext|>", "<|endoftext|>"))}
    return CLIPTokenizer(vocab=vocabulary, merges=list(merges), model_max_length=length)


def _merged(word: str) -> Iterable[tuple[str, str]]:
    """Yield the merges that build a word from its left end."""
    letters = [*word[:-1], f"{word[-1]}</w>"]
    left = letters[0]
    for letter in letters[1:]:
        yield left, letter
        left += letter
