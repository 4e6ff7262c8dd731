"""Decoding pictures, late: every pixel path is Pillow and numpy, so results do not depend on what else is installed."""

from __future__ import annotations

from medbench.images.ahead import decode_ahead
from medbench.images.decoding import MAX_PIXELS, PRESETS, decode

__all__ = ["MAX_PIXELS", "PRESETS", "decode", "decode_ahead"]
