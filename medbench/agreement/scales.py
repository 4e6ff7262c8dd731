"""Rating scales for people: grades and what they stand for, or their ends alone."""

from __future__ import annotations

import re

from medbench.errors import UsageError
from medbench.types import Struct

LIKERT: dict[int, str] = {
    4: "indistinguishable: it says what the reference says, and nothing of medical weight differs",
    3: "minor deviations: the findings and the diagnosis agree, details that change nothing differ",
    2: "significant divergence: the core of the diagnosis is right, but findings of weight are missing, added or wrong",
    1: "several key errors: the core of the diagnosis is wrong or missing, some of the rest agrees",
    0: "no consistency: it describes another examination, or contradicts the reference throughout",
}
"""The five levels of PeFoMed's rubric (arXiv 2401.02797), in the words that the judge `likert` is given, too."""
CORRECT: dict[int, str] = {1: "correct: it matches the reference, or is good enough to stand for it", 0: "not correct"}
"""The two levels that the judge `vqa-judge` is given, too."""

_RANGE = re.compile(r"(-?\d{1,3})(?:-|:|\.\.|–)(-?\d{1,3})")
_MOST = 20


class Scale(Struct):
    """Whole-numbered grades from `low` to `high`."""

    low: int
    high: int
    levels: dict[int, str] = {}
    """What each stands for, where that is known."""

    @property
    def grades(self) -> tuple[int, ...]:
        """All grades, lowest first."""
        return tuple(range(self.low, self.high + 1))

    @property
    def name(self) -> str:
        """The ends, as a user states them: `0-4`."""
        return f"{self.low}-{self.high}"


def parse_scale(text: str) -> Scale:
    """Return the scale that a user named: `0-4`, `1-5`, `0-1`.

    Raises:
        UsageError: it is none.

    >>> parse_scale("1-5").grades, parse_scale("0-4").levels[4][:17]
    ((1, 2, 3, 4, 5), 'indistinguishable')
    """
    match = _RANGE.fullmatch(text.strip())
    low, high = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= high - low < _MOST:
        raise UsageError(f"--scale {text}: not of the form low-high", hint=f"--scale 0-4, 1-5, 0-1 …: up to {_MOST} whole grades")
    known = {len(LIKERT): LIKERT, len(CORRECT): CORRECT}.get(high - low + 1, {})
    return Scale(low=low, high=high, levels={grade + low: words for grade, words in known.items()})
