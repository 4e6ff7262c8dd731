"""Normalisers of short answers: the VQA-v2 family with its quirks, and medbench's own without them."""

from __future__ import annotations

import re
from functools import lru_cache

NUMBER_WORDS = {"none": "0"} | {
    word: str(number) for number, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
}
"""Number words of the VQA-v2 normaliser; `none` counts as zero there."""

ARTICLES = frozenset({"a", "an", "the"})

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
"""What VQA-v2 takes for punctuation: no colon, no apostrophe, no asterisk; the full stop has its own rule."""

_CONTRACTED = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's
how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock
oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're there's
they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's where'd
where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll
y'all'd've you'd you'd've you'll you're you've
"""


def _contractions() -> dict[str, str]:
    """Return the VQA-v2 table: each contraction under every spelling that lacks exactly one of its apostrophes.

    One entry of the public table runs the other way (`somebody'd`), and is kept so.
    """
    spelled = {word[:at] + word[at + 1 :]: word for word in _CONTRACTED.split() for at, character in enumerate(word) if character == "'"}
    return spelled | {"somebody'd": "somebodyd"}


CONTRACTIONS = _contractions()

_SOME_PUNCTUATION = re.compile(f"[{re.escape(PUNCTUATION)}]")
_THOUSANDS = re.compile(r"\d,\d")
_STOP_BEFORE_NO_DIGIT = re.compile(r"\.(?!\d)")
_NO_DECIMAL_POINT = re.compile(r"\.(?!\d)|(?<=[^\W\d_])\.")
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


@lru_cache(maxsize=4096)
def vqa_v2(text: str) -> str:
    r"""Return `text` as the VQA-v2 evaluation code normalises it, quirks included.

    A character of `PUNCTUATION` is deleted everywhere if it stands next to a space anywhere in the text, or if the text
    has digit-comma-digit; else it becomes a space. Full stops go unless a digit follows: the pattern `(?!<=\d)(\.)(?!\d)`
    meant to look behind, but looks ahead for `<=`, which a full stop never is. Its flag is passed where the count
    belongs, so that at most 32 (`re.UNICODE`) are removed. Then lower case, number words to digits, articles dropped, contractions.

    Source: the VQA-v2 evaluation code, as used by MEVF, LLaVA-Med and PeFoMed.

    >>> vqa_v2("The X-ray, two views.")
    'x ray 2 views'
    """
    return " ".join(_words(_STOP_BEFORE_NO_DIGIT.sub("", _without_punctuation(text), count=int(re.UNICODE))))


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Return `text` under medbench's normaliser: VQA-v2 without its two faults with full stops, and never empty for nothing.

    Every full stop goes but a decimal point (one right before a digit and not right after a letter). `x ray` is one
    word, `xray`, as PeFoMed has it. Where nothing would be left (an answer `A`, `+`), the text stays, lower-cased.

    >>> plain("There are 3."), plain("2.5 cm"), plain("A"), plain("X-ray")
    ('there are 3', '2.5 cm', 'a', 'xray')
    """
    words = _joined_xray(_words(_NO_DECIMAL_POINT.sub("", _without_punctuation(text))))
    return " ".join(words) or " ".join(text.lower().split())


def bare_words(normalised: str) -> list[str]:
    """Return the words of a normalised text without the punctuation at their edges; a word of nothing else is left out.

    >>> bare_words("**yes**, the 'left' - don't")
    ['yes', 'the', 'left', "don't"]
    """
    if normalised.isalnum():
        return [normalised]
    words = (word if word.isalnum() else _EDGES.sub("", word) for word in normalised.split())
    return [word for word in words if word]


def _without_punctuation(text: str) -> str:
    if _SOME_PUNCTUATION.search(text) is None:
        return text
    number = _THOUSANDS.search(text) is not None
    replaced = {ord(mark): "" if number or f"{mark} " in text or f" {mark}" in text else " " for mark in PUNCTUATION if mark in text}
    return text.translate(replaced)


def _words(text: str) -> list[str]:
    words = (NUMBER_WORDS.get(word, word) for word in text.lower().split())
    return [CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES]


def _joined_xray(words: list[str]) -> list[str]:
    if "x" not in words:
        return words
    joined: list[str] = []
    for word in words:
        if word == "ray" and joined and joined[-1] == "x":
            joined[-1] = "xray"
        else:
            joined.append(word)
    return joined
