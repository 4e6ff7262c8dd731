"""The check of models finds what is broken and says so."""

from __future__ import annotations

import itertools

import pytest

from medbench.cards import ModelCard
from medbench.errors import InputError
from medbench.testing import FakeModel, check_model
from medbench.types import Classify, Embed, Failed, Generate, HeatMap, Image, Picture, Probabilities, Text, Vector

TEXTS = [Generate(prompt="one two"), Generate(prompt="three", images=(Image(path="x.png", digest="1"),))]
LABELS = [Classify(text="a", labels=("p", "q")), Classify(text="b", labels=("p", "q"))]
VECTORS = [Embed(text="a"), Embed(text="b")]


class Good(FakeModel):
    """Keeps every promise."""

    def __init__(self):
        super().__init__()


def check(made, requests=TEXTS, can=("generate", "classify", "embed", "ground", "synthesize"), **fields):
    globals()["Made"] = made
    card = ModelCard(name="m", load=f"{__name__}:Made", can=can, **fields)
    return check_model(card, fields.get("options", {}), requests)


def having(**methods):
    return type("Having", (Good,), methods)


def answering(function):
    """Return a class whose generate answers each request by a function of (request, window)."""
    return having(generate=lambda self, requests: [function(one, requests) for one in requests])


@pytest.mark.parametrize("requests", [TEXTS, LABELS, VECTORS, [*TEXTS, *LABELS]])
def test_a_good_model_passes_and_its_outputs_come_back(requests):
    assert len(check(Good, requests)) == len(requests)


def test_pairs_in_any_order_are_fine():
    check(having(generate=lambda self, requests: ((n, Text(text=requests[n].prompt)) for n in reversed(range(len(requests))))))


def _raises(error):
    def answer(request, window):
        raise error

    return answer


def _only_absent(what):
    """Return an answer that goes wrong for pictures that are not there."""

    def answer(request, window):
        if request.images and "nonexistent" in request.images[0].path:
            if isinstance(what, Exception):
                raise what
            return what
        return Text(text="x")

    return answer


COUNTER = itertools.count()

BROKEN = {
    "no such method": (type("Bare", (), {}), TEXTS, "its card says it can generate, its class has no such method"),
    "too few": (having(generate=lambda self, requests: [Text(text="x")] * (len(requests) - 1)), TEXTS, r"answered requests \[0\] of 2"),
    "twice": (having(generate=lambda self, requests: [(0, Text(text="x"))] * 2), TEXTS, r"answered requests \[0, 0\] of 2"),
    "another type": (answering(lambda request, window: request.prompt), TEXTS, "generate gave str, not Text or Failed"),
    "a failure": (answering(lambda request, window: Failed(kind="model", error="no")), TEXTS, "request 0 failed: no"),
    "the order counts": (answering(lambda request, window: Text(text=window[0].prompt)), TEXTS, "in reversed order"),
    "the batch counts": (answering(lambda request, window: Text(text=str(len(window)))), TEXTS, "asked alone"),
    "it remembers": (answering(lambda request, window: Text(text=str(next(COUNTER)))), TEXTS, "request 0 gives"),
    "facts that are none": (having(facts=lambda self: ["x"]), TEXTS, "not a mapping"),
    "facts that are not plain": (having(facts=lambda self: {"x": object()}), TEXTS, "must be plain data"),
    "other labels": (
        having(classify=lambda s, r: [Probabilities(labels=("q", "p"), values=(0.1, 0.2))] * len(r)),
        LABELS,
        "not those of the request",
    ),
    "too few values": (
        having(classify=lambda s, r: [Probabilities(labels=("p", "q"), values=(0.1,))] * len(r)),
        LABELS,
        "1 values for 2 labels",
    ),
    "no probabilities": (
        having(classify=lambda s, r: [Probabilities(labels=("p", "q"), values=(0.1, 7))] * len(r)),
        LABELS,
        "not probabilities",
    ),
    "a short vector": (having(embed=lambda s, r: [Vector(data=b"12345")] * len(r)), VECTORS, "not made of float32"),
    "an empty vector": (having(embed=lambda s, r: [Vector(data=b"")] * len(r)), VECTORS, "without a number"),
    "options that were not given": (
        answering(lambda r, w: Text(text="x", option_logprobs={"a": -1.0})),
        TEXTS,
        "options that were not given",
    ),
    "a missing picture crashes": (answering(_only_absent(OSError("x"))), TEXTS, "raises OSError, not InputError"),
    "a missing picture is called a fault of the model": (
        answering(_only_absent(Failed(kind="model", error="x"))),
        TEXTS,
        "fails as 'model'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_found(name):
    made, requests, said = BROKEN[name]
    with pytest.raises(AssertionError, match=said):
        check(made, requests, can=("generate",) if name == "no such method" else ("generate", "classify", "embed"))


@pytest.mark.parametrize("what", [InputError("gone"), Failed(kind="input", error="gone"), Text(text="I do not look")])
def test_a_missing_picture_may_be_said_failed_or_ignored(what):
    check(answering(_only_absent(what)))


def test_a_capability_that_the_card_lacks_is_not_tried():
    with pytest.raises(AssertionError, match="a classify request was given, its card says it can generate"):
        check(Good, LABELS, can=("generate",))


def test_a_learner_needs_its_method():
    with pytest.raises(AssertionError, match="its class has no method fit"):
        check(Good, fits="always")


def test_unknown_options_are_found():
    globals()["Made"] = Good
    with pytest.raises(AssertionError, match="m has no option zzz"):
        check_model(ModelCard(name="m", load=f"{__name__}:Made", can=("generate",)), {"zzz": 1}, TEXTS)


def test_one_request_is_not_enough():
    with pytest.raises(AssertionError, match="two requests or more"):
        check(Good, TEXTS[:1])


@pytest.mark.parametrize(("step", "passes"), [(1e-6, True), (1e-2, False)])
def test_numbers_may_differ_within_the_tolerance(step, passes):
    def classify(self, requests):
        return [Probabilities(labels=("p", "q"), values=(0.5 + step * len(requests), 0.5)) for _ in requests]

    made = having(classify=classify)
    if passes:
        check(made, LABELS)
    else:
        with pytest.raises(AssertionError, match="asked alone"):
            check(made, LABELS)


def test_maps_and_pictures_are_compared_too():
    from medbench.types import Ground, Synthesize

    image = (Image(path="x.png", digest="1"),)
    check(Good, [Ground(images=image, phrase="a"), Ground(images=image, phrase="b"), Synthesize(prompt="a"), Synthesize(prompt="b")])
    wrong = having(ground=lambda s, r: [HeatMap(rows=2, columns=2, grid=(0.1,), box=(0, 0, 1, 1))] * len(r))
    with pytest.raises(AssertionError, match="1 cells for 2 x 2"):
        check(wrong, [Ground(images=image, phrase="a")] * 2)
    grey = [Picture(data=picture.data) for picture in FakeModel().synthesize([Synthesize(prompt=str(n)) for n in range(2)])]
    unsteady = having(synthesize=lambda s, r: [grey[len(r) % 2]] * len(r))
    with pytest.raises(AssertionError, match="asked alone"):
        check(unsteady, [Synthesize(prompt="a")] * 2)
