"""Vectors of samples: views, failures, unit vectors of hostile numbers, and what makes probabilities of cosines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medbench.builtin.protocols.embedding import Temperature, image_requests, sigmoid, text_request, unit, vectors_of
from medbench.types import Embed, Failed, Image, Sample, Text, Vector

FINITE = st.floats(-3.0000000054977558e38, 3.0000000054977558e38, width=32)


def vector(*numbers):
    return Vector(data=np.array(numbers, dtype="<f4").tobytes())


def test_views_are_asked_apart_first_or_together():
    pair = Sample(id="1", group="1", split="test", images=(Image(path="a"), Image(path="b")))
    a, b = (Embed(images=(image,)) for image in pair.images)
    assert image_requests(pair, "mean") == (a, b)
    assert image_requests(pair, "first") == (a,)
    assert image_requests(pair, "together") == (Embed(images=pair.images),)


def test_one_view_is_taken_as_it_is_and_several_are_averaged_at_unit_length():
    a, b = text_request("a"), text_request("b")
    found = vectors_of([(a,), (a, b)], {a: vector(3, 0), b: vector(0, 10)})
    assert found.matrix[0].tolist() == [3, 0]
    assert found.matrix[1] == pytest.approx([0.5**0.5, 0.5**0.5])
    assert found.there.tolist() == [True, True]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (Failed(kind="input", error="broken"), "broken"),
        (Text(text="no"), "a Text where a vector was asked for"),
        (vector(1, np.nan), "not finite"),
        (vector(1, np.inf), "not finite"),
        (vector(1, 2, 3), "a vector of 3 numbers where others have 2"),
        (vector(), "a vector of 0 numbers"),
    ],
)
def test_what_is_no_vector_is_a_failure_that_says_why(output, said):
    good, bad = text_request("good"), text_request("bad")
    found = vectors_of([(good,), (bad,), (good, bad)], {good: vector(1, 2), bad: output})
    assert sorted(found.failed) == [1, 2]
    assert said in found.failed[1].error
    assert found.there.tolist() == [True, False, False]


def test_nothing_at_all_can_be_had():
    found = vectors_of([(text_request("a"),)] * 2, {text_request("a"): Failed(kind="model", error="x")})
    assert found.matrix.shape == (2, 0)
    assert not found.there.any()
    assert vectors_of([], {}).matrix.shape == (0, 0)


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=FINITE))
@settings(max_examples=200, deadline=None)
def test_unit_vectors_have_length_one_or_are_zero(matrix):
    found = unit(matrix)
    lengths = np.sqrt((found.astype(np.float64) ** 2).sum(axis=1))
    zero = (matrix == 0).all(axis=1)
    assert np.isfinite(found).all()
    assert np.allclose(lengths, np.where(zero, 0, 1), atol=1e-6)


@given(arrays.arrays(np.float64, (3, 4), elements=st.floats(-1, 1)), st.floats(0.01, 1e4), st.none() | st.floats(-50, 50))
@settings(max_examples=100, deadline=None)
def test_probabilities_are_probabilities(cosines, scale, bias):
    found = Temperature(scale, bias).probabilities(cosines)
    assert ((found >= 0) & (found <= 1)).all()
    if bias is None:
        assert np.allclose(found.sum(axis=1), 1)


def test_the_sigmoid_is_that_of_its_definition():
    numbers = np.linspace(-20, 20, 41)
    assert np.allclose(sigmoid(numbers), 1 / (1 + np.exp(-numbers)), atol=1e-15)
