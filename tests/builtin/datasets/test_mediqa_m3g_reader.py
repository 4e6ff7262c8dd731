from __future__ import annotations

import json

import pytest

from medbench.builtin.datasets.mediqa_m3g import Author, MediqaM3g, weight_of
from medbench.errors import DataError

READER = MediqaM3g()


def entry(name, responses=(), **more):
    return {"encounter_id": name, "image_ids": [f"IMG_{name}_00001"], "query_title_en": "What?", "query_content_en": " It itches. "} | (
        {"responses": list(responses)} | more
    )


def response(text, author="A", complete=1.0, frequent=1.0):
    return {"author_id": author, "content_en": text, "completeness": complete, "contains_freq_ans": frequent}


def layout(
    root, rows, name="test.json", authors="author_id,validation_level,rank_level\nA,md2_validated,level_4\nB,realid_validated,unk\n"
):
    for split in ("train", "valid", "test"):
        (root / f"images_{split}").mkdir(exist_ok=True)
    (root / "images_test" / "IMG_ENC1_00001.png").touch()
    (root / name).write_text(json.dumps(rows), encoding="utf-8")
    if authors:
        (root / "df_userinfo.csv").write_text(authors, encoding="utf-8")
    return root


def read(root, split="test", variant=""):
    return list(READER.read(root, split, {"variant": variant}))


@pytest.mark.parametrize(
    ("author", "complete", "frequent", "weight"),
    [
        (Author(doctor=True, rank=4), True, True, 1.0),
        (Author(doctor=True, rank=3), True, True, 0.9),
        (Author(doctor=False, rank=8), True, False, 0.8),
        (None, True, False, 0.7),
        (Author(doctor=True, rank=8), False, True, 0.9),
        (Author(doctor=True, rank=0), False, True, 0.8),
        (None, False, True, 0.7),
        (None, False, False, 0.6),
    ],
)
def test_weights_are_the_organisers(author, complete, frequent, weight):
    assert weight_of(author, complete=complete, frequent=frequent) == weight


def test_every_answer_in_the_language_is_a_reference_with_its_weight(tmp_path):
    rows = [entry("ENC1", [response("Eczema."), response(" "), response("Psoriasis", "B", 0.5, 0.0), response("No idea", "Z", None, None)])]
    (found,) = read(layout(tmp_path, rows))
    assert found.prompt == "What?\nIt itches."
    assert found.references == ("Eczema.", "Psoriasis", "No idea")
    assert found.meta == {"reference_weights": "1 0.6 0.6"}
    assert found.images[0].path == "images_test/IMG_ENC1_00001.png"
    assert read(tmp_path, variant="zh") == []
    assert READER.remarks(tmp_path, [found], {}) == [
        "the original is Chinese: these texts were translated by people",
        "the test split holds 1 encounters; the published one holds 100",
    ]


def test_without_authors_nothing_is_weighed(tmp_path):
    (found,) = read(layout(tmp_path, [entry("ENC1", [response("Eczema.")])], authors=""))
    assert found.meta == {}
    assert "all references weigh 1" in READER.remarks(tmp_path, [found], {})[1]


def test_files_under_other_names(tmp_path):
    layout(tmp_path, [entry("ENC1")], "m3g_test_v2.json")
    assert [s.references for s in read(tmp_path)] == [()]
    layout(tmp_path, [entry("ENC2")], "test_other.json")
    with pytest.raises(DataError, match=r"no test\.json; there are m3g_test_v2\.json, test_other\.json"):
        read(tmp_path)
    layout(tmp_path, [entry("ENC3")])
    assert [s.id for s in read(tmp_path)] == ["ENC3"]
    assert {p.message.rpartition(": ")[2] for p in READER.check(tmp_path)} == {"no train.json", "no valid.json"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([entry("ENC1"), entry("ENC1")], "the encounter ENC1 is there twice"),
        ([entry("")], "encounter_id is missing"),
        ([entry("E", image_ids="x")], r"entry 0 \(E\): image_ids is no list"),
        ([entry("E", image_ids=["../x"])], "leads out"),
        ([entry("E", responses=[3])], "responses"),
        ([entry("E", query_title_en=[])], "query_title_en is a list"),
    ],
)
def test_unusable_encounters_are_refused(tmp_path, rows, said):
    with pytest.raises(DataError, match=said) as caught:
        read(layout(tmp_path, rows))
    assert "test.json" in caught.value.message


def test_an_odd_rank_is_refused_with_its_line(tmp_path):
    root = layout(tmp_path, [entry("E")], authors="author_id,validation_level,rank_level\nA,md,expert\n")
    with pytest.raises(DataError, match=r"df_userinfo\.csv: line 2: rank_level is 'expert'"):
        read(root)


def test_the_twin_speaks_three_languages(tmp_path):
    READER.write_twin(tmp_path / "t", 0, 8)
    by_language = {variant: read(tmp_path / "t", "train", variant) for variant in ("en", "zh", "es")}
    assert [len(rows) for rows in by_language.values()] == [24, 24, 23]
    assert all(s.prompt.isascii() for s in by_language["en"])
    assert not any(s.prompt.isascii() for s in by_language["zh"])
    assert all(len(s.references) == len(s.meta["reference_weights"].split()) for rows in by_language.values() for s in rows)
    assert len({weight for s in by_language["en"] for weight in s.meta["reference_weights"].split()}) >= 4
    assert {len(s.images) for s in by_language["en"]} >= {1, 2}
