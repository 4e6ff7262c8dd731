"""Sample conditions: the same samples with true, blank or shuffled images, to see whether a model looks at the picture."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from medbench.errors import UsageError
from medbench.identity import hash_order
from medbench.types import Image, Sample


def under_condition(samples: Sequence[Sample], condition: str, seed: int) -> list[Sample]:
    """Return the samples as a condition shows them; ids, prompts and references stay.

    `blank` shows an all-grey picture of the same size; `shuffled` shows the pictures of another group, drawn over the whole
    split, so that nobody keeps their own.

    Raises:
        UsageError: pictures are to be shuffled among fewer than two groups.
    """
    if condition == "blank":
        return [msgspec.structs.replace(sample, images=tuple(_blank(image) for image in sample.images)) for sample in samples]
    if condition == "shuffled":
        lent = _lenders(samples, seed)
        return [msgspec.structs.replace(sample, images=lent[sample.group] if sample.images else ()) for sample in samples]
    return list(samples)


def _blank(image: Image) -> Image:
    return msgspec.structs.replace(image, preset="blank")


def _lenders(samples: Sequence[Sample], seed: int) -> dict[str, tuple[Image, ...]]:
    """Return group -> the images of the next group in a fixed shuffle of all groups."""
    images: dict[str, tuple[Image, ...]] = {}
    for sample in samples:
        if sample.images:
            images.setdefault(sample.group, sample.images)
    if len(images) < 2:
        raise UsageError(f"images=shuffled: {len(images)} group with pictures has nobody to exchange them with", hint="take more samples")
    order = [name.partition("\0")[2] for name in hash_order(f"{seed}\0{group}" for group in images)]
    lent = {group: images[order[(at + 1) % len(order)]] for at, group in enumerate(order)}
    return {sample.group: lent.get(sample.group, ()) for sample in samples}
