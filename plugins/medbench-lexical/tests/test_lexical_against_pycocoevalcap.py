from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medbench_lexical import bleu, cider, rouge_l
from medbench_lexical.bleu import Bleu
from medbench_lexical.cider import Cider
from medbench_lexical.conventions import Texts
from medbench_lexical.meteor import Meteor
from medbench_lexical.rouge_l import RougeL
from medbench_lexical.synthetic import pairs_of, reports
from pycocoevalcap.bleu.bleu import Bleu as ReferenceBleu
from pycocoevalcap.cider.cider import Cider as ReferenceCider
from pycocoevalcap.rouge.rouge import Rouge as ReferenceRouge

GOLDEN = json.loads((Path(__file__).parent / "golden" / "coco.json").read_text())
needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java on the PATH")

token = st.sampled_from(["a", "b", "c", "the", "heart", "", "é", "\n", "\u00a0"])
text = st.lists(token, max_size=9).map(" ".join)
corpora = st.lists(st.tuples(text, st.lists(text, min_size=1, max_size=3)), min_size=1, max_size=7)


def reference(scorer, ours, theirs, **options):
    gts, res = {i: list(known) for i, known in enumerate(theirs)}, {i: [said] for i, said in enumerate(ours)}
    with contextlib.redirect_stdout(io.StringIO()):
        return scorer.compute_score(gts, res, **options)


@given(corpus=corpora)
@settings(max_examples=80, deadline=None)
def test_bleu_has_the_bits_of_pycocoevalcap(corpus):
    ours, theirs = zip(*corpus, strict=True)
    wanted, each = reference(ReferenceBleu(4), ours, theirs, verbose=0)
    rows = bleu.statistics(Texts(tuple(ours), tuple(map(tuple, theirs))))
    metric = Bleu()
    assert [float(values[0]) for values, _ in metric.reduce(rows, np.ones((1, len(rows)))).values()] == wanted
    assert [column.tolist() for column in metric.per_sample(rows).values()] == each


@given(corpus=corpora)
@settings(max_examples=80, deadline=None)
def test_rouge_l_has_the_bits_of_pycocoevalcap(corpus):
    ours, theirs = zip(*corpus, strict=True)
    wanted, each = reference(ReferenceRouge(), ours, theirs)
    scores = rouge_l.scores(Texts(tuple(ours), tuple(map(tuple, theirs))))
    assert scores.tolist() == each.tolist()
    assert float(RougeL().reduce(scores[:, None], np.ones((1, len(scores))))["rouge-l"][0][0]) == wanted


@given(corpus=corpora)
@settings(max_examples=80, deadline=None)
def test_cider_is_that_of_pycocoevalcap(corpus):
    ours, theirs = zip(*corpus, strict=True)
    if not any(known.split() for texts in theirs for known in texts):
        return  # the reference implementation fails where no reference has a word
    wanted, each = reference(ReferenceCider(), ours, theirs)
    scores = cider.scores(Texts(tuple(ours), tuple(map(tuple, theirs))))
    np.testing.assert_allclose(scores, each, rtol=0, atol=1e-12)
    assert scores.mean() == pytest.approx(wanted, abs=1e-12)


def test_reports_of_real_length_are_equal_too():
    known, said = reports(400, seed=4)
    ours, theirs = [text.lower() for text in said], [(text.lower(),) for text in known]
    texts = Texts(tuple(ours), tuple(theirs))
    rows = bleu.statistics(texts)
    assert [float(v[0]) for v, _ in Bleu().reduce(rows, np.ones((1, 400))).values()] == reference(
        ReferenceBleu(4), ours, theirs, verbose=0
    )[0]
    assert np.mean(rouge_l.scores(texts)) == reference(ReferenceRouge(), ours, theirs)[0]
    np.testing.assert_allclose(cider.scores(texts), reference(ReferenceCider(), ours, theirs)[1], rtol=0, atol=1e-12)


def test_rouge_l_with_more_tokens_than_unicode_has_characters(monkeypatch):
    known, said = reports(20, seed=4)
    texts = Texts(tuple(said), tuple((text,) for text in known))
    wanted = rouge_l.scores(texts)
    monkeypatch.setattr(rouge_l, "_CHARACTERS", 10)
    np.testing.assert_array_equal(rouge_l.scores(texts), wanted)


@needs_java
@pytest.mark.parametrize(("made_by", "name"), [(RougeL, "rouge-l"), (Cider, "cider")])
def test_golden_reports_under_coco_ptb(made_by, name):
    metric = made_by(convention={"text": "coco-ptb@1"})
    rows = metric.measure(pairs_of(*golden()))
    np.testing.assert_allclose(metric.per_sample(rows)[name], GOLDEN[name]["samples"], rtol=0, atol=1e-12)
    value = metric.reduce(rows, np.ones((1, len(rows))))[name][0][0]
    assert value == pytest.approx(GOLDEN[name]["corpus"], abs=1e-12)


@needs_java
def test_golden_reports_have_the_same_bleu():
    metric = Bleu()
    rows = metric.measure(pairs_of(*golden()))
    assert [float(values[0]) for values, _ in metric.reduce(rows, np.ones((1, len(rows)))).values()] == GOLDEN["bleu"]["corpus"]
    assert [column.tolist() for column in metric.per_sample(rows).values()] == GOLDEN["bleu"]["samples"]


@needs_java
@pytest.mark.slow
def test_golden_reports_have_the_same_meteor():
    metric = Meteor()
    rows = metric.measure(pairs_of(*golden()))
    assert rows.shape == (len(GOLDEN["texts"]), 23)
    np.testing.assert_allclose(metric.per_sample(rows)["meteor"], GOLDEN["meteor"]["samples"], rtol=0, atol=1e-12)
    value = metric.reduce(rows, np.ones((1, len(rows))))["meteor"][0][0]
    assert value == pytest.approx(GOLDEN["meteor"]["corpus"], abs=1e-12)


def golden():
    return [known for _, known in GOLDEN["texts"]], [said for said, _ in GOLDEN["texts"]]
