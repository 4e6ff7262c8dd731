from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def line():
    """The little trainable, which is also a script."""
    path = Path(__file__).with_name("line_fit.py")
    spec = importlib.util.spec_from_file_location("line_fit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
