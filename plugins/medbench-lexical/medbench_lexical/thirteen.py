"""The tokens and the smoothing of mteval-v13a, as sacreBLEU applies them to raw text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from medbench_lexical.weighting import Array

_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_MARKS = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
"""ASCII symbols stand alone; full stops and commas unless digits surround them; a hyphen after a digit."""

_CHINESE = re.compile(
    "(["
    "\u2001-\u2a6d"  # written as U+20000 to U+2A6D6 in a notation of four digits: it means this in the original
    "\u2e80-\u2fdf\u2ff0-\u303f\u3100-\u312f\u31a0-\u31bf\u31c0-\u31ef\u3200-\u4db5\u4e00-\u9fbb\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9"
    "\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef"
    "])"
)
_NEVER = -9999999999.0
"""The logarithm of a precision without n-grams, in the original."""


def tokenize_13a(text: str) -> str:
    """Return the tokens of a text, joined by spaces.

    >>> tokenize_13a("Tip 4.5cm above the carina (unchanged), L5-S1 &amp; T2.")
    'Tip 4.5cm above the carina ( unchanged ) , L5 - S1 & T2 .'
    """
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES if "&" in text else ():
        text = text.replace(entity, character)
    return _set_apart(f" {text} ")


def tokenize_zh(text: str) -> str:
    """Return a text with each Chinese character as a token, the rest tokenized as by `tokenize_13a`.

    >>> tokenize_zh("湿疹, 2.5%")
    '湿 疹 , 2.5 %'
    """
    return _set_apart(_CHINESE.sub(r" \1 ", text.strip()))


def _set_apart(text: str) -> str:
    for pattern, replacement in _MARKS:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


TOKENIZERS: dict[str, Callable[[str], str]] = {"13a": tokenize_13a, "zh": tokenize_zh}


def smoothed_bleu(statistics: Array, *, effective: bool) -> Any:
    """Return BLEU (0..1) for rows of statistics: matches, n-grams, length, reference length (10 columns).

    An order without matches counts as half a match, the next such order as a quarter, and so on. `effective` leaves out orders
    for which the text is too short, else their BLEU is 0.
    """
    correct, total, length, reference = statistics[:, :4], statistics[:, 4:8], statistics[:, 8], statistics[:, 9]
    reached = np.cumprod(total > 0, axis=1).astype(bool)
    missed = reached & (correct <= 0)
    floor = 0.5 ** np.cumsum(missed, axis=1)
    precision = np.where(missed, floor, np.where(reached, correct, 1.0)) / np.where(reached, total, 1.0)
    logs = np.where(reached, np.log(precision), _NEVER if not effective else 0.0)
    orders = np.maximum(reached.sum(axis=1), 1) if effective else 4
    short = length < reference
    penalty = np.where(short, np.exp(np.where(short, 1 - reference / np.maximum(length, 1e-300), 0.0)), 1.0)
    return np.where(reached[:, 0], penalty * np.exp(logs.sum(axis=1) / orders), 0.0)
