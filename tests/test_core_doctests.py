"""The examples in the docstrings of the core are true."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["errors", "types", "identity", "files", "roots", "testing.models"])
def test_examples(name):
    module = importlib.import_module(f"medbench.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
