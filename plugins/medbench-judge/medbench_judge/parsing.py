"""Verdicts read out of replies, strictly: a reply that does not state one is told why, and never given a number."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

LONGEST = 20_000
"""So many characters of a reply are read, its last ones: a verdict stands at the end."""

_NUMBER = r"[-+]?\d+(?:[.,]\d+)?"
_OF = rf"(?:\s*(?:/|out\s+of)\s*(?P<of>{_NUMBER}))?"
_RANGE = rf"(?P<range>\s*(?:-|–|—|to|or|and)\s*{_NUMBER})?"
_LABELLED = re.compile(
    rf"\b(?:level|score|rating|verdict|grade)\b\s*(?:[:=]|\bis\b:?)\s*(?P<number>{_NUMBER})(?![\w.,]*\d){_OF}{_RANGE}", re.IGNORECASE
)
_BARE = re.compile(rf"(?P<number>{_NUMBER}){_OF}(?P<range>)\s*[.!]?", re.IGNORECASE)
_EXPLAINED = re.compile(rf"(?P<number>{_NUMBER}){_OF}(?P<range>)\s*(?:-|–|—|:)\s+[^\d\s].*", re.IGNORECASE)
_ORNAMENT = re.compile(r"[*_`]")
_REFUSAL = re.compile(
    r"\b(?:i\s*(?:'|\u2019)?\s*a?m\s+(?:sorry|unable|not\s+able)|i\s+(?:can\s*(?:no|'|\u2019)?t|cannot|will\s+not|won(?:'|\u2019)t)\s+"
    r"(?:assist|help|provide|rate|judge|evaluate|comply|do\s+that|comment))",
    re.IGNORECASE,
)


class Unusable(Exception):  # noqa: N818 - the reply's own state; its message is shown to the judge
    """A reply that states no verdict that can be taken; the message says why."""


def grade(text: str, grades: Sequence[float], style: str = "json") -> float:
    """Return the grade that a reply states.

    Args:
        text: The reply.
        grades: All grades that may be given.
        style: `json`: an object with `level`, or a line that states it; `line`: such a line; `number`: the number alone.

    Raises:
        Unusable: there is none, it is no grade, or there is more than one way to read it.

    >>> grade("0 - the report misses the 10 mm nodule", (0, 1)), grade("Score: 0/1", (0, 1))
    (0.0, 0.0)
    >>> grade("Finding 1 is right. Score: 4", (1, 2, 3, 4, 5)), grade('{"differences": "none", "level": 3}', range(5))
    (4.0, 3.0)
    """
    text = text.strip()[-LONGEST:]
    if not text:
        raise Unusable("it is empty")
    if style == "json":
        found = [value for value in objects(text) if "level" in value]
        if found:
            return _known(found[-1]["level"], grades)
    plain = _ORNAMENT.sub("", text).strip()
    stated = [] if style == "number" else list(_LABELLED.finditer(plain))
    if stated:
        return _read(stated[-1], grades)
    alone = _BARE.fullmatch(plain) or (None if style == "number" else _explained(plain))
    if alone:
        return _read(alone, grades)
    raise Unusable(f"it does not state a level ({_listed(grades)})")


def one_object(text: str, fields: Sequence[str]) -> dict[str, Any]:
    """Return the last JSON object of a reply that has all of the fields.

    Raises:
        Unusable: there is none, or a key stands in it twice.
    """
    text = text.strip()[-LONGEST:]
    if not text:
        raise Unusable("it is empty")
    found = [value for value in objects(text) if all(field in value for field in fields)]
    if not found:
        raise Unusable(f"it holds no JSON object with {', '.join(fields)}")
    return found[-1]


def refuses(text: str) -> bool:
    """Say whether a reply without a verdict declines the question in words.

    >>> refuses("I'm sorry, but I can't assist with that."), refuses("The effusion cannot be seen.")
    (True, False)
    """
    return _REFUSAL.search(text) is not None


def objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a text, outermost ones, in order.

    Raises:
        Unusable: a key stands in one of them twice, so that it says two things.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield value
        at = text.find("{", end)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Unusable("a key stands in its JSON object twice")
    return made


def _explained(plain: str) -> re.Match[str] | None:
    """Return the number that begins a reply of one line, as in `0 - misses the nodule`; a list of points is none."""
    return _EXPLAINED.fullmatch(plain)


def _read(match: re.Match[str], grades: Sequence[float]) -> float:
    if match["range"]:
        raise Unusable(f"it states more than one level ({match.group(0).strip()})")
    if match["of"] and float(match["of"].replace(",", ".")) != max(grades):
        raise Unusable(f"it counts out of {match['of']}, and the levels end at {max(grades):g}")
    return _known(match["number"], grades)


def _known(value: object, grades: Sequence[float]) -> float:
    """Return a stated value as a grade."""
    try:
        number = float(value.replace(",", ".")) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, (int, float)) or number not in grades:
        raise Unusable(f"{str(value)[:20]!r} is not one of {_listed(grades)}")
    return float(number)


def _listed(grades: Sequence[float]) -> str:
    return ", ".join(f"{grade:g}" for grade in sorted(grades))
