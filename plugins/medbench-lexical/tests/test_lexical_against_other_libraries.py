from __future__ import annotations

import math
import warnings
from collections import Counter

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from medbench_lexical.chrf import Chrf
from medbench_lexical.deltableu import DeltaBleu, reference_weight
from medbench_lexical.porter import stem
from medbench_lexical.rouge_score import NAMES, RougeScore
from medbench_lexical.sacrebleu import SacreBleu
from medbench_lexical.sentence_bleu import SentenceBleu
from medbench_lexical.short_answers import ExactMatch, TokenF1
from medbench_lexical.synthetic import SENTENCES, pairs_of, reports
from medbench_lexical.thirteen import tokenize_13a, tokenize_zh
from nltk.stem.porter import PorterStemmer
from nltk.translate.bleu_score import sentence_bleu
from rouge_score import rouge_scorer

from medbench.errors import DataError
from medbench.types import Pair, Sample, Text

pieces = st.sampled_from(
    [
        "the",
        "Heart",
        "heart",
        "is",
        "normal",
        "effusions",
        "effusion.",
        "4.5",
        "3-4",
        "(left)",
        "&amp;",
        "x&y",
        ",",
        "é",
        "\n",
        "湿疹",
        "<skipped>",
        "a-\nb",
        "$5,000.",
    ]
)
text = st.lists(pieces, max_size=10).map(" ".join)
corpora = st.lists(st.tuples(text, st.lists(text, min_size=1, max_size=3)), min_size=1, max_size=5)


ROOTS = "geology theology feed agreed sky skies dying spied died enjoy happy controll radically hopefully news howe fly flies"
ENDINGS = """
s es ies ed ied eed ing y ly al ally ational tional ation ator izer ization iveness fulness ousness aliti iviti biliti bli entli eli
ousli logi fulli icate ative alize iciti ical ful ness ance ence er ic able ible ant ement ment ent ion sion tion ou ism ate iti ous
ive ize e ll le at bl iz
"""


def value(metric, rows):
    return {name: float(values[0]) for name, (values, _) in metric.reduce(rows, np.ones((1, len(rows)))).items()}


def padded(theirs):
    """References as sacreBLEU takes them: one list for each rank, None where a sample has fewer."""
    return [[known[rank] if rank < len(known) else None for known in theirs] for rank in range(max(map(len, theirs)))]


@given(text=st.text(max_size=60) | text)
@settings(max_examples=200, deadline=None)
def test_tokens_are_those_of_sacrebleu(text):
    for name, ours in (("13a", tokenize_13a), ("zh", tokenize_zh)):
        theirs = sacrebleu.BLEU(tokenize=name).tokenizer(text.rstrip())
        assert ours(text.rstrip()).split() == theirs.split()


@pytest.mark.parametrize("lowercase", [False, True])
@given(corpus=corpora)
@settings(max_examples=60, deadline=None)
def test_bleu_is_that_of_sacrebleu(lowercase, corpus):
    ours, theirs = zip(*corpus, strict=True)
    reference = sacrebleu.BLEU(lowercase=lowercase)
    metric = SacreBleu(lowercase=lowercase)
    rows = metric.measure(pairs_of(theirs, ours))
    assert value(metric, rows)["sacrebleu"] == pytest.approx(reference.corpus_score(list(ours), padded(theirs)).score / 100, abs=1e-12)
    single = sacrebleu.BLEU(lowercase=lowercase, effective_order=True)
    each = [single.sentence_score(said, known).score / 100 for said, known in corpus]
    np.testing.assert_allclose(metric.per_sample(rows)["sacrebleu"], each, rtol=0, atol=1e-12)


def test_the_signature_of_bleu_is_that_of_sacrebleu():
    reference = sacrebleu.BLEU()
    reference.corpus_score(["a"], [["a"], ["b"]])
    metric = SacreBleu()
    metric.measure(pairs_of([["a", "b"]], ["a"]))
    assert metric.signature()["sacrebleu"].rpartition("|")[0] == str(reference.get_signature()).rpartition("|")[0]


