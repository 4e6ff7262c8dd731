"""medbench: benchmarks multimodal medical models and turns the results into leaderboards that people can trust."""

from __future__ import annotations

from typing import Any

_LAZY = {"RunRecord": "record", "Score": "record", "fit": "api", "load_run": "api", "run": "api", "score": "api"}

__all__ = ["RunRecord", "Score", "__version__", "fit", "load_run", "run", "score"]


def __getattr__(name: str) -> Any:
    """Import on first use: `import medbench` costs nothing."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("medbench")
    if name in _LAZY:
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(f"medbench.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'medbench' has no attribute {name!r}")
