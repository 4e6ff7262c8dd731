"""Rubrics as files: levels, a prompt with places for the texts, and how a reply is read; ours are files like anybody's."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import msgspec

from medbench.errors import UsageError, suggestion
from medbench.identity import digest
from medbench.types import Generate, Struct
from medbench_judge.quoting import MAX_CHARS, quote

PLACES = ("levels", "question", "reference", "candidate", "reply")
"""What `{…}` in a prompt may name."""

_PLACE = re.compile(r"\{(\w+)\}")
_TEXTS = re.compile(r"\{(?:question|reference|candidate)\}")

Style = Literal["json", "line", "number"]


class Rubric(Struct):
    """A scale, and the words in which it is put to a judge."""

    name: str
    prompt: str
    levels: dict[str, str]
    """Grade, as text, -> what it stands for."""
    version: int = 1
    parser: Style = "json"
    """How a reply states the grade: a JSON object (schema where the endpoint has it), a line `Level: N`, the number alone."""
    reason: str = "reason"
    """Name of the field of the JSON object in which the judge gives its reasons, before the grade."""
    max_new_tokens: int = 300
    rescale: tuple[float, float] | None = None
    """A second scale on which the mean is stated, too: its ends."""

    @property
    def grades(self) -> tuple[float, ...]:
        """The grades, lowest first."""
        return tuple(sorted(float(level) for level in self.levels))

    @property
    def full_name(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def hash(self) -> str:
        """Digest of everything that a judge is told and of how its reply is read: 16 hex digits."""
        return digest(self.prompt, repr(sorted(self.levels.items())), self.parser, self.reason, *(_FORMS[self.parser]))[:16]

    def head(self, style: Style) -> str:
        """Return the beginning of every prompt, up to the first text of a sample."""
        first = _TEXTS.search(self.prompt)
        return self._filled(self.prompt[: first.start() if first else 0], {}, style, MAX_CHARS)

    def ask(self, texts: Mapping[str, str], *, style: Style | None = None, max_chars: int = MAX_CHARS, **fields: Any) -> Generate:
        """Return the request for one sample.

        Args:
            texts: `question`, `reference` and `candidate`; each is quoted where the prompt names it.
            style: How the reply is wanted; None: as the rubric says.
            max_chars: Longest quoted text.
            **fields: Further fields of the request (`repeat`, `temperature` …).
        """
        style = style or self.parser
        made: dict[str, Any] = {"max_new_tokens": self.max_new_tokens}
        if style == "json":
            made["schema"] = self._schema()
        elif style == "number":
            made["max_new_tokens"] = 8
        return Generate(prompt=self._filled(self.prompt, texts, style, max_chars), **{**made, **fields})

    def _filled(self, prompt: str, texts: Mapping[str, str], style: Style, max_chars: int) -> str:
        """Fill all places in one pass, so that a text that names a place is not filled again."""

        def fill(match: re.Match[str]) -> str:
            place = match[1]
            if place == "levels":
                return "\n".join(f"{level}: {self.levels[level]}" for level in sorted(self.levels, key=float, reverse=True))
            return self._form(style) if place == "reply" else quote(texts[place], place.upper(), max_chars)

        return _PLACE.sub(fill, prompt)

    def _form(self, style: Style) -> str:
        return "\n".join(_FORMS[style]).format(grades=", ".join(f"{grade:g}" for grade in self.grades), reason=self.reason)

    def _schema(self) -> str:
        grades = [int(grade) if grade.is_integer() else grade for grade in self.grades]
        return json.dumps(
            {
                "type": "object",
                "properties": {self.reason: {"type": "string"}, "level": {"enum": grades}},
                "required": [self.reason, "level"],
                "additionalProperties": False,
            }
        )


_FORMS: dict[Style, tuple[str, ...]] = {
    "json": (
        "Reply with one JSON object and nothing else:",
        '{{"{reason}": "<at most three short sentences>", "level": <one of {grades}>}}',
    ),
    "line": ("Give your reasons in at most three short sentences, then end with a line of its own:", "Level: <one of {grades}>"),
    "number": ("Reply with the number of the level and nothing else (one of {grades}).",),
}
"""What a judge is told about the form of its reply."""


def shipped(name: str) -> Rubric:
    """Return a rubric of this package."""
    return _read((files("medbench_judge") / "rubrics" / f"{name}.toml").read_text(encoding="utf-8"), f"{name}.toml")


def read_rubric(path: Path) -> Rubric:
    """Read a rubric that a user wrote.

    Raises:
        UsageError: the file is missing, is no TOML, or is no rubric; says which key is wrong and how.
    """
    try:
        content = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"rubric {path}: {error}", hint="--metric-option rubric.file=FILE.toml") from None
    return _read(content, str(path))


def _read(content: str, where: str) -> Rubric:
    try:
        rubric = msgspec.convert(tomllib.loads(content), Rubric)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not valid TOML: {error}", hint="mend that line") from None
    except msgspec.ValidationError as error:
        hint = f'keys of a rubric: {", ".join(Rubric.__struct_fields__)}; levels are a table: 1 = "what it stands for"'
        raise UsageError(f"{where}: {error}", hint=hint) from None
    _check_levels(rubric, where)
    named = _PLACE.findall(rubric.prompt)
    for place in named:
        if place not in PLACES:
            raise UsageError(f"{where}: prompt names {{{place}}}", hint=suggestion(place, PLACES))
    if "candidate" not in named:
        raise UsageError(f"{where}: prompt has no {{candidate}}, what is to be judged", hint=f"places: {', '.join(PLACES)}")
    missing = "".join(f"\n\n{{{place}}}" for place in ("levels", "reply") if place not in named)
    return msgspec.structs.replace(rubric, prompt=f"{rubric.prompt.strip()}{missing}")


def _check_levels(rubric: Rubric, where: str) -> None:
    try:
        grades = [float(level) for level in rubric.levels]
    except ValueError as error:
        raise UsageError(f"{where}: levels: {error}", hint='a level is a number: 1 = "what it stands for"') from None
    if len(set(grades)) < max(2, len(grades)) or not all(abs(grade) < 1e6 for grade in grades):
        raise UsageError(f"{where}: levels: two or more different numbers are needed, not {', '.join(rubric.levels) or 'none'}")
    if rubric.reason == "level" or not re.fullmatch(r"[A-Za-z_]\w{0,40}", rubric.reason):
        raise UsageError(f"{where}: reason = {rubric.reason!r} names no field of its own", hint='reason = "why"')
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", rubric.name):
        raise UsageError(f"{where}: name = {rubric.name!r}", hint="lower-case letters, digits and hyphens")
