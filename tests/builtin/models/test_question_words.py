"""The word index against a plain computation."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.builtin.models.words import WordIndex

WORDS = st.sampled_from(["is", "the", "heart", "lung", "Effusion", "effusion", "left", "ä", "2.5", "x-ray"])
TEXTS = st.lists(WORDS, max_size=6).map(" ".join)


def plain(texts, query):
    """The cosine as its definition says it, with dictionaries and no index."""
    bags = [Counter(re.findall(r"[a-zä0-9]+", text.lower())) for text in texts]
    asked = Counter(re.findall(r"[a-zä0-9]+", query.lower()))
    rarity = {word: math.log((1 + len(texts)) / (1 + sum(word in bag for bag in bags))) for bag in (*bags, asked) for word in bag}
    length = [math.sqrt(sum((times * rarity[word]) ** 2 for word, times in bag.items())) for bag in (*bags, asked)]
    dots = [sum(times * bag[word] * rarity[word] ** 2 for word, times in asked.items()) for bag in bags]
    return [dot / (one * length[-1]) if one and length[-1] else 0.0 for dot, one in zip(dots, length, strict=False)]


@given(st.lists(TEXTS, min_size=1, max_size=6, unique=True), TEXTS)
def test_cosines_agree_with_the_definition(texts, query):
    assert WordIndex.of(texts).cosines(query).tolist() == pytest.approx(plain(texts, query), abs=1e-5)


@given(st.lists(TEXTS, min_size=1, max_size=6, unique=True), st.permutations(["is", "the", "left", "heart", "new"]))
def test_the_order_of_words_changes_no_bit(texts, words):
    index = WordIndex.of(texts)
    assert np.array_equal(index.cosines(" ".join(words)), index.cosines(" ".join(sorted(words))))


def test_unknown_words_lengthen_the_question_and_shared_words_weigh_nothing():
    index = WordIndex.of(["question: heart size", "question: lung colour"])
    assert index.cosines("question: heart size").tolist() == pytest.approx([1.0, 0.0])
    assert 0 < index.cosines("heart size zebra")[0] < 0.9
    assert index.cosines("question").tolist() == [0.0, 0.0]
    assert index.cosines("?!").tolist() == [0.0, 0.0]
    assert WordIndex.of(["only", ""]).cosines("only").tolist() == pytest.approx([1.0, 0.0])
