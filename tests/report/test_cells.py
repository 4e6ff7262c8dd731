"""How numbers are written: rounding, marks, arrows, and what a marked value leaves out."""

from __future__ import annotations

import doctest
import math

import pytest

from medbench.record import Score
from medbench.report import cells


def _score(**given) -> Score:
    return Score(**{"metric": "m", "name": "overall", "value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "n_groups": 30, **given})


def test_doctests_hold():
    assert doctest.testmod(cells).failed == 0


def test_rates_are_per_cent_and_other_units_are_not():
    assert cells.number(0.12345, "fraction") == "12.3"
    assert cells.number(0.12345, "score") == "0.123"
    assert cells.number(1234.0, "count") == "1,234"
    assert cells.number(0.0, "fraction", signed=True) == "+0.0"


@pytest.mark.parametrize(
    ("given", "value", "coverage"),
    [
        ({}, "50.0", "10/10"),
        ({"n_failed": 2}, "50.0*", "10/12"),
        ({"n_unscored": 5}, "50.0*", "10/15"),
        ({"value": None, "n": 0, "n_failed": 3}, "–", "0/3"),
    ],
)
def test_a_value_is_marked_where_samples_are_missing(given, value, coverage):
    assert cells.value_cell(_score(**given)) == value
    assert cells.coverage_cell(_score(**given)) == coverage


def test_the_mark_is_explained_with_the_worst_case():
    assert cells.failure_note(_score()) == ""
    assert cells.failure_note(_score(n_failed=2, worst_case=0.41)) == "* 2 failed (overall would be 41.0 at worst), not in the value"
    assert cells.failure_note(_score(n_failed=1, n_unscored=3)) == "* 1 failed and 3 unscored, not in the value"


def test_intervals_say_when_they_are_rough_or_why_there_is_none():
    assert cells.interval_cell(_score()) == "[40.0, 60.0]"
    assert cells.interval_cell(_score(note="rough interval: only 9 groups")) == "[40.0, 60.0] †"
    assert cells.interval_cell(_score(low=None, high=None, note="no interval: fewer than 2 groups")) == "fewer than 2 groups"


def test_what_stands_beside_a_value_is_neither_why_it_is_rough_nor_why_it_is_absent():
    assert cells.beside(_score()) == cells.beside(_score(note="rough interval: only 9 groups")) == ""
    assert cells.beside(_score(note="a floor of 3; few pictures")) == "a floor of 3; few pictures"
    assert cells.beside(_score(note="rough interval: only 9 groups; a floor of 3")) == "a floor of 3"
    absent = _score(low=None, high=None, note="no interval: too few pictures; a floor of 3; more")
    assert cells.interval_cell(absent) == "too few pictures"
    assert cells.beside(absent) == "a floor of 3; more"


def test_small_numbers_show_two_digits():
    assert [cells.number(value, "score") for value in (0.0, 0.01, 0.0099, 0.00012, 0.0000004)] == [
        "0.000",
        "0.010",
        "0.0099",
        "0.00012",
        "0.000",
    ]
    assert cells.interval(-0.0001, 2.0, "score") == "[−0.00010, 2.000]"


def test_empty_answers_are_a_rate_of_the_scored():
    assert cells.empty_cell(_score(n=8, n_empty=2)) == "25.0"
    assert cells.empty_cell(_score(n=0)) == "–"


def test_direction_is_never_a_guess():
    assert cells.label(_score(higher_is_better=False), {"overall": "FID"}) == "FID ↓"
    assert cells.label(_score(name="type:PRES"), {}) == "type PRES"


def test_resolution_comes_from_the_first_interval_of_the_whole():
    subgroup, whole = _score(subgroup={"sex": "F"}, low=0.0, high=1.0), _score()
    said = cells.resolution([subgroup, whole])
    error = 0.2 / (2 * 1.959963984540054)
    least = (2.045229642132703 + 0.8541920018186034) * math.sqrt(2) * error  # Student's t at .975 and .8 with 29 degrees of freedom
    assert said.startswith(f"resolves about {100 * least:.1f} points of overall")
    assert cells.resolution([_score(low=None, high=None)]) == ""
