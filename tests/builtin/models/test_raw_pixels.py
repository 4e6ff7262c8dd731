"""The encoder without weights: grey values as they are, batches that do not matter, pictures that cannot be read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pil

from medbench.builtin.models.raw_pixels import RawPixels
from medbench.cards import ModelCard, ProtocolCard
from medbench.errors import UsageError
from medbench.testing import check_model
from medbench.types import Embed, Failed, Image


@pytest.fixture
def pictures(tmp_path):
    """Three pictures of 28 x 28 grey values, and the arrays in them."""
    arrays = [np.random.default_rng(n).integers(0, 256, (28, 28), dtype=np.uint8) for n in range(3)]
    for n, array in enumerate(arrays):
        Pil.fromarray(array).save(tmp_path / f"{n}.png")
    return [Image(path=str(tmp_path / f"{n}.png"), digest=str(n)) for n in range(3)], arrays


def vectors(model, requests):
    return [output.array() for output in model.embed(requests)]


def test_the_vector_is_the_picture(pictures):
    images, arrays = pictures
    for found, array in zip(vectors(RawPixels(), [Embed(images=(image,)) for image in images]), arrays, strict=True):
        assert found == pytest.approx(array.ravel() / 255, abs=1e-7)


def test_several_pictures_are_averaged_and_large_ones_made_small(pictures):
    images, arrays = pictures
    (both,) = vectors(RawPixels(), [Embed(images=tuple(images[:2]))])
    assert both == pytest.approx((arrays[0] / 255 + arrays[1] / 255).ravel() / 2, abs=1e-6)
    (small,) = vectors(RawPixels(size=7), [Embed(images=(images[0],))])
    means = arrays[0].reshape(7, 4, 7, 4).mean(axis=(1, 3)).ravel() / 255
    assert small == pytest.approx(means, abs=1 / 255)


def test_promises_of_the_card(pictures, registry):
    images, _ = pictures
    check_model(registry.get(ModelCard, "raw-pixels"), {}, [Embed(images=(image,)) for image in images])


def test_texts_and_broken_pictures_fail_as_input(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n")
    found = list(RawPixels().embed([Embed(text="edema"), Embed(images=(Image(path=str(tmp_path / "torn.png"), digest="x"),))]))
    assert [(isinstance(one, Failed), one.kind) for one in found] == [(True, "input")] * 2


@pytest.mark.parametrize("size", [0, -1, 257])
def test_sizes_that_cannot_be_are_refused(size):
    with pytest.raises(UsageError, match=f"size = {size}"):
        RawPixels(size=size)


def test_the_card_says_which_protocols_it_cannot_serve(registry):
    card = registry.get(ModelCard, "raw-pixels")
    fits = {name for name in registry.names(ProtocolCard) if not registry.get(ProtocolCard, name).misfit(card)}
    assert fits == {"probe", "concepts", "report-by-retrieval"}
