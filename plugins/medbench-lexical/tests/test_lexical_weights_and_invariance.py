from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medbench_lexical import ngrams
from medbench_lexical.bleu import Bleu
from medbench_lexical.chrf import Chrf
from medbench_lexical.cider import Cider
from medbench_lexical.deltableu import DeltaBleu
from medbench_lexical.meteor import Meteor
from medbench_lexical.rouge_l import RougeL
from medbench_lexical.rouge_score import RougeScore
from medbench_lexical.sacrebleu import SacreBleu
from medbench_lexical.sentence_bleu import SentenceBleu
from medbench_lexical.short_answers import ExactMatch, TokenF1
from medbench_lexical.synthetic import pairs_of, reports
from medbench_lexical.weighting import mean

from medbench.types import Pair, Sample, Text

CLASSES = [Bleu, RougeL, Cider, SentenceBleu, ExactMatch, TokenF1, RougeScore, SacreBleu, Chrf, DeltaBleu]
LOWER = {"text": "lower-split@1"}

words = st.sampled_from(["no", "effusion", "heart", "is", "normal", ".", "the", "4.5", "(left)", "café", "😀"])
hostile = st.one_of(
    st.lists(words, max_size=8).map(" ".join),
    st.text(alphabet="ab .\r\n\f\v\x00\x85\u2028\u2029\u00a0😀é(),'\"&<>-_|", max_size=20),
)
corpora = st.lists(st.tuples(st.lists(hostile, min_size=1, max_size=3), hostile), min_size=1, max_size=6)


def made(corpus):
    return [Pair(Sample(id="same", group="g", split="test", references=tuple(known)), Text(text=said)) for known, said in corpus]


def point(metric, rows, weights=None):
    weights = np.ones((1, len(rows))) if weights is None else weights
    return {name: np.asarray(values) for name, (values, _) in metric.reduce(rows, weights).items()}


@pytest.mark.parametrize("made_by", CLASSES)
@given(corpus=corpora)
@settings(max_examples=30, deadline=None)
def test_any_text_gives_finite_scores_in_range_whatever_the_order(made_by, corpus):
    pairs = made(corpus)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric = made_by(convention=LOWER)
        rows, back = metric.measure(pairs), metric.measure(pairs[::-1])
        np.testing.assert_allclose(rows, back[::-1], rtol=0, atol=1e-12)
        for name, values in point(metric, rows).items():
            assert np.isfinite(values).all()
            assert 0 <= values[0] <= (10 + 1e-9 if name == "cider" else 1 + 1e-9)
        for column in metric.per_sample(rows).values():
            assert len(column) == len(pairs)


@pytest.mark.parametrize("made_by", CLASSES)
def test_weights_are_repetition(made_by):
    pairs = pairs_of(*reports(7, seed=5))
    metric = made_by(convention=LOWER)
    rows = metric.measure(pairs)
    weights = np.array([[2, 0, 1, 3, 0, 0, 1], [0, 0, 0, 0, 5, 0, 0]])
    weighted = point(metric, rows, weights)
    for number, line in enumerate(weights):
        repeated = point(metric, np.repeat(rows, line, axis=0))
        for name, values in weighted.items():
            assert values[number] == pytest.approx(repeated[name][0], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("made_by", [*CLASSES, Meteor])
def test_a_resample_without_weight_is_nan_and_warns_nobody(made_by):
    metric = made_by(convention=LOWER)
    rows = np.ones((3, 23)) if made_by is Meteor else metric.measure(pairs_of(["a b c d", "e", ""], ["a b", "", ""]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values, used in metric.reduce(rows, np.array([[0, 0, 0], [1, 0, 2]], dtype=float)).values():
            assert np.isnan(values[0])
            assert np.isfinite(values[1])
            assert used.dtype == bool
            assert used.shape == (3,)


@pytest.mark.parametrize("made_by", CLASSES)
def test_rows_survive_being_kept_and_taken_apart(made_by):
    pairs = pairs_of(*reports(5, seed=6))
    metric = made_by(convention=LOWER)
    rows = metric.measure(pairs)
    for name, values in point(metric, rows[2:3]).items():
        assert values[0] == pytest.approx(point(metric, rows, np.array([[0, 0, 1, 0, 0]]))[name][0], rel=1e-12, abs=1e-15)


def test_cider_keeps_its_idf_and_names_its_corpus():
    pairs = pairs_of(*reports(8, seed=1))
    whole, part = Cider(convention=LOWER), Cider(convention=LOWER)
    rows = whole.measure(pairs)
    assert not np.allclose(part.measure(pairs[:4]), rows[:4])
    assert whole.signature()["idf-samples"] == 8
    assert whole.signature()["idf-corpus"] != part.signature()["idf-corpus"]
    again = Cider(convention=LOWER)
    again.measure(pairs[::-1])
    assert again.signature() == whole.signature()


def test_one_sample_alone_has_cider_zero():
    assert Cider(convention=LOWER).measure(pairs_of(["heart normal"], ["heart normal"]))[0, 0] == 0


def test_identical_references_everywhere_carry_no_information_for_cider():
    pairs = pairs_of(["no acute process"] * 4, ["no acute process", "no", "", "x y"])
    assert Cider(convention=LOWER).measure(pairs)[:, 0].tolist() == [0, 0, 0, 0]


def test_metrics_under_one_convention_share_their_counts():
    pairs = pairs_of(*reports(5, seed=2))
    ngrams.count.cache_clear()
    Bleu().measure(pairs)
    Cider().measure(pairs)
    assert ngrams.count.cache_info().hits == 1


def test_counting_is_the_same_when_numbers_do_not_fit_one_word(monkeypatch):
    pairs = pairs_of(*reports(5, seed=2))
    ngrams.count.cache_clear()
    packed = Bleu().measure(pairs)
    ngrams.count.cache_clear()
    real = ngrams._grouped
    shift = 1 << 55
    monkeypatch.setattr(ngrams, "_grouped", lambda key, document: real(key + shift, document))
    np.testing.assert_array_equal(Bleu().measure(pairs), packed)
    ngrams.count.cache_clear()


def test_the_mean_of_a_plain_set_has_the_bits_of_numpy():
    values = np.random.default_rng(0).random(1_001)
    assert mean(values, np.ones((1, 1_001)))[0] == np.mean(values)
