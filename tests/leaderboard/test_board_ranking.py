"""Ranks from replicates: intervals, paired, adjusted for the number of pairs; against a normal model where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.leaderboard.ranking import pair_p_values, rank_intervals
from medbench.stats.paired import contrast


def _systems(values, noise, shared=0.05, count=10_000, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(0, shared, count)
    points = np.array(values, dtype=float)
    return points, np.stack([value + common + rng.normal(0, noise, count) for value in values])


def _spans(points, replicates, direction=1.0):
    return [(rank.first, rank.last) for rank in rank_intervals(points, replicates, direction)]


def test_systems_far_apart_have_ranks_of_their_own_and_close_ones_share_theirs():
    points, replicates = _systems([0.9, 0.7, 0.699, 0.3], noise=0.005)
    assert _spans(points, replicates) == [(1, 1), (2, 3), (2, 3), (4, 4)]


def test_where_less_is_better_the_order_turns():
    points, replicates = _systems([0.9, 0.3], noise=0.005)
    assert _spans(points, replicates, -1.0) == [(2, 2), (1, 1)]


def test_noise_that_systems_share_does_not_keep_them_from_being_told_apart():
    points, replicates = _systems([0.62, 0.60], noise=0.003, shared=0.05)
    assert _spans(points, replicates) == [(1, 1), (2, 2)]
    unpaired = np.stack([replicates[0], np.random.default_rng(9).permutation(replicates[1])])
    assert _spans(points, unpaired) == [(1, 2), (1, 2)]


def test_not_separable_is_not_transitive_and_no_groups_are_made_of_it():
    points, replicates = _systems([0.54, 0.52, 0.50], noise=0.0095, shared=0.05)
    assert _spans(points, replicates) == [(1, 2), (1, 3), (2, 3)]


def test_two_entries_that_are_one_share_a_rank():
    points, replicates = _systems([0.5], noise=0.01)
    assert _spans(np.array([0.5, 0.5]), np.vstack([replicates, replicates])) == [(1, 2), (1, 2)]
    assert _spans(points, replicates) == [(1, 1)]


def test_among_many_systems_the_best_one_still_gets_a_rank_of_its_own():
    points, replicates = _systems([0.9] + [0.5] * 59, noise=0.01)
    spans = _spans(points, replicates)
    assert spans[0] == (1, 1)
    assert spans[1:] == [(2, 60)] * 59


def test_a_resample_that_is_undefined_for_one_is_left_out_for_all():
    points, replicates = _systems([0.9, 0.3], noise=0.005)
    replicates[0, ::3] = np.nan
    assert _spans(points, replicates) == [(1, 1), (2, 2)]
    replicates[0] = np.nan
    assert _spans(points, replicates) == [(1, 2), (1, 2)]


def test_the_family_of_tests_keeps_its_level_when_nobody_is_better():
    found = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = rng.normal(0, 0.02, 6)
        replicates = truth[:, None] + rng.normal(0, 0.02, (6, 2_000))
        found += any(span != (1, 6) for span in _spans(truth, replicates))
    assert found / 200 <= 0.09  # 0.05 and three standard errors of a share of 200


@pytest.mark.parametrize("gap", [0.004, 0.008, 0.012])
def test_p_values_agree_with_counting_replicates_where_those_resolve_them(gap):
    points, replicates = _systems([0.5 + gap, 0.5], noise=0.004)
    counted = contrast(tuple(points), tuple(replicates)).p
    assert pair_p_values(points, replicates)[0, 1] == pytest.approx(counted, abs=0.012)
