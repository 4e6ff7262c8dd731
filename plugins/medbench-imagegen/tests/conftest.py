"""Pictures and networks for tests: a cache of the session's own, and no weights of the machine at hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from medbench.identity import digest
from medbench.interfaces import Reals
from medbench.types import Image as Reference
from medbench.types import Pair, Picture, Sample

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory):
    """Return the cache of the session: a twin is written once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, session_cache):
    monkeypatch.setenv("MEDBENCH_CACHE", str(session_cache))
    monkeypatch.delenv("MEDBENCH_INCEPTION", raising=False)
    monkeypatch.delenv("MEDBENCH_KERAS_INCEPTION", raising=False)


@pytest.fixture
def pictures(tmp_path):
    """Return a function that draws pictures of noise around a colour and returns their paths."""

    def draw(count, colour=128, seed=0, size=(40, 30), folder="p"):
        made = tmp_path / folder
        made.mkdir(exist_ok=True)
        rng = np.random.default_rng(seed)
        paths = []
        for number in range(count):
            pixels = np.clip(rng.normal(colour, 40, (size[1], size[0], 3)), 0, 255).astype(np.uint8)
            paths.append(made / f"{seed}-{number:03d}.png")
            Image.fromarray(pixels).save(paths[-1])
        return [str(path) for path in paths]

    return draw


@pytest.fixture
def drawn_pairs():
    """Return a function from paths to pairs of a prompt and a drawn picture."""

    def pairs(paths):
        return [
            Pair(Sample(id=f"s{n:03d}", group=f"g{n}", split="test", prompt=f"polyp {n}"), Picture(path=path, digest=digest(path)))
            for n, path in enumerate(paths)
        ]

    return pairs


@pytest.fixture
def reals_of():
    """Return a function from paths to real pictures."""

    def sample(path):
        image = Reference(path=path, digest=digest(path), role="target")
        return Sample(id=digest(path), group=digest(path), split="test", images=(image,))

    return lambda paths: Reals(evaluated=tuple(sample(path) for path in paths))


class TinyInception(torch.nn.Module):
    """The interface of the TorchScript of Inception: `layers` on normalised pictures, and class probabilities of raw ones."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.layers = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Conv2d(3, 2048, 4), torch.nn.ReLU())
        self.output = torch.nn.Linear(2048, 5)

    def forward(self, x, no_output_bias: bool = False):
        logits = self.layers((x - 128) / 128).flatten(1) @ self.output.weight.T
        if not no_output_bias:
            logits = logits + self.output.bias
        return torch.softmax(logits, dim=1)


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory):
    """Return a TorchScript file of the interface of `inception-2015-12-05.pt`."""
    path = tmp_path_factory.mktemp("weights") / "inception-2015-12-05.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(TinyInception()).save(str(path))
    return path
