"""References that stand in train: marked by the reader, counted in the record, scored apart on request."""

from __future__ import annotations

import pytest

from medbench import run
from medbench.builtin.datasets.iu_xray import IuXray
from medbench.builtin.datasets.novelty import COLUMN, copied_remark, with_novelty
from medbench.types import Sample, Text


def sample(name, *references, split="test", **meta):
    return Sample(id=name, group=name, split=split, references=references, meta=meta)


def test_only_samples_outside_train_are_marked():
    samples = [sample("a", " Clear. "), sample("b", "Wet.", view="PA"), sample("c", "Clear.", split="train"), sample("d", "New.", "Clear.")]
    found = {s.id: s.meta for s in with_novelty(samples, {"Clear."})}
    assert found == {"a": {COLUMN: "yes"}, "b": {"view": "PA", COLUMN: "no"}, "c": {}, "d": {COLUMN: "yes"}}


def test_the_remark_counts_what_was_looked_at():
    samples = list(with_novelty([sample("a", "x"), sample("b", "y"), sample("c", "x")], {"x"}))
    (remark,) = copied_remark([*samples, sample("unmarked", "x")])
    assert remark.startswith("2 of the 3 test references (66.7 %) occur word for word in train")
    assert copied_remark([sample("a", "x")]) == []


class Silent:
    name = "silent"

    def generate(self, requests):
        return [Text(text="clear") for _ in requests]


def test_the_rate_is_in_the_record_and_novel_references_are_scored_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    IuXray().write_twin(tmp_path / "iu", 24, 6)
    marked = [s.meta[COLUMN] for s in IuXray().read(tmp_path / "iu", "test", {})]
    assert 0 < marked.count("yes") < len(marked)
    record = run("iuxray-mrg", Silent(), data=tmp_path / "iu", runs_dir=tmp_path / "runs", metrics=("vqa",), by=(COLUMN,))
    assert record.data.duplicate_rate == pytest.approx(marked.count("yes") / len(marked))
    apart = {s.subgroup[COLUMN]: s.n for s in record.scores if s.name == "overall" and COLUMN in s.subgroup}
    assert apart == {"yes": marked.count("yes"), "no": marked.count("no")}
