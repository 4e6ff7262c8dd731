"""The Porter stemmer in the variant that NLTK has by default, which is the one rouge-score uses.

Porter, "An algorithm for suffix stripping", Program 14(3), 1980. NLTK adds a few irregular words and softens rules for -y, -ied
and short words.
"""

from __future__ import annotations

import re
from functools import lru_cache

IRREGULAR = {
    "skies": "sky",
    "sky": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "news": "news",
    "innings": "inning",
    "inning": "inning",
    "outings": "outing",
    "outing": "outing",
    "cannings": "canning",
    "canning": "canning",
    "howe": "howe",
    "proceed": "proceed",
    "exceed": "exceed",
    "succeed": "succeed",
}

_PLURALS = (("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", ""))
_DERIVED = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
    ("logi", "log"),
)
_MILDER = (("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""))
_LAST = (
    "al",
    "ance",
    "ence",
    "er",
    "ic",
    "able",
    "ible",
    "ant",
    "ement",
    "ment",
    "ent",
    "ion",
    "ou",
    "ism",
    "ate",
    "iti",
    "ous",
    "ive",
    "ize",
)
"""In the order in which they are tried: -ement before -ment before -ent."""


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return the stem of a word in lower case; words of one or two letters stay.

    >>> [stem(word) for word in ("effusions", "opacities", "stable", "enlarged", "is", "dying")]
    ['effus', 'opac', 'stabl', 'enlarg', 'is', 'die']
    """
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _derived(_final_y(_past(_plural(word))))
    return _double_l(_final_e(_last(_milder(word))))


def _shape(word: str) -> str:
    """Return `c` or `v` for each letter; a `y` is a vowel after a consonant."""
    shape = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and shape[-1:] == "c")
        shape += "v" if vowel else "c"
    return shape


def _measure(word: str) -> int:
    """Return how often a vowel is followed by a consonant."""
    return _shape(word).count("vc")


def _short_end(word: str) -> bool:
    """Say whether a word ends consonant, vowel, consonant other than w, x, y; or is a vowel and a consonant."""
    shape = _shape(word)
    return (shape.endswith("cvc") and word[-1] not in "wxy") or shape == "vc"


def _plural(word: str) -> str:
    if len(word) == 4 and word.endswith("ies"):
        return word[:-1]
    for suffix, replacement in _PLURALS:
        if word.endswith(suffix):
            return word.removesuffix(suffix) + replacement
    return word


def _past(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    found = re.fullmatch("(.*)(?:ed|ing)", word)
    if not found or "v" not in _shape(found[1]):
        return word
    return _mended(found[1])


def _mended(word: str) -> str:
    """Return what stands before -ed or -ing with the ending that it lost."""
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if len(word) >= 2 and word[-1] == word[-2] and _shape(word)[-1] == "c":
        return word if word[-1] in "lsz" else word[:-1]
    return word + "e" if _measure(word) == 1 and _short_end(word) else word


def _final_y(word: str) -> str:
    return word[:-1] + "i" if word.endswith("y") and len(word) > 2 and _shape(word[:-1])[-1] == "c" else word


def _derived(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]):
        return _derived(word[:-2])
    for suffix, replacement in _DERIVED:
        if word.endswith(suffix):
            # The l of -logi belongs to the stem: `geologi` is long enough.
            before = word[:-3] if suffix == "logi" else word.removesuffix(suffix)
            return word.removesuffix(suffix) + replacement if _measure(before) else word
    return word


def _milder(word: str) -> str:
    for suffix, replacement in _MILDER:
        if word.endswith(suffix):
            return word.removesuffix(suffix) + replacement if _measure(word.removesuffix(suffix)) else word
    return word


def _last(word: str) -> str:
    for suffix in _LAST:
        if word.endswith(suffix):
            before = word.removesuffix(suffix)
            return before if _measure(before) > 1 and (suffix != "ion" or before[-1] in "st") else word
    return word


def _final_e(word: str) -> str:
    if not word.endswith("e"):
        return word
    measure = _measure(word[:-1])
    return word[:-1] if measure > 1 or (measure == 1 and not _short_end(word[:-1])) else word


def _double_l(word: str) -> str:
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
