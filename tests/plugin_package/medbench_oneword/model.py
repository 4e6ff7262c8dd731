"""A baseline without weights: one word for each kind of question, found by what the question says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medbench.types import Generate, Text

ANSWERS = (
    ("how many", "1"),
    ("which side", "right"),
    ("what plane", "axial"),
    ("where", "right"),
    ("what", "x-ray"),
)
"""Phrase -> answer; the first phrase that a question holds decides."""


class Keywords:
    """Answers by the first known phrase in a question.

    Args:
        otherwise: The answer where no phrase is known.
    """

    def __init__(self, *, otherwise: str = "yes") -> None:
        self._otherwise = otherwise

    def generate(self, requests: Sequence[Generate]) -> list[Text]:
        """Return one answer per request, in order."""
        return [Text(text=self._answer(request.prompt.lower()), finish_reason="stop") for request in requests]

    def facts(self) -> Mapping[str, Any]:
        """Return what goes on record: how many phrases there are."""
        return {"phrases": len(ANSWERS)}

    def _answer(self, question: str) -> str:
        return next((answer for phrase, answer in ANSWERS if phrase in question), self._otherwise)
