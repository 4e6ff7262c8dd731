"""Ready configurations of `accelerate launch` for fine-tuning on several devices."""

from __future__ import annotations

from pathlib import Path

from medbench.errors import UsageError, suggestion

FOLDER = Path(__file__).parent


def configurations() -> dict[str, Path]:
    """Return the configurations by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def configuration(name: str) -> Path:
    """Return the file of a configuration.

    Raises:
        UsageError: there is none of that name.
    """
    known = configurations()
    if name not in known:
        raise UsageError(f"{name}: no such configuration", hint=suggestion(name, known))
    return known[name]
