"""Draws of train samples: stratified, as large as asked for, and the same for every model."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.builtin.protocols.shots import are_exclusive, draw, known_labels, strata, truth_of, wanted_shots
from medbench.errors import DataError
from medbench.types import Sample


def people(n):
    return [Sample(id=f"p{i}", group=f"g{i}", split="train") for i in range(n)]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
@settings(max_examples=200, deadline=None)
def test_a_draw_is_as_large_as_asked_and_keeps_the_proportions(classes, data):
    count = data.draw(st.integers(1, len(classes)))
    stratum = np.array(classes)
    chosen = draw(people(len(classes)), stratum, count, "0-0")
    assert len(set(chosen.tolist())) == len(chosen) == count
    assert chosen.tolist() == sorted(chosen.tolist())
    drawn, there = Counter(stratum[chosen].tolist()), Counter(classes)
    assert all(drawn[one] <= there[one] for one in there)
    if count >= len(there):
        assert set(drawn) == set(there)
    if count >= 2 * len(there):
        # nobody is further from its share than the ones that were given to the rare ones
        assert all(abs(drawn[one] - count * there[one] / len(classes)) <= len(there) for one in there)


def test_a_draw_follows_from_seed_and_ids_alone():
    everyone, stratum = people(50), np.arange(50) % 2
    first = {everyone[i].id for i in draw(everyone, stratum, 20, "0-1")}
    assert first == {everyone[::-1][i].id for i in draw(everyone[::-1], stratum[::-1], 20, "0-1")}
    assert first != {everyone[i].id for i in draw(everyone, stratum, 20, "0-2")}


def test_larger_draws_hold_the_smaller_ones_where_shares_are_whole():
    everyone, stratum = people(80), np.arange(80) % 2
    sizes = [set(draw(everyone, stratum, count, "0-0").tolist()) for count in (10, 20, 40, 80)]
    assert all(small < large for small, large in itertools.pairwise(sizes))


def test_more_than_there_are_is_refused():
    with pytest.raises(DataError, match="4 examples are asked for, and 3 are there"):
        draw(people(3), np.zeros(3), 4, "0")


def test_the_stratum_of_a_sample_is_its_rarest_label():
    truth = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 0, 1], [0, 0, 0], [np.nan, 0, 0]])
    assert strata(truth).tolist() == [0, 1, 2, 2, -1, -1]


def test_classes_exclude_each_other_where_each_sample_has_exactly_one():
    assert are_exclusive(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert not are_exclusive(np.array([[1.0, 0.0], [0.0, 0.0]]))
    assert not are_exclusive(np.array([[1.0, 0.0], [np.nan, 1.0]]))
    assert not are_exclusive(np.array([[1.0], [1.0]]))


def test_truth_is_masked_where_it_is_not_known():
    samples = [Sample(id="a", group="a", split="train", labels={"x": 1.0, "y": None}), Sample(id="b", group="b", split="train")]
    truth = truth_of(samples, ("x", "y", "z"))
    assert np.array_equal(truth, [[1, np.nan, np.nan], [np.nan] * 3], equal_nan=True)
    assert known_labels(truth, ("x", "y", "z")) == ("x",)


@pytest.mark.parametrize("wrong", ["", "0", "ten", "-5", "1.5", ("all", "some"), ()])
def test_numbers_of_shots_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="shots"):
        wanted_shots(wrong)


def test_numbers_of_shots_are_sorted_and_unique():
    assert wanted_shots(" 50, all,10 ,50") == [10, 50, "all"]
