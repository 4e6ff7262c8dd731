from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from medbench_lexical.conventions import chosen, lower_period, needs_train, r2gen_iu, r2gen_mimic, texts_of
from medbench_lexical.synthetic import pairs_of

from medbench.errors import DataError, UsageError
from medbench.types import Pair, Sample, Text

REPOSITORY = Path(__file__).parents[3]
VECTORS = Path(os.environ.get("MEDBENCH_TEST_SPECS", REPOSITORY.parent / "shared" / "specs")) / "datasets_golden.json"


@pytest.mark.skipif(not VECTORS.is_file(), reason="the golden vectors of the dataset specs are not here")
def test_golden_vectors_of_the_r2gen_cleaners():
    for case in json.loads(VECTORS.read_text())["r2gen_clean"]:
        assert r2gen_iu(case["in"]) == case["iu_xray"]
        assert r2gen_mimic(case["in"]) == case["mimic_cxr"]


@pytest.mark.parametrize(
    ("text", "iu", "mimic"),
    [
        ("", " .", " ."),
        ("Clear", "clear .", "clear ."),
        ("1. Clear. 2. No change. 5. End.", "clear . no change . end .", "clear . no change . end ."),
        ("See 3. item", "see . item .", "see . item ."),
        ('PA/lateral; "it\'s" [x] {y} <z> a=b?', "palateral its x y z ab .", "palateral its x y z ab ."),
        ("well-defined 3.5 cm", "well-defined 35 cm .", "well-defined 35 cm ."),
        ("A. . B", "a .  . b .", "a .  . b ."),
        ("one\ntwo   three", "one\ntwo   three .", "one two three ."),
        ("....... end", " . end .", " . end ."),
        ("a________b", "ab .", "ab ."),
    ],
)
def test_the_r2gen_cleaners_by_hand(text, iu, mimic):
    assert (r2gen_iu(text), r2gen_mimic(text)) == (iu, mimic)


def of(convention, known, said, **options):
    texts = texts_of(pairs_of([known], [said]), convention, **options)
    return texts.hypotheses[0], texts.references[0][0]


def test_split_conventions():
    assert of("raw-split", "No  Effusion.\n", "\tYes") == ("Yes", "No Effusion.")
    assert of("lower-split", "No  Effusion.\n", "\tYes") == ("yes", "no effusion.")
    assert of("lower-period", "No  Effusion.\nHeart 3.5", "A.B.") == ("a .b .", "no effusion .\nheart 3 .5")
    assert lower_period("...") == ". . ."


def test_the_vocabulary_of_the_train_split_decides_the_references_only():
    train = ["Heart normal.", "Heart normal.", "heart normal. No effusion.", "no effusion"]
    said, known = of("r2gen-iu+vocab", "The heart is normal. No effusion.", "no effusion. The thing", train_references=train)
    # heart, normal and the full stop occur three times or more; `no` and `effusion` twice.
    assert known == "<unk> heart <unk> normal . <unk> <unk> ."
    assert said == "no effusion . The thing"


@pytest.mark.parametrize(("convention", "enough", "longest"), [("r2gen-iu+vocab", 3, 59), ("r2gen-mimic+vocab", 10, 99)])
def test_the_vocabulary_has_a_minimum_and_references_a_longest(convention, enough, longest):
    long = "heart " * 200
    for times, token in ((enough, "heart"), (enough - 1, "<unk>")):
        _, known = of(convention, long, "x", train_references=["heart"] * times)
        assert known.split() == [token] * longest


def test_without_train_references_the_vocabulary_conventions_say_what_they_need():
    for train in (None, []):
        with pytest.raises(UsageError, match="r2gen-iu\\+vocab needs the references of the train split") as caught:
            of("r2gen-iu+vocab", "a", "b", train_references=train)
        assert "take r2gen-iu" in caught.value.hint
    assert needs_train({"text": "r2gen-mimic+vocab@1"})
    assert not needs_train({})


def test_a_convention_goes_by_its_name_with_or_without_version():
    assert chosen({}, "coco-ptb@1") == "coco-ptb"
    assert chosen({"text": "raw-split"}, "coco-ptb@1") == "raw-split"
    with pytest.raises(UsageError):
        chosen({"text": "raw-split@9"}, "coco-ptb@1")


def test_a_sample_without_reference_is_named():
    pair = Pair(Sample(id="s17", group="g", split="test"), Text(text="x"))
    with pytest.raises(DataError, match="sample s17 has no reference text"):
        texts_of([pair], "raw-split")


def test_references_stay_with_their_sample():
    texts = texts_of(pairs_of([["A", "B"], ["C"], ["D", "E", "F"]], ["x", "y", "z"]), "lower-split")
    assert texts.references == (("a", "b"), ("c",), ("d", "e", "f"))
