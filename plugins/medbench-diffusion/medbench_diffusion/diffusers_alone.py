"""diffusers imported in silence, and while torchvision is out of sight: it would load that for models that nobody asked for."""

from __future__ import annotations

import sys

from medbench_torch.loading import quiet

_HIDDEN = sys.modules.get("torchvision")
sys.modules["torchvision"] = None  # type: ignore[assignment] # for the import system: no such module
try:
    with quiet():
        import diffusers

        # imported when they are first named, and then they tell what they would rather have
        PIPELINES = (diffusers.StableDiffusionPipeline, diffusers.KandinskyV22CombinedPipeline)
finally:
    del sys.modules["torchvision"]
    if _HIDDEN is not None:
        sys.modules["torchvision"] = _HIDDEN
