"""Draws do not depend on how they are served, and percentile intervals on what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.stats.bootstrap import draws, group_index, percentile_interval, replicate


@given(st.integers(1, 30), st.integers(0, 40), st.integers(0, 2**32), st.integers(1, 50), st.integers(1, 50))
@settings(deadline=None, max_examples=60, derandomize=True)
def test_a_resample_is_the_same_whatever_the_block(groups, resamples, seed, block, other):
    first, second = (np.vstack([np.empty((0, groups)), *draws(groups, resamples, seed, size)]) for size in (block, other))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (resamples, groups)
    assert (first.sum(axis=1) == groups).all()


def test_more_resamples_begin_with_the_same_ones():
    few, many = next(draws(7, 3, 5, 100)), next(draws(7, 50, 5, 100))
    np.testing.assert_array_equal(few, many[:3])


def test_blocks_are_no_larger_than_asked():
    assert [len(counts) for counts in draws(4, 10, 0, 4)] == [4, 4, 2]


def test_another_seed_gives_other_draws():
    assert (next(draws(50, 1, 0, 1)) != next(draws(50, 1, 1, 1))).any()


def test_each_group_is_drawn_as_often_as_another():
    counts = np.vstack(list(draws(10, 5000, 0, 500)))
    assert counts.mean(axis=0) == pytest.approx(np.ones(10), abs=0.06)
    assert counts.var() == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize(("groups", "block"), [(0, 1), (3, 0)])
def test_nothing_to_draw_from_is_refused(groups, block):
    with pytest.raises(ValueError, match="there must be"):
        next(draws(groups, 10, 0, block))


def test_rows_find_their_groups_weight():
    counts = next(draws(3, 2, 0, 2))
    index = group_index(["c", "a", "c"], ["a", "b", "c"])
    np.testing.assert_array_equal(counts[:, index], counts[:, [2, 0, 2]])


def test_a_row_of_no_known_group_is_an_error():
    with pytest.raises(KeyError):
        group_index(["x"], ["a"])


def test_interval_drops_what_is_undefined():
    values = np.r_[np.arange(101.0), [np.nan] * 50]
    assert percentile_interval(values, 0.9) == pytest.approx((5.0, 95.0))


@pytest.mark.parametrize("values", [[], [1.0], [np.nan] * 5, [1.0, 2.0, np.nan, np.nan, np.nan]])
def test_no_interval_from_too_little(values):
    assert percentile_interval(np.array(values)) is None


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(ValueError, match="level"):
        percentile_interval(np.arange(5.0), level)


def test_replicates_weigh_whole_groups():
    values, index = np.array([1.0, 10.0, 100.0, 1000.0]), np.array([0, 0, 1, 2])
    expected = np.vstack(list(draws(3, 40, 9, 7))) @ np.array([11.0, 100.0, 1000.0])
    np.testing.assert_array_equal(replicate(lambda w: w @ values, index, resamples=40, seed=9, block=3), expected)
