"""The local executor in this process: windows, facts, fitting, and models that exist already."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.builtin.executors.local import LocalExecutor, build
from medbench.cards import ModelCard
from medbench.errors import PluginError, UsageError
from medbench.testing import FakeModel
from medbench.testing.plugin import CARDS
from medbench.types import Asked, Generate, Loaded, Text

ECHO = next(card for card in CARDS if card.name == "fake-echo")


def asked(count):
    return (Asked(key=f"k{n}", request=Generate(prompt=f"p{n}")) for n in range(count))


def test_facts_come_first_and_windows_are_of_the_size_asked_for():
    model = FakeModel(facts={"a": 1})
    messages = list(LocalExecutor(model).map(ECHO, {}, asked(10), 4))
    assert messages[0] == Loaded(facts={"a": 1})
    assert [message.key for message in messages[1:]] == [f"k{n}" for n in range(10)]
    assert model.windows == [4, 4, 2]


def test_requests_are_taken_as_they_are_needed():
    taken = []

    def slow():
        for one in asked(10):
            taken.append(one.key)
            yield one

    messages = LocalExecutor(FakeModel()).map(ECHO, {}, slow(), 3)
    assert isinstance(next(messages), Loaded)
    assert taken == []
    next(messages)
    assert taken == ["k0", "k1", "k2"]


def test_a_model_object_is_asked_here_whatever_the_card_says():
    model = FakeModel("here")
    faulty = next(card for card in CARDS if card.name == "fake-faulty")
    messages = list(LocalExecutor(model).map(faulty, {}, asked(1), 3))
    assert messages[1].output == Text(text="here", finish_reason="stop")


def test_nothing_asked_is_nothing_answered():
    assert len(list(LocalExecutor(FakeModel()).map(ECHO, {}, [], 3))) == 1


def test_a_model_that_cannot_be_built_is_a_message():
    with pytest.raises(PluginError, match=r"fake-echo could not be loaded: .*No such file"):
        build(ECHO, {"adapter": "/nowhere"})
    with pytest.raises(PluginError, match="unexpected keyword"):
        build(ECHO, {"unknown": 1})


class Fitted:
    """A model that remembers what it was fitted on."""

    def __init__(self, weights="", fail=False):
        if fail:
            raise UsageError("refused", hint="why")

    def fit(self, examples, validation, out, seed, events):
        (out / "w.txt").write_text(f"{len(examples)} {len(validation)} {seed}")
        return {"n": len(examples)}


def test_fitting_leaves_weights_and_gives_facts(tmp_path):
    card = ModelCard(name="fitted", load=f"{__name__}:Fitted", can=("generate",), fits="always", isolated=False)
    example = (Generate(prompt="a"), Text(text="b"))
    assert LocalExecutor().fit(card, {}, [example] * 3, [example], tmp_path, 7) == {"n": 3}
    assert (tmp_path / "w.txt").read_text() == "3 1 7"
    with pytest.raises(UsageError, match="refused"):
        LocalExecutor().fit(card, {"fail": True}, [], [], tmp_path, 0)


class Stating(FakeModel):
    """A model that states given facts."""

    def __init__(self, **facts):
        super().__init__(facts=facts)


class Version(str):
    __slots__ = ()


def test_facts_that_are_nearly_plain_are_made_plain(tmp_path):
    (loaded,) = LocalExecutor(Stating(version=Version("2.0"), scale=np.float32(0.5), where=tmp_path)).map(ECHO, {}, [], 1)
    assert loaded.facts == {"version": "2.0", "scale": 0.5, "where": str(tmp_path)}


def test_facts_that_are_no_data_are_the_plugins_fault():
    with pytest.raises(PluginError, match="facts are not plain data: object"):
        list(LocalExecutor(Stating(thing=object())).map(ECHO, {}, [], 1))


def test_what_it_holds_is_loaded_once_and_is_not_the_object_it_was_given():
    model = FakeModel("here")
    with LocalExecutor(model).holding() as held:
        for _ in range(2):
            assert [message.output.text for message in list(held.map(ECHO, {}, asked(2), 4))[1:]] == ["p0", "p1"]
        assert held.loads == 1
        with held.holding() as same:
            assert same is held
    assert model.windows == []


def test_another_executor_built_on_it_runs_what_it_holds_itself():
    class Elsewhere(LocalExecutor):
        """Runs models in a way of its own."""

    other = Elsewhere()
    with other.holding() as held:
        assert held is other
