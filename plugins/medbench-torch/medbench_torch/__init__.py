"""What the torch plugins of medbench share; each module is imported by itself, since most of them import torch."""

from __future__ import annotations

from medbench_torch.pillow_only import settle

settle()
