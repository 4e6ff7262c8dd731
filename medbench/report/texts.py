"""What strangers wrote, made fit to be looked at: nothing hidden, nothing endless, differences word by word."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

LONGEST = 4_000
"""Characters of a text that a page shows."""
COMPARED = 300
"""Words of a text that are compared word by word."""

_WORDS = re.compile(r"\s*(?:\w+|[^\w\s]+)\s*|\s+")
"""A word, or signs, with the space around it."""


class Piece(NamedTuple):
    """A part of an answer: `same`, `more` (not in the reference) or `less` (only in the reference)."""

    kind: str
    text: str


def fit(text: str) -> str:
    r"""Return a text as a page shows it: cut when it is very long, signs that do something instead of showing made visible.

    >>> fit("left\u202egnp.exe\x00")
    'left⟨U+202E⟩gnp.exe⟨U+0000⟩'
    """
    shown = text[:LONGEST]
    made = "".join(_visible(sign) for sign in shown)
    return f"{made} … ({len(text) - LONGEST:,} more characters)" if len(text) > LONGEST else made


def _visible(sign: str) -> str:
    if sign in "\n\t" or unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Co"} or sign in "\u200c\u200d":
        return sign
    return f"⟨U+{ord(sign):04X}⟩"


def differences(reference: str, answer: str) -> list[Piece]:
    """Return an answer in pieces that say what the reference has too, what it has not, and what it has beside; case counts nothing.

    >>> [(piece.kind, piece.text) for piece in differences("no acute effusion", "No effusion seen")]
    [('same', 'No '), ('less', 'acute '), ('same', 'effusion '), ('more', 'seen')]
    """
    ours, theirs = _split(fit(answer)), _split(fit(reference))
    matcher = SequenceMatcher(None, [w.strip().casefold() for w in theirs], [w.strip().casefold() for w in ours], autojunk=False)
    pieces: list[Piece] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", "".join(ours[c:d])))
            continue
        if b > a:
            pieces.append(Piece("less", "".join(theirs[a:b])))
        if d > c:
            pieces.append(Piece("more", "".join(ours[c:d])))
    return pieces


def nearest_reference(references: Sequence[str], answer: str) -> str:
    """Return the reference that shares most words with an answer, the first of equals; empty: there is none."""
    words = set(answer.casefold().split())

    def shared(reference: str) -> float:
        own = set(reference.casefold().split())
        return len(own & words) / (len(own | words) or 1)

    return max(references, key=shared, default="")


def _split(text: str) -> list[str]:
    """Return the words and signs of a text, each with the space around it; what is beyond comparing is one piece."""
    found = _WORDS.findall(text)
    return found if len(found) <= COMPARED else [*found[:COMPARED], "".join(found[COMPARED:])]
