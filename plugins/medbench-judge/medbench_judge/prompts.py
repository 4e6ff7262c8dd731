"""Prompts that are no scale: error counts and preferences. Files of this package, versioned and hashed like rubrics."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import msgspec

from medbench.identity import digest
from medbench.types import Generate, Struct
from medbench_judge.quoting import MAX_CHARS, quote

_PLACE = re.compile(r"\{(question|reference|candidate|first|second)\}")


class Prompt(Struct):
    """Words put to a judge, with places for texts, and the form of its reply."""

    name: str
    prompt: str
    max_new_tokens: int
    version: int = 1

    @property
    def full_name(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def hash(self) -> str:
        """Digest of the words: 16 hex digits."""
        return digest(self.prompt)[:16]

    @property
    def head(self) -> str:
        """The beginning of every prompt, up to the first text of a sample."""
        first = _PLACE.search(self.prompt)
        return self.prompt[: first.start() if first else 0]

    def ask(self, texts: Mapping[str, str], *, schema: str, max_chars: int = MAX_CHARS, **fields: Any) -> Generate:
        """Return the request for these texts, each quoted, filled in one pass so that a text that names a place is not filled again."""
        prompt = _PLACE.sub(lambda match: quote(texts[match[1]], match[1].upper(), max_chars), self.prompt)
        return Generate(prompt=prompt, schema=schema, max_new_tokens=self.max_new_tokens, **fields)


def shipped(name: str) -> Prompt:
    """Return a prompt of this package."""
    content = (files("medbench_judge") / "rubrics" / f"{name}.toml").read_text(encoding="utf-8")
    prompt = msgspec.convert(tomllib.loads(content), Prompt)
    return msgspec.structs.replace(prompt, prompt=prompt.prompt.strip())
