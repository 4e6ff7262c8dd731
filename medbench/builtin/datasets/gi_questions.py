"""What the endoscopy datasets of one origin share: the fixed questions of MEDVQA-GI, and a split by image."""

from __future__ import annotations

import hashlib
import re

from medbench.types import Split

HASH_SPLIT = "medbench-gi-v1"
"""Name of our split of sets that come without one: a function of the image's name, so that no image is on two sides."""

NOT_OFFICIAL = f"the data has no split with answers: this is {HASH_SPLIT}, made by image (70/10/20 %), and nobody's official one"

QUESTIONS = (
    ("What type of procedure is the image taken from?", "procedure"),
    ("Have all polyps been removed?", "polyps-removed"),
    ("Is this finding easy to detect?", "easy-to-detect"),
    ("Is there a green/black box artifact?", "box"),
    ("Is there text?", "text"),
    ("What color is the abnormality?", "abnormality-color"),
    ("What color is the anatomical landmark?", "landmark-color"),
    ("How many findings are present?", "findings-count"),
    ("How many polyps are in the image?", "polyps-count"),
    ("How many instruments are in the image?", "instruments-count"),
    ("Where in the image is the abnormality?", "abnormality-place"),
    ("Where in the image is the instrument?", "instrument-place"),
    ("Are there any abnormalities in the image?", "abnormality"),
    ("Are there any anatomical landmarks in the image?", "landmark"),
    ("Are there any instruments in the image?", "instrument"),
    ("Where in the image is the anatomical landmark?", "landmark-place"),
    ("What is the size of the polyp?", "polyp-size"),
    ("What type of polyp is present?", "polyp-type"),
    ("Where exactly in the image is the polyp located?", "polyp-mask"),
    ("Where exactly in the image is the instrument located?", "instrument-mask"),
)
"""Questions 0 to 19 of MEDVQA-GI 2023 and our short names of them; 18 and 19 are answered by a mask."""

YES_NO = frozenset({"polyps-removed", "easy-to-detect", "box", "text"})
"""Questions whose answer is yes, no or not relevant."""

_SPELLING = {"artefact": "artifact", "instrumnets": "instruments", "colour": "color", "poylp": "polyp"}


def _plain(text: str) -> str:
    words = re.findall(r"[a-z/]+", text.lower())
    return " ".join(_SPELLING.get(word, word) for word in words)


_NUMBERS = {_plain(text): number for number, (text, _) in enumerate(QUESTIONS)}


def question_number(text: str) -> int | None:
    """Return the official number of a question, whatever its spelling; None: it is none of them.

    >>> question_number("How many instrumnets are in the image?"), question_number("Why?")
    (9, None)
    """
    return _NUMBERS.get(_plain(text))


def answer_type(kind: str, answer: str) -> str:
    """Return `CLOSED` for questions that are answered by yes or no, else `OPEN`."""
    return "CLOSED" if kind in YES_NO or answer.strip().lower() in {"yes", "no"} else "OPEN"


def image_split(image: str) -> Split:
    """Return the split of an image by its name alone: 70 % train, 10 % val, 20 % test.

    >>> [image_split(f"image{number}") for number in range(4)]
    ['train', 'val', 'test', 'train']
    """
    tenth = int.from_bytes(hashlib.sha256(f"{HASH_SPLIT}\0{image}".encode()).digest()[:8], "big") % 10
    return "train" if tenth < 7 else "val" if tenth == 7 else "test"


def short_digest(*parts: str) -> str:
    """Return 8 hex digits that stand for some texts in an id."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
