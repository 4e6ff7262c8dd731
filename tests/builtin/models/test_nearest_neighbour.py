"""The nearest-neighbour baseline on small pictures that are drawn here."""

from __future__ import annotations

import random
import shutil
import threading
import warnings

import numpy as np
import pytest
from PIL import Image as Pil

from medbench.builtin.models import neighbour, thumbnails
from medbench.builtin.models.neighbour import NearestNeighbour
from medbench.errors import DataError, UsageError
from medbench.identity import digest
from medbench.types import Failed, Generate, Image, Text

QUESTIONS = ("is there an effusion", "where is the nodule", "which plane is shown", "is the heart enlarged", "")


@pytest.fixture
def draw(tmp_path):
    """Return a function that draws picture `number` and gives its `Image`; the same number, the same scene."""

    def drawn(number, *, gain=1.0, offset=0, name=""):
        pixels = np.random.default_rng(number).integers(0, 160, (8, 8)).repeat(6, axis=0).repeat(5, axis=1)
        path = tmp_path / f"{name or f'p{number}-{gain}-{offset}'}.png"
        Pil.fromarray((pixels * gain + offset).astype(np.uint8)).save(path)
        return Image(path=str(path), digest=digest(path.read_bytes()))

    return drawn


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n no more of it")
    return Image(path=str(path), digest=digest(path.read_bytes()))


def ask(prompt, *images):
    return Generate(prompt=prompt, images=images)


def fitted(out, rows, **options):
    NearestNeighbour(**options).fit([(request, Text(text=text)) for request, text in rows], [], out, 0, None)
    return NearestNeighbour(weights=str(out), **options)


def texts(outputs):
    return [output.text for output in outputs]


def folder(path):
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def test_a_report_is_copied_from_the_most_alike_picture_whatever_its_brightness_and_contrast(draw, tmp_path):
    model = fitted(tmp_path / "fit", [(ask("Write a report.", draw(n)), f"report {n}\nsecond line ä ") for n in range(12)])
    found = model.generate([ask("Write a report.", draw(n, gain=0.5, offset=70)) for n in (7, 0, 11)])
    assert texts(found) == [f"report {n}\nsecond line ä " for n in (7, 0, 11)]
    assert all(output.finish_reason == "stop" for output in found)


def test_several_images_count_alike_whatever_their_order_and_number(draw, tmp_path):
    studies = [(draw(1), draw(2)), (draw(3),), (draw(4), draw(5), draw(6))]
    model = fitted(tmp_path / "fit", [(ask("report", *images), str(n)) for n, images in enumerate(studies)])
    asked = [(draw(2), draw(1)), (draw(1),), (draw(3), draw(9)), (draw(5),), (draw(6), draw(4))]
    assert texts(model.generate([ask("report", *images) for images in asked])) == ["0", "0", "1", "2", "2"]


def test_text_weight_decides_between_picture_and_question(draw, tmp_path):
    rows = [
        (ask("where is the nodule", draw(1)), "left"),
        (ask("is there an effusion", draw(2)), "yes"),
        (ask("which plane", draw(3)), "axial"),
    ]
    request = ask("is there an effusion", draw(1))
    answers = {}
    for weight in (0, 0.3, 0.9, 1):
        answers[weight] = texts(fitted(tmp_path / str(weight), rows, text_weight=weight).generate([request]))[0]
    assert answers == {0: "left", 0.3: "left", 0.9: "yes", 1: "yes"}


def test_requests_and_examples_without_image_go_by_their_words(draw, tmp_path):
    rows = [(ask("where is the nodule"), "left"), (ask("is there an effusion", draw(2)), "yes"), (ask("which plane"), "axial")]
    model = fitted(tmp_path / "fit", rows, text_weight=0.0)
    assert texts(model.generate([ask("an effusion is there"), ask("the plane"), ask("unheard of")])) == ["yes", "axial", "left"]
    assert texts(model.generate([ask("which plane", draw(2))])) == ["yes"], "with an image, the weight holds"
    words_only = fitted(tmp_path / "words", [row for row in rows if not row[0].images])
    assert texts(words_only.generate([ask("plane"), ask("plane", draw(2))])) == ["axial", "axial"]


def test_ties_go_to_the_first_train_example(draw, tmp_path):
    rows = [(ask("same", draw(1)), f"answer {n}") for n in range(5)]
    assert texts(fitted(tmp_path / "fit", rows).generate([ask("same", draw(1)), ask("same"), ask("other", draw(8))])) == ["answer 0"] * 3


def test_a_blank_picture_is_like_nothing(draw, tmp_path):
    model = fitted(tmp_path / "fit", [(ask("report", draw(n)), str(n)) for n in range(4)])
    seen = draw(3)
    blank = Image(path=seen.path, digest=seen.digest, preset="blank")
    assert texts(model.generate([ask("report", seen), ask("report", blank)])) == ["3", "0"]


