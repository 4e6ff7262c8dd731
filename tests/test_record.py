"""Records: written and read back, the same bytes for the same data, added to and never overwritten."""

from __future__ import annotations

import msgspec
import pytest

from medbench.errors import DataError
from medbench.record import Contrast, DataFacts, ModelFacts, RunRecord, Score, merge, merge_contrasts, read_record, to_json


def score(name="overall", value=0.5, **fields):
    return Score(metric="vqa", name=name, value=value, **fields)


def record(**fields):
    given = {"model": ModelFacts(name="m", identity="m-1"), "data": DataFacts(dataset="d", split="test"), "protocol": "vqa", **fields}
    return RunRecord(task="t", fingerprint="f", **given)


def test_it_comes_back_as_it_was(tmp_path):
    made = record(
        scores=(score(low=0.1, high=0.9, convention={"vqa": "exact@1"}), score("none", None, note="undefined")),
        contrasts=(Contrast(metric="vqa", name="overall", one="images=blank", other="images=true", difference=-0.1),),
        params={"prompt": "☃", "nested": {"b": 1, "a": [1.5, None]}},
    )
    (tmp_path / "run.json").write_bytes(to_json(made))
    assert read_record(tmp_path / "run.json") == made


def test_the_same_data_are_the_same_bytes():
    one, other = record(params={"a": 1, "b": 2}), record(params={"b": 2, "a": 1})
    assert to_json(one) == to_json(other)
    assert to_json(one).endswith(b"}\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b'{"task": "t"', "truncated|malformed|unexpected end"), (b"{}", "missing required field"), (b'{"zzz": 1}', "zzz")],
)
def test_what_is_no_record_is_a_message(tmp_path, content, said):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(DataError, match=f"(?i){said}") as caught:
        read_record(tmp_path / "run.json")
    assert "run.json" in caught.value.message


def test_a_model_is_called_as_it_calls_itself_once_loaded():
    facts = ModelFacts(name="m", identity="m-1")
    assert facts.called == "m"
    assert msgspec.structs.replace(facts, loaded={"called": "m on another base"}).called == "m on another base"
    assert "called" not in to_json(record(model=facts)).decode()


def test_a_record_that_is_not_there_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match="no such record"):
        read_record(tmp_path / "run.json")


def test_a_new_score_takes_the_place_of_the_old_and_others_stay():
    old = (score("a", 0.1), score("b", 0.2), score("a", 0.3, condition={"images": "blank"}), score("a", 0.4, subgroup={"site": "x"}))
    new = (score("b", 0.9), score("a", 0.8, convention={"vqa": "other@1"}))
    assert [(one.name, one.value) for one in merge(old, new)] == [("a", 0.1), ("b", 0.9), ("a", 0.3), ("a", 0.4), ("a", 0.8)]
    assert merge(old, old) == old


def test_what_makes_a_score_another_score():
    plain = score()
    others = [
        msgspec.structs.replace(plain, **change)
        for change in (
            {"metric": "x"},
            {"name": "x"},
            {"convention": {"a": "b"}},
            {"condition": {"a": 1}},
            {"subgroup": {"a": "b"}},
        )
    ]
    assert len({plain.identity, *(one.identity for one in others)}) == 6
    assert msgspec.structs.replace(plain, value=0.9, n=3, note="x").identity == plain.identity


def test_contrasts_are_merged_alike():
    def contrast(one, difference):
        return Contrast(metric="vqa", name="overall", one=one, other="images=true", difference=difference)

    merged = merge_contrasts((contrast("images=blank", 0.1), contrast("images=shuffled", 0.2)), (contrast("images=blank", 0.3),))
    assert [one.difference for one in merged] == [0.3, 0.2]


@pytest.mark.parametrize(("n", "failed", "unscored", "share"), [(0, 0, 0, 0.0), (3, 1, 0, 0.75), (3, 1, 2, 0.5), (4, 0, 0, 1.0)])
def test_coverage_is_the_share_that_was_scored(n, failed, unscored, share):
    assert score(n=n, n_failed=failed, n_unscored=unscored).coverage == share


def test_a_record_is_complete_when_nothing_failed_and_all_was_scored():
    assert record(scores=(score(),)).complete
    assert not record(n_failed=1).complete
    assert not record(scores=(score(n_unscored=1),)).complete
