"""Features of recent images, so that a picture asked about several times goes through the vision tower once."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch

from medbench.types import Image

Key = tuple[str, str]
"""Digest of the image's bytes and its decode preset."""

ACCELERATOR_BYTES = 2 << 30
CPU_BYTES = 256 << 20


def key_of(image: Image) -> Key:
    """Return under what the features of an image are kept; an image that was never indexed goes by its path."""
    return image.digest or f"path:{image.path}", image.preset


class FeatureCache:
    """The most recently used features, up to a limit in bytes.

    They are kept before the projector: smaller there (1024 wide against 4096 for LLaVA-1.5), and untouched by an adapter.

    Args:
        limit_bytes: What all features together may take, on whatever device they are; 0 keeps nothing.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._kept: OrderedDict[Key, Any] = OrderedDict()

    @classmethod
    def on(cls, device: torch.device) -> FeatureCache:
        """Return a cache with the room that suits a device."""
        return cls(CPU_BYTES if device.type == "cpu" else ACCELERATOR_BYTES)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Any | None:
        """Return features, and count them as just used; None: they are not here."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: Key, features: Any) -> None:
        """Keep features; the longest unused ones make room."""
        size = size_of(features)
        if size > self.limit_bytes:
            return
        if key in self._kept:
            self.held_bytes -= size_of(self._kept.pop(key))
        self._kept[key] = features
        self.held_bytes += size
        while self.held_bytes > self.limit_bytes:
            _, gone = self._kept.popitem(last=False)
            self.held_bytes -= size_of(gone)

    def clear(self) -> None:
        """Forget everything: the memory is needed elsewhere."""
        self._kept.clear()
        self.held_bytes = 0


def size_of(features: Any) -> int:
    """Return the bytes of a tensor, of the tensors of a tuple or dict, or of a decoded picture."""
    if isinstance(features, torch.Tensor):
        return features.element_size() * features.nelement()
    if isinstance(features, dict):
        return sum(map(size_of, features.values()))
    if isinstance(features, (tuple, list)):
        return sum(map(size_of, features))
    width, height = getattr(features, "size", (0, 0))
    return int(3 * width * height)
