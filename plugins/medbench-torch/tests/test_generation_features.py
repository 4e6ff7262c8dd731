from __future__ import annotations

import torch
from medbench_torch.features import FeatureCache, key_of, size_of
from PIL import Image as Pil

from medbench.types import Image

ONE = torch.zeros(256)
"""A kilobyte."""


def key(name):
    return name, "default"


def test_the_longest_unused_makes_room():
    cache = FeatureCache(3 * 1024)
    for name in "abc":
        cache.put(key(name), ONE)
    assert cache.get(key("a")) is not None
    cache.put(key("d"), ONE)
    assert cache.get(key("b")) is None
    assert [cache.get(key(name)) is not None for name in "acd"] == [True, True, True]
    assert (len(cache), cache.held_bytes) == (3, 3 * 1024)


def test_what_is_larger_than_the_limit_is_not_kept():
    cache = FeatureCache(1024)
    cache.put(key("a"), ONE)
    cache.put(key("b"), torch.zeros(257))
    assert cache.get(key("b")) is None
    assert cache.get(key("a")) is not None


def test_the_same_key_again_replaces_and_counts_once():
    cache = FeatureCache(4096)
    cache.put(key("a"), torch.zeros(512))
    cache.put(key("a"), ONE)
    assert cache.held_bytes == 1024
    cache.clear()
    assert (len(cache), cache.held_bytes) == (0, 0)


def test_content_and_preset_are_the_key_and_a_file_that_was_never_indexed_goes_by_its_path():
    assert key_of(Image(path="/a", digest="d")) == key_of(Image(path="/b", digest="d"))
    assert key_of(Image(path="/a", digest="d")) != key_of(Image(path="/a", digest="d", preset="blank"))
    assert key_of(Image(path="/a")) != key_of(Image(path="/b"))


def test_sizes_are_those_of_all_parts():
    assert size_of((ONE, {"a": ONE}, [ONE.half()])) == 1024 + 1024 + 512
    assert size_of(Pil.new("RGB", (10, 20))) == 600


def test_room_depends_on_the_device():
    assert FeatureCache.on(torch.device("cuda")).limit_bytes > FeatureCache.on(torch.device("cpu")).limit_bytes > 0
