"""Options as a user types them: converted by what the class says, or a problem that says what would do."""

from __future__ import annotations

import pytest

from medbench.errors import PluginError, Problem, UsageError
from medbench.options import RunOptions, accepts, argument_of, attempt, convert_options, convert_params, pairs
from medbench.types import Struct


class Built:
    """A class with options of many types."""

    def __init__(
        self,
        size: int = 1,
        *,
        rate: float = 0.5,
        flag: bool = False,
        name: str = "",
        most: int | None = None,
        free=None,
        many: tuple[int, ...] = (),
    ): ...


class Open:
    """A class that takes anything."""

    def __init__(self, size: int = 1, **options): ...


def convert(made, **given):
    problems = []
    return convert_options(made, given, "m", problems), problems


def test_pairs_are_taken_apart_at_the_first_sign():
    assert pairs(["a=1", " b =x=y", "c="], "-o") == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize("item", ["a", "=1", " =1"])
def test_what_is_no_pair_is_refused(item):
    with pytest.raises(UsageError, match="not of the form key=value"):
        pairs([item], "-o")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("size", "3", 3),
        ("rate", "1e-3", 0.001),
        ("rate", "1", 1.0),
        ("flag", "true", True),
        ("flag", "0", False),
        ("name", "7", "7"),
        ("most", "7", 7),
        ("most", "null", None),
        ("free", "7", "7"),
        ("many", [1, 2], (1, 2)),
    ],
)
def test_text_becomes_what_the_signature_says(name, text, value):
    converted, problems = convert(Built, **{name: text})
    assert problems == []
    assert converted == {name: value}
    assert type(converted[name]) is type(value)


@pytest.mark.parametrize(("name", "text"), [("size", "three"), ("size", "1.5"), ("rate", "fast"), ("flag", "maybe"), ("many", "1,2")])
def test_what_does_not_fit_is_a_problem_with_its_name_and_value(name, text):
    converted, problems = convert(Built, **{name: text})
    assert converted == {}
    assert len(problems) == 1
    assert f"m: option {name}={text}: expected" in problems[0].message


def test_an_unknown_option_is_a_problem_with_the_nearest_or_all():
    assert convert(Built, siez="1")[1] == [Problem("m has no option siez", "did you mean size?")]
    assert convert(Built, zzz="1")[1][0].hint == "its options: size, rate, flag, name, most, free, many"
    assert convert(object, zzz="1")[1][0].hint.startswith("its options: ")


def test_a_class_that_takes_anything_gets_it_as_text():
    assert convert(Open, size="2", other="3") == ({"size": 2, "other": "3"}, [])
    assert accepts(Open, "other")
    assert accepts(Built, "rate")
    assert not accepts(Built, "other")
    assert not accepts(Built, "self")


class Narrower(Built):
    def __init__(self, *, depth: int = 1, **options):
        super().__init__(**options)


class Narrowest(Narrower):
    """Takes what its base takes."""


@pytest.mark.parametrize("made", [Narrower, Narrowest])
def test_what_a_class_passes_on_is_what_its_base_takes(made):
    assert convert(made, depth="3", size="2") == ({"depth": 3, "size": 2}, [])
    assert convert(made, siez="2")[1] == [Problem("m has no option siez", "did you mean size?")]
    assert accepts(made, "size")
    assert not accepts(made, "other")


class Params(Struct):
    """Parameters of a protocol."""

    prompt: str = "p"
    count: int = 1
    names: tuple[str, ...] = ()


def test_parameters_are_converted_or_keep_their_default():
    problems = []
    made = convert_params(Params, {"count": "4", "prompt": "q", "names": ["a"], "cuont": 1}, "vqa", problems)
    assert made == Params(count=4, prompt="q", names=("a",))
    assert problems == [Problem("protocol vqa has no parameter cuont", "did you mean count?")]
    problems.clear()
    assert convert_params(Params, {"count": "many", "prompt": "q"}, "vqa", problems) == Params(prompt="q")
    assert problems[0].message == "protocol vqa: parameter count=many: expected `int`, got `str`"


def test_what_stands_behind_the_colon_is_the_name():
    assert argument_of("openai:gpt-4o") == {"name": "gpt-4o"}
    assert argument_of("a:b:c") == {"name": "b:c"}
    assert argument_of("majority") == {}


def test_an_attempt_turns_what_a_user_can_act_on_into_a_problem():
    def fail(error):
        raise error

    problems = []
    assert attempt(lambda: 3, problems) == 3
    assert attempt(lambda: fail(PluginError("broken", hint="mend")), problems) is None
    assert problems == [Problem("broken", "mend")]
    with pytest.raises(ZeroDivisionError):
        attempt(lambda: 1 // 0, problems)


def test_the_options_of_a_run_have_defaults_for_all_but_the_task():
    assert RunOptions(task="t").images == ("true",)
