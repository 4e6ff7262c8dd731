"""Blank and shuffled pictures: everybody gets one, nobody keeps their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.conditions import under_condition
from medbench.errors import UsageError
from medbench.types import Image, Sample


def sample(number, group, *, images=1):
    pictures = tuple(Image(path=f"/{group}-{n}.png", digest=f"{group}{n}") for n in range(images))
    return Sample(id=f"s{number}", group=f"g{group}", split="test", images=pictures, prompt=f"q{number}", references=("r",))


SAMPLES = [sample(number, number % 5) for number in range(12)]


def test_true_is_as_it_is():
    assert under_condition(SAMPLES, "true", 0) == SAMPLES


def test_blank_changes_the_preset_alone():
    for before, after in zip(SAMPLES, under_condition(SAMPLES, "blank", 0), strict=True):
        (image,) = after.images
        assert image.preset == "blank"
        assert (image.path, image.digest) == (before.images[0].path, before.images[0].digest)
        assert (after.id, after.prompt, after.references) == (before.id, before.prompt, before.references)


@given(groups=st.integers(2, 9), count=st.integers(2, 30), seed=st.integers(0, 5))
def test_shuffled_shows_the_pictures_of_another_group(groups, count, seed):
    samples = [sample(number, number % groups) for number in range(max(count, groups))]
    shuffled = under_condition(samples, "shuffled", seed)
    lenders = {}
    for before, after in zip(samples, shuffled, strict=True):
        assert (after.id, after.group, after.prompt) == (before.id, before.group, before.prompt)
        assert after.images != before.images
        lenders.setdefault(before.group, set()).add(after.images)
    assert all(len(images) == 1 for images in lenders.values())
    assert len(set().union(*lenders.values())) == groups


def test_shuffling_follows_from_seed_and_groups_and_not_from_the_order():
    one = {after.id: after.images for after in under_condition(SAMPLES, "shuffled", 3)}
    assert one == {after.id: after.images for after in under_condition(SAMPLES[::-1], "shuffled", 3)}
    assert any(one != {after.id: after.images for after in under_condition(SAMPLES, "shuffled", seed)} for seed in range(4, 8))


def test_a_sample_without_pictures_gets_none():
    samples = [*SAMPLES, sample(99, 0, images=0), sample(98, 77, images=0)]
    shuffled = {after.id: after.images for after in under_condition(samples, "shuffled", 0)}
    assert shuffled["s99"] == shuffled["s98"] == ()
    assert all(len(images) == 1 for name, images in shuffled.items() if name not in {"s99", "s98"})


def test_one_group_has_nobody_to_exchange_with():
    with pytest.raises(UsageError, match="nobody to exchange"):
        under_condition([sample(1, 1), sample(2, 1)], "shuffled", 0)
