"""Prompts by a model's own chat template: what its tokenizer or processor says a user's turn with pictures looks like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medbench.errors import UsageError
from medbench.types import Generate
from medbench_llava.templates import IMAGE, rendered

BARE = "{images}{prompt}"


class ChatPrompt:
    """Renders requests by a chat template, or by a template that the user gives instead.

    Args:
        tokenizer: Whose chat template is used.
        folder: The weights folder; older ones keep the template in `chat_template.json`.
        template: Text with `{images}` and `{prompt}`; empty: the chat template.
        place: What the model's own prompts have where a picture stands.

    Raises:
        UsageError: there is no chat template, and none is given.
    """

    def __init__(self, tokenizer: Any, folder: Path, template: str, place: str) -> None:
        self._tokenizer = tokenizer
        self._template = template
        self._place = place
        self._chat = "" if template else chat_template(tokenizer, folder)
        if not template and not self._chat:
            raise UsageError(f"{folder}: no chat template in it", hint="--model-option template='…{images}{prompt}…' says how it is asked")

    def __call__(self, request: Generate) -> str:
        """Return the prompt's text, one place for each picture, the turn of the model begun.

        Raises:
            InputError: the prompt has places for another number of pictures than the request has.
        """
        if self._template:
            return rendered(self._template, request).replace(IMAGE, self._place)
        parts = rendered(BARE, request).split(IMAGE)
        content: list[dict[str, str]] = []
        for number, part in enumerate(parts):
            if number:
                content.append({"type": "image"})
            if part.strip():
                content.append({"type": "text", "text": part.strip()})
        turns = [{"role": "user", "content": content}]
        text: str = self._tokenizer.apply_chat_template(turns, chat_template=self._chat, add_generation_prompt=True, tokenize=False)
        return text

    def ids(self, text: str) -> list[int]:
        """Return a rendered prompt as tokens; one that begins with the first token itself gets no other."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=not self.starts_itself(text))["input_ids"]
        return ids

    def starts_itself(self, text: str) -> bool:
        """Say whether a rendered prompt has its special tokens already."""
        return bool(self._tokenizer.bos_token) and text.startswith(self._tokenizer.bos_token)


def chat_template(tokenizer: Any, folder: Path) -> str:
    """Return the chat template of a weights folder; empty: it has none."""
    own = tokenizer.chat_template
    if isinstance(own, dict):
        own = own.get("default")
    if own:
        return str(own)
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    file = folder / "chat_template.json"
    return str(json.loads(file.read_text(encoding="utf-8")).get("chat_template", "")) if file.is_file() else ""
