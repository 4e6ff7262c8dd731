"""The examples in the docstrings give what they say."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import medbench_judge
import pytest

MODULES = [module.name for module in pkgutil.iter_modules(medbench_judge.__path__, "medbench_judge.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(import_module(name)).failed == 0
