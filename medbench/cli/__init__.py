"""The command line: parse, call one function of the core, render. Nothing heavy is imported before it is needed."""

from __future__ import annotations

from medbench.cli.main import main

__all__ = ["main"]
