"""The baselines that look at nothing: majority, most-common-report, random-answer."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.builtin.models.answers import spellings
from medbench.builtin.models.majority import Majority, MostCommonReport
from medbench.builtin.models.random_answer import RandomAnswer
from medbench.errors import DataError, UsageError
from medbench.types import Embed, Failed, Generate, Image, Text

TRAIN = [
    ("PRES", "Yes"),
    ("PRES", "yes"),
    ("PRES", " yes "),
    ("PRES", "No"),
    ("PRES", "No"),
    ("POS", "left lung"),
    ("POS", "Left lung"),
    ("POS", "left lung"),
    ("POS", "right lung"),
    ("POS, ABN", "aorta"),
    ("PLANE", "axial"),
    ("PLANE", "PA"),
    ("SIZE", "   "),
]


def examples(rows=TRAIN):
    return [(Generate(prompt=f"question {number}", kind=kind), Text(text=text)) for number, (kind, text) in enumerate(rows)]


def asked(*kinds):
    return [Generate(prompt=f"asked {number}", kind=kind) for number, kind in enumerate(kinds)]


def texts(outputs):
    return [output.text for output in outputs]


def fitted(cls, out, rows=TRAIN, seed=0, **options):
    cls(**options).fit(examples(rows), [], out, seed, None)
    return cls(weights=str(out), **options)


def folder(path):
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


# --- majority ---------------------------------------------------------------------------------------------------------


def test_majority_counts_whatever_the_case_and_answers_in_the_most_frequent_spelling(tmp_path):
    model = fitted(Majority, tmp_path / "fit")
    assert texts(model.generate(asked("PRES", "POS", " PRES "))) == ["yes", "left lung", "yes"]


def test_majority_breaks_ties_by_the_answer_and_not_by_order(tmp_path):
    assert texts(fitted(Majority, tmp_path / "one").generate(asked("PLANE"))) == ["axial"]
    assert texts(fitted(Majority, tmp_path / "other", TRAIN[::-1]).generate(asked("PLANE"))) == ["axial"]
    assert folder(tmp_path / "one") == folder(tmp_path / "other")


def test_majority_falls_back_to_the_parts_of_a_kind_then_to_all_of_train(tmp_path):
    model = fitted(Majority, tmp_path / "fit")
    assert texts(model.generate(asked("POS, ABN"))) == ["aorta"], "a joined kind that train has is a kind of its own"
    assert texts(model.generate(asked("COUNT, POS"))) == ["left lung"], "the known part decides"
    assert texts(model.generate(asked("POS,PLANE,PRES"))) == ["left lung"], "known parts are counted together; ties by the text"
    assert texts(model.generate(asked("COUNT", "", "A, B"))) == ["left lung"] * 3, "nothing known: all of train"


def test_majority_reports_what_it_counted(tmp_path):
    seen = []
    facts = Majority().fit(iter(examples()), [], tmp_path / "fit", 3, lambda *args: seen.append(args))
    assert facts == {"n_examples": 12, "n_kinds": 4}, "the blank answer teaches nothing"
    assert seen == [({"step": 12, "steps": 12},)]
    model = Majority(weights=str(tmp_path / "fit"))
    assert model.facts() == facts, "no answer: facts travel with the record, and answers may be private"
    assert Majority().facts() == {}


@given(st.dictionaries(st.text(max_size=4), st.integers(1, 9), min_size=1))
def test_spellings_keep_every_count_and_do_not_depend_on_order(counts):
    found = spellings(counts)
    assert sum(found.values()) == sum(counts.values())
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert len({text.casefold() for text in found}) == len(found)
    assert list(found.items()) == list(spellings(dict(sorted(counts.items(), reverse=True))).items())


# --- most common report -----------------------------------------------------------------------------------------------


def test_most_common_report_is_verbatim(tmp_path):
    rows = [("", "No acute disease.\nHeart normal. "), ("", "Effusion."), ("", "No acute disease.\nHeart normal. "), ("", "effusion.")]
    model = fitted(MostCommonReport, tmp_path / "fit", rows)
    assert texts(model.generate(asked("", "x"))) == ["No acute disease.\nHeart normal. "] * 2
    assert model.facts() == {"n_examples": 4, "count": 2}
    fitted(MostCommonReport, tmp_path / "other", rows[::-1])
    assert folder(tmp_path / "fit") == folder(tmp_path / "other")


def test_most_common_report_breaks_ties_by_the_text(tmp_path):
    assert texts(fitted(MostCommonReport, tmp_path / "fit", [("", "b"), ("", "a")]).generate(asked(""))) == ["a"]


# --- random answer ----------------------------------------------------------------------------------------------------


def test_random_answer_does_not_depend_on_order_or_window(tmp_path):
    model = fitted(RandomAnswer, tmp_path / "fit")
    requests = asked(*["PRES", "POS", "nothing"] * 20)
    whole = texts(model.generate(requests))
    again = RandomAnswer(weights=str(tmp_path / "fit"))
    assert texts(again.generate(requests[::-1])) == whole[::-1]
    assert [text for request in requests for text in texts(again.generate([request]))] == whole


def test_random_answer_depends_on_the_seed_and_on_the_content_of_the_request(tmp_path):
    requests = asked(*["PRES"] * 60)
    one, other = (texts(fitted(RandomAnswer, tmp_path / str(seed), seed=seed).generate(requests)) for seed in (1, 2))
    assert one != other
    assert len({text.casefold() for text in one}) == 2
    model = RandomAnswer(weights=str(tmp_path / "1"))
    image = Image(path="a.png", digest="d" * 32)
    here = [Generate(prompt=str(n), images=(image,), kind="PRES") for n in range(60)]
    moved = [Generate(prompt=str(n), images=(Image(path="b.png", digest="d" * 32),), kind="PRES") for n in range(60)]
    blank = [Generate(prompt=str(n), images=(Image(path="a.png", digest="d" * 32, preset="blank"),), kind="PRES") for n in range(60)]
    assert model.generate(here) == model.generate(moved), "where a file lies does not matter"
    assert model.generate(here) != model.generate(blank)


def test_random_answer_is_as_likely_as_it_is_frequent_unless_uniform(tmp_path):
    rows = [("K", "Yes")] * 5 + [("K", "yes")] * 4 + [("K", "no")]
    requests = asked(*["K"] * 4000)
    drawn = Counter(texts(fitted(RandomAnswer, tmp_path / "weighted", rows).generate(requests)))
    assert {text: round(count / 4000, 1) for text, count in drawn.items()} == {"Yes": 0.5, "yes": 0.4, "no": 0.1}
    even = Counter(texts(fitted(RandomAnswer, tmp_path / "uniform", rows, uniform=True).generate(requests)))
    assert set(even) == {"Yes", "no"}, "an answer that differs by case only is one answer"
    assert even["no"] / 4000 == pytest.approx(0.5, abs=0.04)


def test_random_answer_writes_the_same_bytes_whatever_the_order_of_train(tmp_path):
    fitted(RandomAnswer, tmp_path / "one", seed=7)
    model = fitted(RandomAnswer, tmp_path / "other", TRAIN[::-1], seed=7)
    assert folder(tmp_path / "one") == folder(tmp_path / "other")
    assert model.facts() == {"n_examples": 12, "n_kinds": 4, "seed": 7}


def test_random_answer_refuses_a_uniform_that_is_no_truth_value():
    with pytest.raises(UsageError, match="uniform = 'yes'") as caught:
        RandomAnswer(uniform="yes")
    assert caught.value.hint == "allowed: true, false"


# --- what all share ---------------------------------------------------------------------------------------------------

ALL = pytest.mark.parametrize("cls", [Majority, MostCommonReport, RandomAnswer])


@ALL
def test_answers_are_finished_texts_one_per_request(cls, tmp_path):
    model = fitted(cls, tmp_path / "deep" / "fit")
    outputs = list(model.generate(asked("PRES", "odd", "")))
    assert len(outputs) == 3
    assert all(isinstance(output, Text) and output.finish_reason == "stop" for output in outputs)
    assert list(model.generate([])) == []


@ALL
def test_a_model_that_was_not_fitted_says_so(cls):
    with pytest.raises(UsageError, match="was not fitted"):
        cls().generate(asked("PRES"))


@ALL
def test_a_train_split_without_targets_is_refused(cls, tmp_path):
    for rows in ([], [("PRES", " ")]):
        with pytest.raises(DataError, match="no train example"):
            cls().fit(examples(rows), [], tmp_path / "fit", 0, None)


@ALL
def test_examples_of_another_capability_are_a_programming_error(cls, tmp_path):
    for example in ((Embed(text="x"), Text(text="y")), (Generate(prompt="x"), Failed(kind="model", error="y"))):
        with pytest.raises(TypeError, match=r"fitted on \(Generate, Text\)"):
            cls().fit([example], [], tmp_path / "fit", 0, None)


@ALL
def test_weights_that_are_missing_torn_or_foreign_are_named(cls, tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*No such file"):
        cls(weights=str(tmp_path / "nowhere"))
    fitted(cls, tmp_path / "fit")
    (file,) = (tmp_path / "fit").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=file.name):
        cls(weights=str(tmp_path / "fit"))
    file.write_text(json.dumps({"other": 1}))
    with pytest.raises(DataError, match=file.name):
        cls(weights=str(tmp_path / "fit"))


@ALL
def test_an_unknown_option_is_refused(cls):
    with pytest.raises(TypeError, match="colour"):
        cls(colour=1)
