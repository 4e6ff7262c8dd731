"""Tiny models of the true classes with random weights: the whole way of a real one, in seconds and without a download."""

from __future__ import annotations

from pathlib import Path

from medbench.errors import UsageError
from medbench.types import Struct

PRESETS = ("tiny",)


class Tiny(Struct):
    """What a tiny model of a family is made of."""

    vision: str = "clip"
    text: str = "llama"
    adapter: bool = False
    """It comes with an adapter, as the original code would save it, so that conversion and checks are gone through."""


def check_preset(name: str) -> None:
    """Refuse a preset that does not exist.

    Raises:
        UsageError: there is none of that name.
    """
    if name and name not in PRESETS:
        raise UsageError(f"preset={name}: not known", hint=f"one of {', '.join(PRESETS)}, or weights=FOLDER")


def build_tiny(folder: Path, kind: Tiny) -> tuple[Path, Path | None]:
    """Write a tiny model below a folder, and return its weights folder and its adapter's, if it has one; same bytes each time."""
    from medbench_torch import dialects
    from medbench_torch.tiny.llava import build_llava, build_lora

    base = build_llava(folder / "base", vision=kind.vision, text=kind.text)
    if not kind.adapter:
        return base, None
    return base, build_lora(base, folder / "adapter", dialect=dialects.LLAVA, projector=True)
