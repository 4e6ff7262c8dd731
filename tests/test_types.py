"""What travels through a run: immutable, named, strict, and the same after a journey."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.types import (
    Answer,
    Asked,
    Box,
    Classify,
    Embed,
    Failed,
    Generate,
    Ground,
    HeatMap,
    Image,
    Loaded,
    Output,
    Picture,
    Prediction,
    Probabilities,
    Ranking,
    Request,
    Sample,
    Struct,
    Synthesize,
    Text,
    Value,
    Vector,
    as_text,
)  # fmt: skip

IMAGE = Image(path="x", digest="0")
REQUESTS = [
    Generate(prompt="a", options=("b",)),
    Classify(text="a"),
    Embed(images=(IMAGE,)),
    Synthesize(prompt="a"),
    Ground(images=(IMAGE,), phrase="b"),
]
VALUES = [
    Text(text="a", finish_reason="length"),
    Probabilities(labels=("a",), values=(0.5,)), Picture(path="p", width=1), Failed(kind="model", error="e"),
    HeatMap(rows=1, columns=1, grid=(0.5,), box=(0.0, 0.0, 1.0, 1.0)), Ranking(rank=1, top=("a",), probability=0.5),
]  # fmt: skip


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
def test_everything_comes_back_as_it_was(codec):
    for request in REQUESTS:
        assert codec.decode(codec.encode(request), type=Request) == request
        asked = Asked(key="k", request=request)
        assert codec.decode(codec.encode(asked), type=Asked) == asked
    for value in VALUES:
        prediction = Prediction(sample="s", value=value, condition={"a": 1, "b": "c", "d": 0.5})
        assert codec.decode(codec.encode(prediction), type=Prediction) == prediction
        if not isinstance(value, Ranking):
            answer = Answer(key="k", output=value)
            assert codec.decode(codec.encode(answer), type=Answer | Loaded) == answer
    sample = Sample(
        id="a", group="g", split="val", images=(IMAGE,), boxes=(Box(label="b", x=0, y=0, width=1, height=1),), labels={"l": None, "m": 1.0}
    )
    assert codec.decode(codec.encode(sample), type=Sample) == sample


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
def test_a_vector_keeps_its_numbers(codec):
    numbers = np.array([0.5, -1.0, 3e30], "<f4")
    for data in (numbers.tobytes(), memoryview(numbers.tobytes())):
        made = codec.decode(codec.encode(Prediction(sample="s", value=Vector(data=bytes(data)))), type=Prediction).value
        assert np.array_equal(made.array(), numbers)
        assert np.array_equal(Vector(data=data).array(), numbers)


@pytest.mark.parametrize(
    ("kind", "raw"), [(Sample, b'{"id":"a","group":"g","split":"test","qid":1}'), (Output, b'{"type":"text","text":"a","zzz":1}')]
)
def test_unknown_fields_are_refused(kind, raw):
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(raw, type=kind)


def test_structs_are_immutable_and_their_fields_named():
    with pytest.raises(AttributeError):
        IMAGE.path = "y"
    with pytest.raises(TypeError):
        Image("x")

    class More(Struct):
        """A struct of somebody else."""

        field: int = 0

    with pytest.raises(TypeError):
        More(1)
    with pytest.raises(AttributeError):
        More().field = 1


def test_defaults_are_not_shared():
    one, other = (Sample(id="a", group="g", split="test") for _ in range(2))
    one.meta["x"] = "y"
    assert other.meta == {}


def test_fields_at_their_default_are_not_written():
    assert msgspec.json.encode(Generate(prompt="a")) == b'{"type":"generate","prompt":"a"}'


@given(st.permutations([("seed", 3), ("images", "blank"), ("rate", 0.5)]))
def test_a_condition_is_one_text_whatever_its_order(items):
    assert as_text(dict(items)) == "images=blank rate=0.5 seed=3"


def test_every_value_is_a_tagged_kind():
    assert {msgspec.to_builtins(value)["type"] for value in VALUES} == {"text", "probabilities", "picture", "failed", "heatmap", "ranking"}
    assert set(Output.__args__) < set(Value.__args__)