def big(draw):
    picks = random.Random(5)
    rows = [(ask(picks.choice(QUESTIONS), *(draw(picks.randrange(20)) for _ in range(picks.randrange(3)))), str(n)) for n in range(120)]
    asked = [ask(picks.choice(QUESTIONS), *(draw(picks.randrange(26)) for _ in range(picks.randrange(3)))) for _ in range(90)]
    return rows, asked


def test_answers_depend_neither_on_order_nor_on_windows_nor_on_blocks(draw, tmp_path, monkeypatch):
    rows, asked = big(draw)
    model = fitted(tmp_path / "fit", rows)
    whole = model.generate(asked)
    assert len(set(texts(whole))) > 20
    shuffled = random.Random(1).sample(range(len(asked)), len(asked))
    again = NearestNeighbour(weights=str(tmp_path / "fit"))
    assert again.generate([asked[n] for n in shuffled]) == [whole[n] for n in shuffled]
    assert [output for n in range(0, 90, 7) for output in again.generate(asked[n : n + 7])] == whole
    monkeypatch.setattr(neighbour, "CELLS", 100)
    monkeypatch.setattr(neighbour, "ROWS", 3)
    assert NearestNeighbour(weights=str(tmp_path / "fit")).generate(asked) == whole


def test_the_same_train_split_gives_the_same_bytes_wherever_it_lies(draw, tmp_path, monkeypatch):
    rows, asked = big(draw)
    fitted(tmp_path / "one", rows)
    monkeypatch.setattr(neighbour, "DECODED_AT_ONCE", 3)
    moved = tmp_path / "moved"
    moved.mkdir()
    elsewhere = []
    for request, text in rows:
        images = tuple(Image(path=shutil.copy(image.path, moved), digest=image.digest) for image in request.images)
        elsewhere.append((ask(request.prompt, *images), text))
    fitted(tmp_path / "other", elsewhere)
    assert folder(tmp_path / "one") == folder(tmp_path / "other")
    shutil.copytree(tmp_path / "one", tmp_path / "carried")
    here, there = (NearestNeighbour(weights=str(tmp_path / name)) for name in ("one", "carried"))
    assert here.generate(asked) == there.generate(asked)


@pytest.mark.parametrize("size", [2, 32, neighbour.MAX_SIZE])
def test_likeness_is_exact_so_that_no_matrix_library_can_change_an_answer(draw, tmp_path, size):
    images = [draw(n) for n in range(9)]
    model = fitted(tmp_path / "fit", [(ask("report", image), "x") for image in images[:6]], size=size)
    vectors = np.stack(thumbnails.Thumbnails(size).vectors([(image,) for image in images])).astype(np.int64)
    assert (vectors**2).sum(axis=1).max() < 2**24, "then no partial sum of a product of two of them can leave float32's whole numbers"
    found = model._index.likeness(vectors) * np.float64(thumbnails.SCALE**2)
    assert np.rint(found[:, :6]).astype(np.int64) == pytest.approx(vectors @ vectors[:6].T, abs=1)
    assert np.diag(found[:6, :6]) == pytest.approx(thumbnails.SCALE**2, rel=2e-2)
    assert not found[:, 6].any(), "the column of train samples without image"


def test_the_longest_vector_that_rounding_can_make_is_short_enough():
    side = neighbour.MAX_SIZE
    assert (thumbnails.SCALE + np.sqrt(side * side) / 2) ** 2 <= 2**24


def test_decoding_in_threads_leaves_the_filters_of_warnings_as_they_were(draw, monkeypatch):
    entered, left = threading.Barrier(2, timeout=20), threading.Event()

    def crossing(image, mode):
        """Decode as two threads may: the one that came first goes first."""
        with warnings.catch_warnings():
            if image == images[1]:
                entered.wait()
            warnings.simplefilter("ignore")
            if image == images[0]:
                entered.wait()
            else:
                assert left.wait(20)
        left.set()
        return Pil.new(mode, (8, 8))

    images = [draw(1), draw(2)]
    monkeypatch.setattr(thumbnails, "decode", crossing)
    monkeypatch.setattr(thumbnails.os, "cpu_count", lambda: 2)
    before = list(warnings.filters)
    thumbnails.Thumbnails(8).vectors([(image,) for image in images])
    assert warnings.filters == before


