"""The promises of the cards, tried out with the kit that medbench brings."""

from __future__ import annotations

import doctest

import medbench_oneword
from medbench_oneword import metric

from medbench.cards import MetricCard, ModelCard
from medbench.testing import check_metric, check_model
from medbench.types import Generate, Pair, Sample, Text

MODEL = next(card for card in medbench_oneword.CARDS if isinstance(card, ModelCard))
METRIC = next(card for card in medbench_oneword.CARDS if isinstance(card, MetricCard))


def test_the_model_answers_by_the_words_of_the_question() -> None:
    questions = ("Where is the mass?", "Is there a fracture?", "How many nodules are there?")
    outputs = check_model(MODEL, {"otherwise": "no"}, [Generate(prompt=question) for question in questions])
    assert [output.text for output in outputs if isinstance(output, Text)] == ["right", "no", "1"]


def test_the_metric_compares_first_words() -> None:
    answers = (("Yes", "yes, there is"), ("right lung", "Right"), ("axial", "the axial plane"), ("no", ""))
    pairs = [
        Pair(Sample(id=str(at), group=str(at), split="test", references=(truth,)), Text(text=answer))
        for at, (truth, answer) in enumerate(answers)
    ]
    assert check_metric(METRIC, pairs) == {"first-word": 0.5, "length": 7 / 4}


def test_the_example_in_the_docstring_is_true() -> None:
    tried = doctest.testmod(metric)
    assert (tried.attempted, tried.failed) == (3, 0)
