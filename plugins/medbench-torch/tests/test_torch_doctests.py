from __future__ import annotations

import doctest

import pytest
from medbench_torch import dialects, weights
from medbench_torch.fit import cards


@pytest.mark.parametrize("module", [cards, dialects, weights])
def test_the_examples_in_docstrings_hold(module):
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0