@pytest.mark.parametrize(("name", "order"), [("chrf", 0), ("chrf++", 2)])
@given(corpus=corpora)
@settings(max_examples=60, deadline=None)
def test_chrf_is_that_of_sacrebleu(name, order, corpus):
    ours, theirs = zip(*corpus, strict=True)
    reference = sacrebleu.CHRF(word_order=order)
    metric = Chrf()
    rows = metric.measure(pairs_of(theirs, ours))
    assert value(metric, rows)[name] == pytest.approx(reference.corpus_score(list(ours), padded(theirs)).score / 100, abs=1e-12)
    each = [reference.sentence_score(said, known).score / 100 for said, known in corpus]
    np.testing.assert_allclose(metric.per_sample(rows)[name], each, rtol=0, atol=1e-12)


def test_chrf_over_several_blocks():
    known, said = reports(300, seed=8)
    metric = Chrf()
    rows = metric.measure(pairs_of(known, said))
    assert value(metric, rows)["chrf"] == pytest.approx(sacrebleu.corpus_chrf(said, [known]).score / 100, abs=1e-12)


@pytest.mark.parametrize("stemmed", [False, True])
@given(corpus=corpora)
@settings(max_examples=60, deadline=None)
def test_rouge_is_that_of_rouge_score(stemmed, corpus):
    reference = rouge_scorer.RougeScorer(list(NAMES), use_stemmer=stemmed)
    ours, theirs = zip(*corpus, strict=True)
    rows = RougeScore(stem=stemmed).measure(pairs_of(theirs, ours))
    for row, (said, known) in zip(rows, corpus, strict=True):
        wanted = reference.score_multi(known, said)
        np.testing.assert_allclose(row, [wanted[name].fmeasure for name in NAMES], rtol=0, atol=1e-12)


def test_stems_are_those_of_nltk():
    reference = PorterStemmer()
    roots = {word.lower().strip(".,;():") for sentence in SENTENCES for word in sentence.split()}
    roots |= set(ROOTS.split())
    endings = ENDINGS.split()
    words = {root[: len(root) - cut] + ending for root in roots for cut in range(3) for ending in ["", *endings]} - {""}
    assert len(words) > 10_000
    assert [(word, stem(word), reference.stem(word)) for word in sorted(words) if stem(word) != reference.stem(word)] == []


@given(corpus=corpora)
@settings(max_examples=60, deadline=None)
def test_sentence_bleu_is_that_of_nltk(corpus):
    ours, theirs = zip(*corpus, strict=True)
    metric = SentenceBleu(convention={"text": "raw-split@1"})
    rows = metric.measure(pairs_of(theirs, ours))
    for row, (said, known) in zip(rows, corpus, strict=True):
        for n in range(4):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # NLTK warns of every order without a match
                wanted = sentence_bleu([text.split() for text in known], said.split(), weights=[1 / (n + 1)] * (n + 1))
            assert row[n] == pytest.approx(wanted, abs=1e-12)


def slow_deltableu(pairs, weights):
    """The organisers' scorer in the plainest words: counters and loops."""
    correct, total, length, reference = [0.0] * 4, [0.0] * 4, 0, 0
    for pair, own in zip(pairs, weights, strict=True):
        said = tokenize_13a(pair.value.text.lower()).split()
        known = [tokenize_13a(text).split() for text in pair.sample.references]
        length += len(said)
        reference += min((abs(len(text) - len(said)), len(text)) for text in known)[1]
        for n in range(1, 5):
            grams = Counter(tuple(said[i : i + n]) for i in range(len(said) - n + 1))
            sides = [Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1)) for text in known]
            for gram, count in grams.items():
                having = [(side[gram], weight) for side, weight in zip(sides, own, strict=True) if side[gram]]
                if having:
                    correct[n - 1] += min(count, max(c for c, _ in having)) * max(w for _, w in having)
                total[n - 1] += count * max(own)
    logs, missed = [], 0
    for c, t in zip(correct, total, strict=True):
        if t == 0:
            break
        missed += c == 0
        logs.append(math.log(c / t if c else 1 / (2**missed * t)))
    penalty = math.exp(1 - reference / length) if 0 < length < reference else 1.0
    return penalty * math.exp(sum(logs) / len(logs)) if logs else 0.0


