from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module

import medbench_lexical
import numpy as np
import pytest
from medbench_lexical.synthetic import pairs_of, reports

from medbench.errors import UsageError
from medbench.registry import load, load_registry
from medbench.testing.metric_checks import check_metric

CARDS = {card.name: card for card in medbench_lexical.medbench_cards()}
PLAIN = ["bleu", "rouge-l", "cider", "sentence-bleu", "exact-match", "token-f1", "rouge-score", "sacrebleu", "chrf", "deltableu"]
_MODULES_TEXT = """
bleu chrf cider conventions deltableu hf_evaluate java memory meteor ngrams paraphrases porter ptb rouge_l rouge_score
sacrebleu sentence_bleu short_answers synonyms synthetic thirteen weighting
"""
MODULES = _MODULES_TEXT.split()


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_hold(name):
    result = doctest.testmod(import_module(f"medbench_lexical.{name}"))
    assert result.failed == 0


def test_every_metric_class_has_an_example():
    for card in CARDS.values():
        if card.name != "hf-evaluate":
            assert ">>>" in load(card).__doc__, card.name


def test_the_plugin_is_found_with_all_its_cards():
    registry = load_registry()
    assert {name for name in CARDS if registry.plugin_of(CARDS[name]) == "medbench-lexical"} == set(CARDS)
    assert len(CARDS) == 12


def test_the_cards_import_nothing_heavy():
    code = "import sys, medbench_lexical as m; m.medbench_cards(); print({'numpy', 'rapidfuzz', 'pycocoevalcap'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", PLAIN)
def test_each_metric_keeps_what_its_card_promises(name):
    references, predictions = reports(6, seed=3)
    pairs = pairs_of([[known, known.upper()] for known in references], predictions)
    convention = {"text": "lower-split@1"} if CARDS[name].conventions else {}
    values = check_metric(CARDS[name], pairs, convention=convention)
    assert set(values) == set(CARDS[name].scores)
    assert all(0 <= value <= (CARDS[name].facts(score).high or 1) for score, value in values.items())


@pytest.mark.parametrize("name", [name for name in PLAIN if CARDS[name].conventions])
def test_every_convention_of_a_card_is_known_to_its_class(name):
    pairs = pairs_of(["no effusion is seen. heart normal."] * 3, ["no effusion.", "heart normal.", "x"])
    for convention in CARDS[name].conventions["text"]:
        needed = {"train_references": ["no effusion is seen. heart normal."] * 10} if convention in CARDS[name].train_conventions else {}
        rows = load(CARDS[name])(convention={"text": convention}, **needed).measure(pairs)
        assert np.isfinite(rows).all()


@pytest.mark.parametrize("name", [name for name in CARDS if CARDS[name].conventions])
@pytest.mark.parametrize("asked", ["coco-ptbb@1", "coco-ptb@2"])
def test_an_unknown_convention_is_refused_with_the_nearest_one(name, asked):
    with pytest.raises(UsageError, match=f"no text convention {asked}") as caught:
        load(CARDS[name])(convention={"text": asked})
    assert "coco-ptb@1" in caught.value.hint


@pytest.mark.parametrize("name", PLAIN)
def test_no_samples_is_no_number_and_no_crash(name):
    metric = load(CARDS[name])(convention={"text": "lower-split@1"})
    rows = metric.measure([])
    assert len(rows) == 0
    for values, used in metric.reduce(rows, np.ones((2, 0))).values():
        assert np.isnan(values).all()
        assert len(used) == 0
