"""How large a BioViL-T is: as published, and the tiny preset."""

from __future__ import annotations

from medbench.errors import UsageError
from medbench.types import Struct


class Sizes(Struct):
    """Everything that the shape of the image network depends on, and the pixels it takes."""

    layers: tuple[int, ...] = (3, 4, 6, 3)
    """Bottlenecks of each part of the ResNet: those of a ResNet-50."""
    width: int = 64
    """Filters of its first convolution."""
    classes: int = 1000
    """Of the unused classifier that the published file holds."""
    dim: int = 256
    """Dimensions of a patch, and of the transformer over current and prior patches."""
    heads: int = 8
    blocks: int = 3
    joint: int = 128
    """Dimensions of the common space."""
    resize: int = 512
    """Pixels of the shorter side, before the centre is cut out."""
    crop: int = 448
    """Pixels along a side of what the network sees."""

    @property
    def grid(self) -> int:
        """Return the patches along a side."""
        return self.crop // 32


PUBLISHED = Sizes()
PRESETS = {"tiny": Sizes(layers=(1, 1, 1, 1), width=8, classes=10, dim=32, heads=4, joint=16, resize=146, crop=128)}
"""`tiny` has every part of the published network, at a hundredth of its numbers."""


def check_preset(name: str) -> None:
    """Refuse a preset that does not exist.

    Raises:
        UsageError: there is none of that name.
    """
    if name and name not in PRESETS:
        raise UsageError(f"preset={name}: not known", hint=f"one of {', '.join(PRESETS)}, or weights=FOLDER")
