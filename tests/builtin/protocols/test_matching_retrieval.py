"""Matching and retrieval: fixed batches, equal captions, failures that move nobody else, pictures of what was found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.builtin.protocols.matching import Matching, batches
from medbench.builtin.protocols.retrieval import Retrieval
from medbench.errors import DataError
from medbench.figures import Matrix, Pictures
from medbench.types import Embed, Failed, Image, Ranking, Sample, Text, Vector

N = 10


def sample(number, caption=None):
    return Sample(
        id=f"s{number}",
        group=f"g{number}",
        split="test",
        images=(Image(path=f"{number}.png", digest=str(number)),),
        references=(caption or f"caption {number}",),
    )


SAMPLES = [sample(number) for number in range(N)]


class Outputs:
    """Vectors of images and captions by number; what is not there has failed."""

    def __init__(self, images, captions, **facts):
        self.images, self.captions, self.facts = images, captions, facts

    def __getitem__(self, request):
        where, name = (self.images, request.images[0].path.partition(".")[0]) if request.images else (self.captions, request.text)
        found = where.get(int(name.split()[-1]))
        return Failed(kind="input", error=f"no {name}") if found is None else Vector(data=np.asarray(found, dtype="<f4").tobytes())


def perfect(n=N, **facts):
    return Outputs({i: np.eye(n)[i] for i in range(n)}, {i: 5 * np.eye(n)[i] for i in range(n)}, **facts)


def values(protocol, samples, outputs, direction, **params):
    made = protocol.predictions(samples, outputs, protocol.Params(**params))
    return {p.sample: p.value for p in made if p.condition == {"direction": direction}}


BOTH = pytest.mark.parametrize("direction", ["image-to-text", "text-to-image"])
PROTOCOLS = pytest.mark.parametrize("protocol", [Matching(), Retrieval()], ids=["matching", "retrieval"])


@PROTOCOLS
def test_every_image_and_every_different_caption_is_asked_once(protocol):
    twice = [*SAMPLES, sample(10, "caption 3")]
    requests = list(protocol.requests(twice, protocol.Params()))
    assert len(requests) == len(set(requests)) == 2 * N + 1
    assert sum(bool(request.images) for request in requests) == N + 1


@PROTOCOLS
@BOTH
def test_a_perfect_model_finds_every_partner(protocol, direction):
    found = values(protocol, SAMPLES, perfect(logit_scale=100.0), direction)
    assert list(found) == [one.id for one in SAMPLES]
    assert all((value.rank, value.strict_rank, value.top[0]) == (1, 1, name) for name, value in found.items())


@BOTH
def test_probabilities_are_the_softmax_of_scaled_cosines(direction):
    found = values(Matching(), SAMPLES, perfect(logit_scale=2.0), direction, batch=N)
    expected = np.exp(2) / (np.exp(2) + N - 1)
    assert [value.probability for value in found.values()] == pytest.approx([expected] * N)
    stated = values(Matching(), SAMPLES, perfect(logit_scale=2.0), direction, batch=N, logit_scale=3.0)
    assert stated["s0"].probability == pytest.approx(np.exp(3) / (np.exp(3) + N - 1))


@BOTH
def test_a_model_trained_by_a_sigmoid_gives_each_pair_its_own(direction):
    found = values(Matching(), SAMPLES, perfect(logit_scale=4.0, logit_bias=-3.0), direction, batch=N)
    assert found["s0"].probability == pytest.approx(1 / (1 + np.exp(-1)))


@PROTOCOLS
def test_equal_captions_are_right_and_wrong_in_the_strict_ranks(protocol):
    samples = [sample(0), sample(1, "caption  0"), sample(2)]
    vectors = Outputs({0: [1, 0, 0], 1: [0.9, 0.1, 0], 2: [0, 0, 1]}, {0: [1, 0, 0], 2: [0, 0, 1]}, logit_scale=1.0)
    to_text, to_image = (values(protocol, samples, vectors, d) for d in ("image-to-text", "text-to-image"))
    # both captions read alike, so the images cannot tell them apart: one strict rank is lost
    assert [(to_text[n].rank, to_text[n].strict_rank) for n in ("s0", "s1", "s2")] == [(1, 2), (1, 2), (1, 1)]
    # the text is nearest to image 0, which is right for both; strictly, it is wrong for sample 1
    assert [(to_image[n].rank, to_image[n].strict_rank) for n in ("s0", "s1", "s2")] == [(1, 1), (1, 2), (1, 1)]
    if isinstance(protocol, Matching):
        assert to_text["s0"].probability == pytest.approx(2 * to_text["s0"].strict_probability)


@PROTOCOLS
@BOTH
def test_what_failed_is_carried_through_and_is_no_candidate(protocol, direction):
    outputs = perfect()
    del outputs.images[3]
    del outputs.captions[7]
    found = values(protocol, SAMPLES, outputs, direction, **({"batch": N} if isinstance(protocol, Matching) else {}))
    assert {name for name, value in found.items() if isinstance(value, Failed)} == {"s3", "s7"}
    rest = [value for value in found.values() if isinstance(value, Ranking)]
    gone = "s7" if direction == "image-to-text" else "s3"
    assert all(value.pool == N - 1 and gone not in value.top for value in rest)


@PROTOCOLS
def test_all_failed(protocol):
    found = list(protocol.predictions(SAMPLES, Outputs({}, {}), protocol.Params()))
    assert len(found) == 2 * N
    assert all(isinstance(prediction.value, Failed) for prediction in found)
    assert [f for f in protocol.figures(SAMPLES, found, Outputs({}, {}), protocol.Params()) if isinstance(f, Matrix)] == []


@PROTOCOLS
def test_vectors_without_a_common_space_are_refused(protocol):
    outputs = Outputs({i: [1, 0] for i in range(N)}, {i: [1, 0, 0] for i in range(N)})
    with pytest.raises(DataError, match="2 numbers of an image and 3 of a text"):
        list(protocol.predictions(SAMPLES, outputs, protocol.Params()))


@PROTOCOLS
@pytest.mark.parametrize(("gone", "said"), [({"images": ()}, "no image"), ({"references": ()}, "no caption")])
def test_a_sample_that_lacks_one_is_named(protocol, gone, said):
    import msgspec

    with pytest.raises(DataError, match=f"sample s0 has {said}"):
        list(protocol.requests([msgspec.structs.replace(SAMPLES[0], **gone)], protocol.Params()))


@given(st.integers(0, 40), st.integers(2, 12), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_batches_look_everyone_up_once_among_as_many_as_there_can_be(n, size, seed):
    samples = [sample(number) for number in range(n)]
    made = list(batches(samples, size, seed))
    asked = [at for batch in made for at in batch.members[: batch.queries].tolist()]
    assert sorted(asked) == list(range(n))
    assert all(len(batch.members) == len(set(batch.members.tolist())) == min(size, n) for batch in made)


def test_batches_follow_from_seed_and_ids_alone():
    def members(samples, seed):
        return [{samples[at].id for at in batch.members} for batch in batches(samples, 4, seed)]

    assert members(SAMPLES, 0) == members(SAMPLES[::-1], 0)
    assert members(SAMPLES, 0) != members(SAMPLES, 1)


def test_the_figures_show_the_batch_and_the_likeliest_images():
    outputs = perfect(logit_scale=10.0)
    params = Matching.Params(batch=4)
    predictions = list(Matching().predictions(SAMPLES, outputs, params))
    matrix, strips = Matching().figures(SAMPLES, predictions, outputs, params)
    assert isinstance(matrix, Matrix)
    assert matrix.values == tuple(tuple(float(i == j) for j in range(4)) for i in range(4))
    assert matrix.marked == ((0, 0), (1, 1), (2, 2), (3, 3))
    assert isinstance(strips, Pictures)
    assert [len(strip.tiles) for strip in strips.strips] == [4] * 4
    assert all([tile.good for tile in strip.tiles] == [True, False, False, False] for strip in strips.strips)
    assert strips.strips[0].heading == f"caption {matrix.rows[0][1:]}"


def test_retrieval_shows_the_likeliest_images_too():
    predictions = list(Retrieval().predictions(SAMPLES, perfect(), Retrieval.Params()))
    (strips,) = Retrieval().figures(SAMPLES, predictions, perfect(), Retrieval.Params())
    assert len(strips.strips) == 8
    assert all(strip.tiles[0].good for strip in strips.strips)


@pytest.mark.parametrize("wrong", [{"batch": 1}, {"top": 0}, {"logit_scale": -1.0}])
def test_parameters_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        Matching.Params(**wrong)


def test_a_text_request_is_that_of_the_caption():
    assert Embed(text="caption 0") in list(Matching().requests(SAMPLES[:1], Matching.Params()))


def test_examples_are_the_very_requests_with_the_caption_as_a_text():
    views = Sample(id="3", group="3", split="train", images=(Image(path="c"), Image(path="d")), references=("A film.",))
    bare = Sample(id="4", group="4", split="train", images=(Image(path="e"),))
    blank = Sample(id="5", group="5", split="train", images=(Image(path="f"),), references=("  ",))
    for protocol in (Matching(), Retrieval()):
        found = list(protocol.examples([views, bare, blank], protocol.Params()))
        assert found == [(Embed(images=(image,)), Text(text="A film.")) for image in views.images]
        asked = set(protocol.requests([views], protocol.Params()))
        assert {request for request, _ in found} <= asked
        together = protocol.examples([views], protocol.Params(views="together"))
        assert [request.images for request, _ in together] == [views.images]
