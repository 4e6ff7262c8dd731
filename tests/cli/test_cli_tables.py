"""The foot of a result: what must be known beside the values."""

from __future__ import annotations

from pathlib import Path

from medbench.cli.tables import print_scores
from medbench.record import DataFacts, ModelFacts, RunRecord, Score
from medbench.registry import load_registry


def _shown(capsys, note="rough interval: only 10 groups", **facts):
    score = Score(metric="vqa", name="overall", value=0.5, low=0.4, high=0.6, n=10, n_groups=10, note=note, **facts)
    record = RunRecord(
        task="t",
        fingerprint="f",
        model=ModelFacts(name="m", identity="m-1"),
        data=DataFacts(dataset="d", split="test", group="study"),
        protocol="vqa",
        scores=(score,),
        n_predictions=10,
    )
    print_scores(record, load_registry(), Path("runs/t/m/f"))
    return capsys.readouterr().out


def test_answers_that_were_cut_or_could_not_be_read_are_counted_where_there_are_any(capsys):
    assert "coverage 10/10 · empty 0 · unparsable 2 · cut by the length limit 3" in _shown(capsys, n_unparsable=2, n_truncated=3)
    assert "coverage 10/10 · empty 0\n" in _shown(capsys)


def test_a_rough_interval_is_told_in_the_datasets_own_unit(capsys):
    assert "† a rough interval: fewer than 20 studies" in _shown(capsys)


def test_what_a_score_says_beside_its_value_is_told_below_the_table(capsys):
    assert "\noverall: real and real 0.3\n" in _shown(capsys, note="real and real 0.3")
    assert "\noverall at centre=a: real and real 0.3\n" in _shown(capsys, note="real and real 0.3", subgroup={"centre": "a"})
    assert "overall:" not in _shown(capsys)
