"""The examples in the docstrings of the core are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

CORE = ["cards", "converting", "errors", "files", "identity", "roots", "testing.models", "types"]
ENCODERS = [f"builtin.protocols.{name}" for name in ("choice", "embedding", "prompts", "shots", "standings")]
MEASURES = [f"builtin.metrics.{name}" for name in ("heat_cells", "rankings")]


@pytest.mark.parametrize("name", [*CORE, *ENCODERS, *MEASURES])
def test_examples(name):
    module = importlib.import_module(f"medbench.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
