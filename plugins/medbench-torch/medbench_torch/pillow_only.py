"""transformers kept away from torchvision, so that pixels, import time and breakage do not depend on an unrelated package."""

from __future__ import annotations

import importlib
import sys


def settle() -> None:
    """Let transformers find no torchvision in this process; whoever else needs torchvision can still import it.

    With torchvision installed transformers imports it, and takes its image processors: other pixels, and where the two come
    from different builds ("operator torchvision::nms does not exist") no model can be imported at all. transformers looks
    once and remembers, so it is made to look while torchvision is out of sight. Without effect where it has looked before.
    """
    if "torchvision" in sys.modules:
        return
    sys.modules["torchvision"] = None  # type: ignore[assignment] # for the import system: no such module
    try:
        importlib.import_module("transformers.utils.import_utils").is_torchvision_available()
    finally:
        del sys.modules["torchvision"]
