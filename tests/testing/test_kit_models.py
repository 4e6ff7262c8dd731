"""The models and the dataset of the kit do as they are told."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.builtin.executors.asking import METHODS
from medbench.errors import DataError, OutOfMemory
from medbench.files import FileDigests
from medbench.index import read_index
from medbench.testing import FakeModel, check_model, write_fake_data
from medbench.testing.data import FakeReader
from medbench.testing.models import Echo, Faulty
from medbench.types import Classify, Embed, Failed, Generate, Ground, Image, Synthesize, Text

ASKED = [
    Generate(prompt="say yes"),
    Classify(text="x", labels=("a", "b")),
    Embed(text="x"),
    Synthesize(prompt="x"),
    Ground(images=(Image(path="x", digest="0"),), phrase="x"),
]


@pytest.mark.parametrize("request_", ASKED, ids=lambda one: type(one).__name__)
def test_default_answers_are_valid_and_follow_from_the_request(request_):
    name, kind = METHODS[type(request_)]
    model = FakeModel()
    first, again = (next(iter(getattr(model, name)([request_]))) for _ in range(2))
    assert isinstance(first, kind)
    assert first == again
    assert model.history == [request_, request_]


def test_vectors_are_short_bounded_and_tell_requests_apart():
    one, other, again = FakeModel().embed([Embed(text="x"), Embed(text="y"), Embed(text="x")])
    assert one.array().shape == (8,)
    assert np.all(np.abs(one.array()) <= 1)
    assert one == again
    assert not np.array_equal(one.array(), other.array())


def test_the_queue_goes_before_the_answer_and_exceptions_are_raised_in_turn():
    model = FakeModel(lambda request: Text(text=request.prompt))
    model.queue.extend([Text(text="q"), OutOfMemory("x")])
    replies = model.generate([Generate(prompt="a"), Generate(prompt="b")])
    assert next(replies) == Text(text="q")
    with pytest.raises(OutOfMemory):
        next(replies)
    assert list(model.generate([Generate(prompt="c")])) == [Text(text="c")]
    assert [one.prompt for one in model.history] == ["a", "c"]
    assert model.windows == [2, 1]


def test_an_echo_says_the_last_word(tmp_path):
    (tmp_path / "suffix.txt").write_text("?")
    assert [one.text for one in Echo(suffix="!", adapter=str(tmp_path)).generate([Generate(prompt="a b"), Generate(prompt=" ")])] == [
        "b!?",
        "!?",
    ]


def test_faults_happen_where_they_are_told_to():
    model = Faulty(reject_on="bad", raise_on="worse", fits=2)
    assert [type(one) for one in model.generate([Generate(prompt="bad"), Generate(prompt="good")])] == [Failed, Text]
    with pytest.raises(RuntimeError, match="told to raise on worse"):
        list(model.generate([Generate(prompt="worse")]))
    with pytest.raises(OutOfMemory):
        list(model.generate([Generate(prompt="a")] * 3))
    with pytest.raises(ValueError, match="told to be broken"):
        Faulty(broken=True)


class TestData:
    @pytest.mark.parametrize(("n", "groups", "images"), [(12, 5, 1), (3, 3, 0), (10, 2, 3)])
    def test_it_is_as_large_as_it_was_asked_to_be(self, tmp_path, n, groups, images):
        root = write_fake_data(tmp_path / "d", n=n, groups=groups, images=images)
        assert FakeReader().check(root) == []
        for split in ("train", "test"):
            found = read_index(FakeReader(), root, split, {}, FileDigests())
            assert (len(found.samples), len(found.groups)) == (n, groups)
            assert found.n_images == groups * images
            assert not any(image.fault for sample in found.samples for image in sample.images)

    def test_two_thirds_of_the_references_are_the_last_word(self, data):
        found = read_index(FakeReader(), data, "test", {}, FileDigests()).samples
        right = [sample.prompt.split()[-1] == sample.references[0] for sample in found]
        assert right == [index % 3 != 2 for index in range(12)]
        assert {sample.meta["answer_type"] for sample in found} == {"CLOSED", "OPEN"}

    def test_the_same_seed_gives_the_same_bytes_and_another_one_others(self, tmp_path):
        roots = [write_fake_data(tmp_path / str(n), seed=seed) for n, seed in enumerate((1, 1, 2))]
        manifests = [read_index(FakeReader(), root, "test", {}, FileDigests()).manifest for root in roots]
        assert manifests[0] == manifests[1] != manifests[2]
        assert FileDigests().digest(roots[0] / "images" / "test-g000-0.png") != FileDigests().digest(
            roots[2] / "images" / "test-g000-0.png"
        )

    def test_what_is_not_there_is_said(self, tmp_path):
        assert FakeReader().check(tmp_path)[0].message == f"{tmp_path}: no fake.json"
        with pytest.raises(DataError, match=r"fake\.json"):
            FakeReader().read(tmp_path, "test", {})

    def test_a_twin_can_be_written(self, tmp_path):
        FakeReader().write_twin(tmp_path / "t", 3, 2)
        assert len(list(FakeReader().read(tmp_path / "t", "test", {}))) == 6


def test_the_models_of_the_kit_pass_its_own_check(registry):
    from medbench.cards import ModelCard

    for name in ("fake-echo", "fake-faulty"):
        check_model(registry.get(ModelCard, name), {}, ASKED[:1] * 2)
