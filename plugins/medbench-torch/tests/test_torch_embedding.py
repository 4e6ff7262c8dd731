from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from medbench_torch.embedding import embed_window
from PIL import Image as Pil

from medbench.errors import InputError, OutOfMemory
from medbench.types import Embed, Failed, Image, Vector


class Lengths:
    """Embeds a text as its length and pictures as their mean grey values, and remembers what was encoded together."""

    mode = "L"

    def __init__(self):
        self.texts, self.pictures = [], []

    def arranged(self, images):
        if len(images) > 2:
            raise InputError("at most two")
        return tuple(images[::-1])

    def prepare(self, picture):
        return torch.tensor(float(np.asarray(picture).mean()))

    def encode_images(self, shown):
        self.pictures.append(len(shown))
        return torch.tensor([[row[0].item(), float(len(row))] for row in shown], dtype=torch.float64)

    def encode_texts(self, texts):
        self.texts.append(list(texts))
        return torch.tensor([[float(len(text)), 0.0] for text in texts], dtype=torch.bfloat16)


@pytest.fixture
def greys(tmp_path):
    made = []
    for grey in (10, 60, 200):
        path = tmp_path / f"{grey}.png"
        Pil.new("RGB", (8, 6), (grey,) * 3).save(path)
        made.append(Image(path=str(path), digest=hashlib.sha256(path.read_bytes()).hexdigest()[:32]))
    return made


def of(encoder, requests, batch_size=2):
    found = dict(embed_window(encoder, requests, batch_size, 1))
    assert sorted(found) == list(range(len(requests))), "each request is answered once"
    return [found[number] for number in range(len(requests))]


def test_texts_are_batched_by_length_and_pictures_in_their_order(greys):
    encoder = Lengths()
    one, two, three = greys
    asked = [
        Embed(text="four"),
        Embed(images=(one,)),
        Embed(text="x"),
        Embed(images=(two, three)),
        Embed(text="seven c"),
        Embed(images=(two,)),
    ]
    made = of(encoder, asked)
    assert [output.array().tolist() for output in made] == [[4, 0], [10, 1], [1, 0], [200, 2], [7, 0], [60, 1]]
    assert encoder.texts == [["x", "four"], ["seven c"]]
    assert encoder.pictures == [2, 1]
    assert all(output.array().dtype == np.dtype("<f4") for output in made)


def test_one_that_cannot_be_taken_fails_alone(greys):
    absent = Image(path="/nowhere.png", digest="0" * 32)
    asked = [
        Embed(images=(greys[0], absent)),
        Embed(images=tuple(greys)),
        Embed(),
        Embed(images=(greys[0],), text="x"),
        Embed(images=(greys[2],)),
    ]
    made = of(Lengths(), asked)
    assert [type(output) for output in made] == [Failed] * 4 + [Vector]
    assert [output.kind for output in made[:4]] == ["input"] * 4
    assert ["/nowhere.png" in made[0].error, made[1].error] == [True, "at most two"]


def test_a_batch_that_does_not_fit_is_told_as_such(greys):
    class Full(Lengths):
        def encode_images(self, shown):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    with pytest.raises(OutOfMemory, match="out of memory"):
        of(Full(), [Embed(images=(greys[0],))])
