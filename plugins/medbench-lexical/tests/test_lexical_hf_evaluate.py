from __future__ import annotations

import sys
import types

import msgspec
import numpy as np
import pytest
from medbench_lexical.hf_evaluate import HfEvaluate
from medbench_lexical.synthetic import pairs_of

from medbench.cards import MetricCard
from medbench.errors import UsageError
from medbench.registry import load_registry


class Share:
    """A metric of the library's kind: how many predictions are among their references."""

    def compute(self, *, predictions, references, scale=1):
        right = sum(said in (known if isinstance(known, list) else [known]) for said, known in zip(predictions, references, strict=True))
        return {"share": scale * right / len(predictions), "n": len(predictions), "each": [1, 2], "name": "share"}


@pytest.fixture
def library(monkeypatch):
    made = types.ModuleType("evaluate")
    made.__version__ = "0.4.9"

    def load(name):
        if name == "share":
            return Share()
        raise FileNotFoundError(f"Couldn't find a module script at\n {name}. Module doesn't exist on the Hub either.")

    made.load = load
    monkeypatch.setitem(sys.modules, "evaluate", made)
    return made


def test_numbers_pass_through_and_lists_do_not(library):
    metric = HfEvaluate(name="share", compute={"scale": 10})
    rows = metric.measure(pairs_of(["a", "b", "c"], ["a", "b", "x"]))
    reduced = metric.reduce(rows, np.array([[1, 1, 1], [0, 0, 2], [0, 0, 0]]))
    assert set(reduced) == {"share", "n"}
    assert reduced["share"][0].tolist()[:2] == [pytest.approx(20 / 3), 0]
    assert np.isnan(reduced["share"][0][2])
    assert reduced["n"][0].tolist()[:2] == [3, 2]
    assert metric.signature() == {"hf-evaluate": "share", "evaluate": "0.4.9", "compute": {"scale": 10}}


def test_several_references_go_as_lists(library):
    metric = HfEvaluate(name="share")
    rows = metric.measure(pairs_of([["a", "b"], ["c"]], ["b", "x"]))
    assert metric.reduce(rows, np.ones((1, 2)))["share"][0][0] == 0.5


def test_rows_can_be_kept(library):
    metric = HfEvaluate(name="share")
    rows = metric.measure(pairs_of(["a"], ["b"]))
    assert msgspec.json.decode(msgspec.json.encode(rows), type=list[HfEvaluate.Row]) == rows


def test_a_metric_that_cannot_be_had_offline_is_one_clear_line(library, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError) as caught:
        HfEvaluate(name="rouge").measure(pairs_of(["a"], ["b"]))
    assert str(caught.value).startswith("hf-evaluate:rouge cannot be loaded from the hub, offline: ")
    assert "\n" not in str(caught.value)
    assert "hf-evaluate:FOLDER" in caught.value.hint


def test_a_broken_folder_is_told_apart_from_the_hub(library, tmp_path):
    with pytest.raises(UsageError, match="cannot be loaded from its folder"):
        HfEvaluate(name=str(tmp_path)).measure(pairs_of(["a"], ["b"]))


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "evaluate", None)
    with pytest.raises(UsageError, match="needs the package evaluate") as caught:
        HfEvaluate(name="rouge").measure(pairs_of(["a"], ["b"]))
    assert "medbench-lexical[hf]" in caught.value.hint


def test_a_name_is_needed_and_found_behind_the_colon():
    with pytest.raises(UsageError, match="which metric"):
        HfEvaluate()
    assert load_registry().get(MetricCard, "hf-evaluate:rouge").name == "hf-evaluate"