@given(corpus=corpora, data=st.data())
@settings(max_examples=60, deadline=None)
def test_deltableu_is_the_organisers_formula(corpus, data):
    pairs, weights = [], []
    for said, known in corpus:
        own = data.draw(st.lists(st.sampled_from([0.6, 0.7, 0.9, 1.0]), min_size=len(known), max_size=len(known)))
        meta = {"reference_weights": " ".join(map(str, own))}
        pairs.append(Pair(Sample(id="s", group="g", split="test", references=tuple(known), meta=meta), Text(text=said)))
        weights.append(own)
    metric = DeltaBleu()
    assert value(metric, metric.measure(pairs))["deltableu"] == pytest.approx(slow_deltableu(pairs, weights), abs=1e-12)


def test_deltableu_keeps_the_case_of_references_as_its_scorer_does():
    metric = DeltaBleu()
    lower, upper = (metric.measure(pairs_of([known], ["It Is Eczema Today"])) for known in ("it is eczema today", "It Is Eczema Today"))
    assert value(metric, lower)["deltableu"] == pytest.approx(1.0)
    assert value(metric, upper)["deltableu"] < 0.2


def test_deltableu_in_chinese_counts_characters():
    metric = DeltaBleu(language="zh")
    rows = metric.measure(pairs_of(["这是湿疹"], ["这是湿疹"]))
    assert rows[0, 4:10].tolist() == [4, 3, 2, 1, 4, 4]


@pytest.mark.parametrize("written", ["0.9", "0.9 x", "0 0", "0.5 0.5 0.5", "-1 -2"])
def test_weights_that_do_not_fit_are_named(written):
    sample = Sample(id="s3", group="g", split="test", references=("a", "b"), meta={"reference_weights": written})
    with pytest.raises(DataError, match="sample s3: reference_weights"):
        DeltaBleu().measure([Pair(sample, Text(text="a"))])


def test_the_weights_of_the_organisers():
    table = [
        reference_weight(physician=p, rank=4 * r, frequent=f, complete=c)
        for c in (1, 0)
        for p, r, f in ((1, 1, 1), (1, 1, 0), (0, 1, 0), (0, 0, 0))
    ]
    assert table == [1.0, 0.9, 0.8, 0.7, 0.9, 0.8, 0.7, 0.6]


@pytest.mark.parametrize(
    ("said", "known", "f1", "exact"),
    [
        ("", [""], 1, 1),
        ("", ["a"], 0, 0),
        ("a", [""], 0, 0),
        ("a a", ["a"], 2 / 3, 0),
        ("B  a", ["a b"], 1, 0),
        ("A b", ["x", "a b"], 1, 1),
    ],
)
def test_short_answers_by_hand(said, known, f1, exact):
    pairs = pairs_of([known], [said])
    assert TokenF1().measure(pairs)[0, 0] == pytest.approx(f1)
    assert ExactMatch().measure(pairs)[0, 0] == exact


def plain_f1(ours, theirs):
    """Bags of words in the plainest way: F1, precision, recall."""
    if not ours or not theirs:
        return (float(ours == theirs),) * 3
    common = (ours & theirs).total()
    precision, recall = common / ours.total(), common / theirs.total()
    return (2 * precision * recall / (precision + recall) if common else 0.0), precision, recall


@given(corpus=corpora)
@settings(max_examples=100, deadline=None)
def test_token_f1_has_the_bits_of_counted_bags(corpus):
    ours, theirs = zip(*corpus, strict=True)
    rows = TokenF1(convention={"text": "raw-split@1"}).measure(pairs_of(theirs, ours))
    bags = [(Counter(said.split()), [Counter(text.split()) for text in known]) for said, known in corpus]
    assert rows.tolist() == [list(max(plain_f1(said, bag) for bag in known)) for said, known in bags]
