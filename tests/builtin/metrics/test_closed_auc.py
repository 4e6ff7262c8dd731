"""AUROC of yes/no questions from the probabilities of answers: scikit-learn's value, and nothing where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medbench.builtin.metrics.closed_auc import ClosedAuc
from medbench.builtin.protocols.vqa import Vqa
from medbench.types import Generate, Pair, Sample, Text


def pair(truth, yes=None, covered=0.8):
    logprobs = {} if yes is None else {"yes": float(np.log(yes * covered)), "no": float(np.log((1 - yes) * covered))}
    sample = Sample(id="s", group="g", split="test", references=(truth,))
    return Pair(sample, Text(text="?", option_logprobs=logprobs, covered=covered if logprobs else 0.0))


def reduced(pairs, weights=None):
    metric = ClosedAuc()
    return metric.reduce(metric.measure(pairs), np.ones((1, len(pairs))) if weights is None else weights)


def test_it_is_sklearns_area_also_under_weights():
    rng = np.random.default_rng(3)
    truth, yes = rng.integers(0, 2, 60), rng.uniform(0.01, 0.99, 60).round(1).clip(0.05, 0.95)
    pairs = [pair("Yes." if t else "no", y) for t, y in zip(truth, yes, strict=True)]
    weights = rng.integers(0, 3, (4, 60))
    areas, used = reduced(pairs, weights)["auroc"]
    assert areas == pytest.approx([roc_auc_score(truth, yes, sample_weight=w) for w in weights])
    assert used.all()


def test_open_questions_choices_and_answers_without_probabilities_do_not_enter():
    pairs = [pair("yes", 0.9), pair("no", 0.2), pair("left", 0.5), pair("yes"), pair("no", 0.4)]
    areas, used = reduced(pairs)["auroc"]
    assert (areas[0], used.tolist()) == (1.0, [True, True, False, False, True])
    assert reduced(pairs)["covered"][0][0] == pytest.approx(0.8)


def test_without_any_probability_there_is_no_score():
    assert reduced([pair("yes"), pair("no")]) == {}


def test_one_kind_of_truth_is_undefined():
    assert np.isnan(reduced([pair("yes", 0.9), pair("yes", 0.1)])["auroc"][0][0])


@pytest.mark.parametrize(
    ("answer_type", "options", "expected"),
    [
        ("CLOSED", "closed", ("yes", "no")),
        ("closed ", "closed", ("yes", "no")),
        ("OPEN", "closed", ()),
        ("", "closed", ()),
        ("CLOSED", "none", ()),
    ],
)
def test_options_are_offered_by_the_annotation_alone(answer_type, options, expected):
    sample = Sample(id="s", group="g", split="test", prompt="Is it?", references=("yes",), meta={"answer_type": answer_type})
    request = Vqa().request(sample, Vqa.Params(options=options))
    assert isinstance(request, Generate)
    assert request.options == expected
