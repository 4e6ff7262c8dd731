"""Joining rows to samples: nothing is guessed, and whatever does not fit is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from medbench.errors import DataError
from medbench.foreign import Row
from medbench.joining import join
from medbench.types import Failed, Sample, Text

PATH = Path("p.jsonl")
ABSENT = Failed(kind="input", error="no prediction in the file")


def sample(number, **aliases):
    return Sample(id=f"s{number}", group="g", split="test", prompt=f"Is it number {number}?", aliases=aliases)


SAMPLES = [sample(number, qid=str(100 + number), study=str(number // 2)) for number in range(4)]


def rows(*pairs, question="", **condition):
    return [Row(line=n, id=name, value=Text(text=text), question=question, condition=condition) for n, (name, text) in enumerate(pairs, 1)]


def everything(prefix="s", base=0):
    return rows(*((f"{prefix}{base + n}", f"t{n}") for n in range(4)))


def joined(given, **options):
    return join(given, options.pop("samples", SAMPLES), PATH, **options)


def texts(made):
    return {one.sample: one.value.text if isinstance(one.value, Text) else one.value for one in made.predictions}


def test_a_whole_file_fits():
    made = joined(everything())
    assert texts(made) == {f"s{n}": f"t{n}" for n in range(4)}
    assert (made.missing, made.unknown, made.repeated, made.matched_by) == ((), (), (), "id")


def test_what_is_missing_unknown_or_there_twice_is_named():
    made = joined(rows(("s1", "a"), ("zz", "b"), ("s1", "a"), ("s3", "c"), ("zz", "b")))
    assert texts(made) == {"s1": "a", "s3": "c", "s0": ABSENT, "s2": ABSENT}
    assert (made.missing, made.unknown, made.repeated) == (("s0", "s2"), ("zz",), ("s1", "zz"))


def test_one_id_with_two_predictions_is_refused():
    with pytest.raises(DataError, match="s1 stands on lines 1 and 3 with different predictions"):
        joined(rows(("s1", "a"), ("s2", "b"), ("s1", "c")))


def test_nothing_that_fits_is_refused_with_an_example_of_both():
    with pytest.raises(DataError, match=r"none of its 2 ids is an id of the split \(it has 'x1', the split 's0'\)") as caught:
        joined(rows(("x1", "a"), ("x2", "b")))
    assert caught.value.hint == "--id NAME for another name of the samples: qid, study"


def test_an_alias_leads_to_the_sample():
    made = joined(everything("10"), alias="qid")
    assert texts(made) == {f"s{n}": f"t{n}" for n in range(4)}
    assert made.matched_by == "qid"


def test_an_alias_that_several_samples_share_is_refused():
    with pytest.raises(DataError, match=r"p\.jsonl:1: 2 samples have the study 1"):
        joined(rows(("1", "a")), alias="study")


def test_an_alias_that_nobody_has_is_refused():
    with pytest.raises(DataError, match="--id file: the samples have no such name") as caught:
        joined(everything(), alias="file")
    assert caught.value.hint == "known: qid, study"
    with pytest.raises(DataError) as caught:
        joined(everything(), samples=[sample(1)], alias="file")
    assert caught.value.hint == "the samples of this data have ids alone: leave --id out"


class TestQuestions:
    def test_the_same_question_in_other_clothes_agrees(self):
        given = rows(("s1", "a"), question="Look at the picture.\n IS it  number 1? Answer in a word.")
        assert texts(joined(given))["s1"] == "a"

    def test_another_question_is_refused_with_its_lines(self):
        given = [*rows(("s1", "a"), question="Is it number 1?"), *rows(("s2", "b"), ("s3", "c"), question="Is it number 1?")]
        with pytest.raises(DataError, match=r"the question is not the sample's on 2 of 3 lines \(1, 2\)"):
            joined(given)


class TestFamilies:
    FAMILIES = (("qid", "mevf-qid"),)

    @staticmethod
    def both(shift):
        """Return samples that two packagings number with a shift between them."""
        return [sample(n, **{"qid": str(n), "mevf-qid": str(n + shift)}) for n in range(6)]

    def numbered(self, start, count=6, questions=None):
        return [
            Row(
                line=n + 1,
                id=str(start + n),
                value=Text(text=f"t{n}"),
                question=f"Is it number {questions + n}?" if questions is not None else "",
            )
            for n in range(count)
        ]

    def test_a_numbering_that_alone_knows_every_id_is_taken(self):
        made = joined(self.numbered(3), samples=self.both(3), alias="qid", families=self.FAMILIES)
        assert made.matched_by == "mevf-qid"
        assert texts(made) == {f"s{n}": f"t{n}" for n in range(6)}

    def test_two_that_fit_are_refused_without_the_questions(self):
        with pytest.raises(DataError, match="--id qid is ambiguous") as caught:
            joined(self.numbered(3, count=3), samples=self.both(3), alias="qid", families=self.FAMILIES)
        assert "3 of 3 are qids, 3 of 3 are mevf-qids" in caught.value.message

    @pytest.mark.parametrize(("questions", "chosen", "first"), [(3, "qid", "s3"), (0, "mevf-qid", "s0")])
    def test_the_questions_decide(self, questions, chosen, first):
        given = self.numbered(3, count=3, questions=questions)
        made = joined(given, samples=self.both(3), alias="qid", families=self.FAMILIES)
        assert made.matched_by == chosen
        assert texts(made)[first] == "t0"

    def test_questions_that_agree_with_none_are_refused(self):
        with pytest.raises(DataError, match=r"ambiguous|are not the samples'"):
            joined(self.numbered(3, count=3, questions=17), samples=self.both(3), alias="qid", families=self.FAMILIES)


def test_conditions_are_joined_apart():
    given = [*rows(("s0", "a"), ("s1", "b")), *rows(("s0", "c"), images="blank")]
    made = joined(given)
    found = {(one.sample, one.condition.get("images", "true")): one.value for one in made.predictions}
    assert found["s0", "true"] == Text(text="a")
    assert found["s0", "blank"] == Text(text="c")
    assert found["s1", "blank"] == ABSENT
    assert len(found) == 8
    assert made.missing == ("s2", "s3", "s1")


def test_the_same_id_under_another_condition_is_no_repetition():
    assert joined([*rows(("s0", "a")), *rows(("s0", "b"), seed=1)]).repeated == ()