def test_a_picture_that_cannot_be_decoded_fails_its_own_requests_only(draw, broken, tmp_path):
    model = fitted(tmp_path / "fit", [(ask("report", draw(n)), str(n)) for n in range(3)])
    missing = Image(path=str(tmp_path / "gone.png"), digest="e" * 32)
    marked = Image(path="torn.png", fault="is truncated")
    found = model.generate([ask("report", *images) for images in ((draw(1),), (broken,), (draw(2), missing), (marked,), (draw(2),))])
    assert texts([found[0], found[4]]) == ["1", "2"]
    assert all(isinstance(output, Failed) and output.kind == "input" for output in found[1:4])
    assert "broken.png: cannot be decoded" in found[1].error
    assert "gone.png: no such file" in found[2].error
    assert found[3].error == "torn.png: is truncated"


def test_train_examples_that_cannot_be_decoded_are_left_out_and_counted(draw, broken, tmp_path):
    rows = [
        (ask("report", broken), "bad"),
        (ask("report", draw(1)), "1"),
        (ask("report", draw(2), broken), "bad"),
        (ask("report", draw(2)), "2"),
    ]
    seen = []
    facts = NearestNeighbour(size=16).fit(
        ((request, Text(text=text)) for request, text in rows), [], tmp_path / "fit", 0, lambda *args: seen.append(args)
    )
    assert facts == {"size": 16, "n_examples": 2, "n_left_out": 2, "n_studies": 4, "n_questions": 1, "n_words": 1}
    assert seen == [({"step": 4, "steps": 4},)]
    model = NearestNeighbour(weights=str(tmp_path / "fit"))
    assert model.facts() == facts
    assert texts(model.generate([ask("report", draw(2)), ask("report", draw(1)), ask("report", draw(7, gain=0))])) == ["2", "1", "1"]


def test_a_train_split_without_a_usable_example_is_refused(broken, tmp_path):
    for rows in ([], [(ask("report", broken), "x")], [(ask("report"), " ")]):
        with pytest.raises(DataError, match="no train example"):
            fitted(tmp_path / "fit", rows)


def test_each_distinct_picture_is_decoded_once(draw, tmp_path, monkeypatch):
    decoded = []

    def counting(image, mode):
        decoded.append(image.path)
        return thumbnails_decode(image, mode)

    thumbnails_decode = thumbnails.decode
    monkeypatch.setattr(thumbnails, "decode", counting)
    rows, asked = big(draw)
    model = fitted(tmp_path / "fit", rows)
    assert sorted(decoded) == sorted({image.path for request, _ in rows for image in request.images})
    decoded.clear()
    model.generate(asked)
    model.generate(asked[:30])
    assert sorted(decoded) == sorted({image.path for request in asked for image in request.images})


def test_recent_pictures_are_kept_up_to_a_bound(draw):
    kept = thumbnails.Thumbnails(8, capacity=3)
    first = kept.vectors([(draw(n),) for n in range(5)])
    assert [key for key, _ in kept._recent] == [draw(n).digest for n in (2, 3, 4)]
    assert all(np.array_equal(one, other) for one, other in zip(first, kept.vectors([(draw(n),) for n in range(5)]), strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1}, "size = 1"),
        ({"size": 129}, "size = 129"),
        ({"size": "16"}, "size = '16'"),
        ({"size": True}, "size = True"),
        ({"text_weight": 1.5}, "text_weight = 1.5"),
        ({"text_weight": float("nan")}, "text_weight = nan"),
        ({"text_weight": "much"}, "text_weight = 'much'"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message) as caught:
        NearestNeighbour(**options)
    assert caught.value.hint.startswith("allowed: ")


def test_the_size_is_that_of_the_weights(draw, tmp_path):
    model = fitted(tmp_path / "fit", [(ask("report", draw(n)), str(n)) for n in range(3)], size=12)
    assert model.facts()["size"] == 12
    assert texts(NearestNeighbour(weights=str(tmp_path / "fit")).generate([ask("report", draw(2))])) == ["2"]
    with pytest.raises(UsageError, match=r"size = 16, but .*fit was fitted with 12"):
        NearestNeighbour(weights=str(tmp_path / "fit"), size=16)


def test_weights_that_are_missing_or_torn_are_named(draw, tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*No such file"):
        NearestNeighbour(weights=str(tmp_path / "nowhere"))
    fitted(tmp_path / "fit", [(ask("report", draw(1)), "1")])
    for name in sorted(file.name for file in (tmp_path / "fit").iterdir()):
        copy = tmp_path / f"without-{name}"
        shutil.copytree(tmp_path / "fit", copy)
        (copy / name).write_bytes(b"")
        with pytest.raises(DataError, match=name):
            NearestNeighbour(weights=str(copy))


def test_a_model_that_was_not_fitted_says_so_and_an_unknown_option_is_refused(draw):
    with pytest.raises(UsageError, match="was not fitted"):
        NearestNeighbour().generate([ask("report", draw(1))])
    assert NearestNeighbour().facts() == {}
    with pytest.raises(TypeError, match="colour"):
        NearestNeighbour(colour=1)
