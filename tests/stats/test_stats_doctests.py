"""Every example in the docstrings of the statistics gives the numbers it shows."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import medbench.stats

MODULES = sorted(module.name for module in pkgutil.iter_modules(medbench.stats.__path__, "medbench.stats."))


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_the_numbers_they_show(name):
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name):
    module = importlib.import_module(name)
    functions = [f for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == name and not n.startswith("_")]
    assert [f.__name__ for f in functions if ">>>" not in (f.__doc__ or "")] == []
