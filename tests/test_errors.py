"""Errors: one line of what is wrong, one of what to do, and an exit status."""

from __future__ import annotations

import pytest

from medbench import errors
from medbench.errors import (
    DataError,
    FoundError,
    MedbenchError,
    PlanError,
    PluginError,
    Problem,
    QuotaExhausted,
    StorageError,
    UsageError,
    nearest,
    suggestion,
)


@pytest.mark.parametrize("kind", [UsageError, DataError, PluginError, StorageError, QuotaExhausted])
def test_each_has_a_message_a_hint_and_a_status(kind):
    error = kind("what is wrong", hint="what to do")
    assert (str(error), error.message, error.hint, error.exit_code) == ("what is wrong", "what is wrong", "what to do", 2)
    assert isinstance(error, MedbenchError)
    assert kind("alone").hint == ""


def test_what_was_found_has_its_own_status():
    assert FoundError("stale").exit_code == 4


@pytest.mark.parametrize(("count", "said"), [(1, "1 problem)"), (3, "3 problems)")])
def test_a_plan_that_cannot_run_holds_every_reason(count, said):
    problems = [Problem(f"p{n}", "h") for n in range(count)]
    error = PlanError(problem for problem in problems)
    assert error.problems == tuple(problems)
    assert said in str(error)


def test_problems_are_equal_by_what_they_say():
    assert Problem("a", "b") == Problem("a", "b") != Problem("a")
    assert len({Problem("a", "b"), Problem("a", "b"), Problem("a")}) == 2
    assert Problem("a", "b") != "a"
    assert repr(Problem("a", "b")) == "Problem('a', 'b')"


def test_failures_of_a_model_are_no_messages_to_a_person():
    for kind in (errors.InputError, errors.TransientError, errors.OutOfMemory):
        assert not issubclass(kind, MedbenchError)


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("vqarad", ["vqa-rad", "iuxray-mrg"], "did you mean vqa-rad?"),
        ("rad", ["vqa-rad", "slake"], "did you mean vqa-rad?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("", ["b"], "known: b"),
        ("zzz", [], "none is known"),
    ],
)
def test_a_name_is_met_with_the_nearest_or_with_all(name, known, said):
    assert suggestion(name, known) == said
    assert set(nearest(name, iter(known))) <= set(known)
