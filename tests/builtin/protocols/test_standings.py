"""Ranks by blocks against ranks counted one by one, whatever the ties, the duplicates and the sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.builtin.protocols import standings as module
from medbench.builtin.protocols.embedding import unit
from medbench.builtin.protocols.standings import TIE, nearest, standings


def one_by_one(queries, candidates, own, codes):
    """Count in float64: ranks of the best right candidate and of the own partner."""
    ranks, stricts = [], []
    for query, mine in zip(queries.astype(np.float64), own, strict=True):
        cosines = candidates.astype(np.float64) @ query
        right = codes == codes[mine]
        ranks.append(1 + int((cosines[~right] >= cosines[right].max() - TIE).sum()))
        others = np.arange(len(cosines)) != mine
        stricts.append(1 + int((cosines[others] >= cosines[mine] - TIE).sum()))
    return ranks, stricts


@st.composite
def pools(draw):
    """Vectors of few whole numbers (so that ties are exact and frequent, zero vectors among them), partners and codes."""
    n, dim = draw(st.integers(1, 20)), draw(st.integers(1, 3))
    numbers = st.lists(st.lists(st.integers(-2, 2), min_size=dim, max_size=dim), min_size=n, max_size=n)
    queries, candidates = (unit(np.array(draw(numbers), dtype=np.float32)) for _ in range(2))
    codes = np.array(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
    own = np.array(draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n)))
    return queries, candidates, own, codes


@given(pools(), st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_ranks_are_those_counted_one_by_one_in_blocks_of_any_size(pool, cells):
    queries, candidates, own, codes = pool
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_CELLS", cells)
        found = standings(queries, candidates, own, codes, 3)
    ranks, stricts = one_by_one(queries, candidates, own, codes)
    assert found.rank.tolist() == ranks
    assert found.strict.tolist() == stricts
    assert (found.strict >= found.rank).all()
    assert found.top.shape == (len(queries), min(3, len(candidates)))


def test_a_model_that_tells_nothing_apart_is_last():
    vectors = unit(np.ones((200, 7), dtype=np.float32))
    found = standings(vectors, vectors, np.arange(200), np.arange(200), 4)
    assert set(found.rank.tolist()) == {200}


def test_a_perfect_model_is_first():
    vectors = unit(np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32))
    found = standings(vectors, vectors, np.arange(300), np.arange(300), 1)
    assert set(found.rank.tolist()) == {1}
    assert found.top[:, 0].tolist() == list(range(300))


def test_nobody_asks():
    nobody = np.empty((0, 4), dtype=np.float32)
    found = standings(nobody, np.eye(4, dtype=np.float32), np.empty(0, np.int64), np.arange(4), 2)
    assert (found.rank.shape, found.strict.shape, found.top.shape) == ((0,), (0,), (0, 2))


@pytest.mark.parametrize(("width", "count"), [(1, 1), (63, 5), (64, 1), (500, 3), (1000, 7), (1023, 4)])
def test_the_nearest_are_those_of_a_full_sort(width, count):
    similar = np.random.default_rng(width).normal(size=(9, width)).astype(np.float32)
    expected = np.argsort(-similar, axis=1, kind="stable")[:, :count]
    assert nearest(similar, count).tolist() == expected.tolist()


def test_of_equally_near_ones_the_first_are_named_where_rows_are_short():
    assert nearest(np.zeros((1, 10), dtype=np.float32), 3).tolist() == [[0, 1, 2]]
