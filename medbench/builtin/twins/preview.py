"""A page with pictures of a dataset and what it says of them, for a look at what a twin holds."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from medbench.builtin.twins.sheet import contact_sheet
from medbench.errors import UsageError
from medbench.files import write_whole
from medbench.identity import hash_order
from medbench.images import decode_ahead
from medbench.types import Image, Sample

PICTURES = 24
COLUMNS = 6
CAPTION = 150
"""Longest caption in characters."""


def write_preview(reader: Any, root: Path, split: str, out: Path, params: Mapping[str, Any] | None = None) -> int:
    """Draw the first image of some samples, in hash order of their ids and no image twice; return how many.

    Args:
        reader: The dataset's reader.
        root: Its folder.
        split: The split whose samples are shown.
        out: The PNG to write.
        params: The reader's parameters.

    Raises:
        UsageError: the split holds no picture that can be decoded.
    """
    samples = {sample.id: sample for sample in reader.read(root, split, params or {}) if sample.images}
    shown: dict[str, Sample] = {}
    for name in hash_order(samples):
        shown.setdefault(samples[name].images[0].path, samples[name])
        if len(shown) == PICTURES:
            break
    images = [_placed(sample.images[0], root) for sample in shown.values()]
    pictures = zip(decode_ahead(images), shown.values(), strict=True)
    kept = [(picture, caption_of(sample)) for picture, sample in pictures if not isinstance(picture, Exception)]
    if not kept:
        raise UsageError(f"{root}: no picture of the {split} split can be shown", hint="is the folder whole?")
    page = contact_sheet([picture for picture, _ in kept], COLUMNS, [caption for _, caption in kept])
    write_whole(out, _png(page))
    return len(kept)


def caption_of(sample: Sample) -> str:
    """Return what a sample says of its image, in one line.

    >>> caption_of(Sample(id="a", group="a", split="test", prompt="Is it round?", references=("yes",), labels={"nodule": 1.0}))
    'Is it round? yes [nodule]'
    """
    tags = [name for name, value in sample.labels.items() if value == 1.0] + [box.label for box in sample.boxes]
    shown = ", ".join(name for name in dict.fromkeys(tags) if name not in sample.references)
    said = [sample.prompt, *sample.references[:1], f"[{shown}]" if shown else ""]
    text = " ".join(" ".join(filter(None, said)).split())
    return text if len(text) <= CAPTION else f"{text[: CAPTION - 3]}..."


def _placed(image: Image, root: Path) -> Image:
    return msgspec.structs.replace(image, path=str(root / image.path))


def _png(page: Any) -> bytes:
    buffer = io.BytesIO()
    page.save(buffer, format="PNG")
    return buffer.getvalue()
