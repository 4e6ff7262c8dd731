"""How large a clip-roco is: as published where the report says it, as chosen here where it is open; and the tiny preset."""

from __future__ import annotations

from medbench.errors import UsageError
from medbench.types import Struct


class Sizes(Struct):
    """Everything that a network's shape depends on.

    The report states 128-d, 4 heads, 5 convolution and 5 transformer blocks, pictures of 128 x 128 in RGB, a flattened last
    feature map. Filters, kernel, normalisation, the projection, feed-forward width, vocabulary and length are chosen here.
    """

    side: int = 128
    """Pixels along a side; the aspect is not kept."""
    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Filters of each block: one convolution and one max pooling that halves the picture."""
    kernel: int = 3
    norm: bool = True
    """Batch normalisation between convolution and ReLU."""
    width: int = 128
    """Dimensions of tokens, of the transformer and of the common space."""
    heads: int = 4
    blocks: int = 5
    """Transformer blocks."""
    inner: int = 512
    """Width of their feed-forward layers."""
    dropout: float = 0.1
    vocabulary: int = 30_522
    """Tokens at most."""
    length: int = 77
    """Tokens of a text; what is beyond is cut."""

    def __post_init__(self) -> None:
        """Refuse a network that cannot be."""
        if self.side % 2 ** len(self.channels):
            raise ValueError(f"side = {self.side}: not divisible by 2 as often as there are blocks ({len(self.channels)})")
        if self.width % self.heads:
            raise ValueError(f"width = {self.width}: not divisible by {self.heads} heads")


PRESETS = {"tiny": Sizes(side=64, channels=(16, 32, 48, 64, 96), width=64, inner=128, vocabulary=600)}
"""`tiny` learns a twin in a minute or two of one core."""


def sizes_of(preset: str) -> Sizes:
    """Return the sizes of a preset; the published ones where none is named.

    Raises:
        UsageError: there is no preset of that name.
    """
    if preset and preset not in PRESETS:
        raise UsageError(f"preset={preset}: not known", hint=f"one of {', '.join(PRESETS)}, or leave it out for the published sizes")
    return PRESETS.get(preset) or Sizes()
