from __future__ import annotations

import io
import json
from collections import Counter

import pytest

from medbench.builtin.datasets.gi_questions import QUESTIONS, image_split, question_number
from medbench.builtin.datasets.kvasir_vqa import KvasirVqa
from medbench.builtin.datasets.medvqa_gi import MedvqaGi
from medbench.builtin.datasets.medvqa_gi_2024 import MedvqaGi2024
from medbench.errors import DataError

TEST = next(f"image{number}" for number in range(50) if image_split(f"image{number}") == "test")


def gt(root, labels, image=TEST):
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "images" / f"{image}.jpg").touch()
    (root / "gt.json").write_text(json.dumps([{"ImageID": image, "Labels": labels}]), encoding="utf-8")
    return root


def label(question, *answers, kind="String"):
    return {"Question": question, "AnswerType": kind, "Answer": list(answers)}


def read(reader, root, split="test"):
    return list(reader.read(root, split, {}))


def test_the_official_numbers_survive_the_slips_of_spelling():
    assert [question_number(text) for text, _ in QUESTIONS] == list(range(20))
    assert question_number("is there a GREEN/black box artefact") == 3
    assert question_number("How many instrumnets are in the image?") == 9
    assert question_number("Where is it?") is None


def test_the_split_by_image_is_fixed_and_about_70_10_20():
    counts = Counter(image_split(f"cla{number}") for number in range(4000))
    assert abs(counts["train"] - 2800) < 120
    assert abs(counts["val"] - 400) < 70


@pytest.mark.parametrize("folder", [".", "Development-Dataset"])
def test_questions_of_2023(tmp_path, folder):
    labels = [
        label("How many polyps are in the image?", "2", kind="Number"),
        label("Where in the image is the abnormality?", "Center", "Lower-left", "Center"),
        label("Is there text?", "Yes"),
        label("What color is the abnormality?", ""),
        label("Where exactly in the image is the polyp located?", "x.jpg", kind="segmentation"),
        label("A new question?", "Maybe"),
        label("Is there text?", "No"),
    ]
    gt(tmp_path / folder, labels)
    found = {s.id.removeprefix(f"{TEST}-"): s for s in read(MedvqaGi(), tmp_path)}
    assert {"04", "04-2", "08", "10"} < set(found)
    assert len(found) == 5
    assert found["10"].references == ("Center, Lower-left",)
    assert found["04"].meta == {"answer_type": "CLOSED", "question_type": "text"}
    assert found["08"].meta == {"answer_type": "OPEN", "question_type": "polyps-count"}
    assert {s.meta["question_type"] for s in found.values()} == {"text", "polyps-count", "abnormality-place", "other"}
    prefix = "" if folder == "." else f"{folder}/"
    assert found["04"].images[0].path == f"{prefix}images/{TEST}.jpg"
    said = MedvqaGi().remarks(tmp_path, list(found.values()), {})
    assert "nobody's official one" in said[0]
    assert said[1].startswith("1 of the 7 questions are answered by a mask")
    assert said[2].startswith("1 of the 7 questions have no answer")
    assert said[3].startswith("1 of the 5 answers are none")
    assert MedvqaGi().check(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "expected a list"),
        ([{"Labels": []}], "entry 0: ImageID is missing"),
        ([{"ImageID": "../x", "Labels": []}], "leads out"),
        ([{"ImageID": "a", "Labels": {}}], r"entry 0 \(a\): Labels holds an object"),
        ([{"ImageID": "a", "Labels": []}] * 2, "the image a is there twice"),
        ([{"ImageID": "a", "Labels": [{"Answer": ["x"]}]}], "a: Question is missing"),
        ([{"ImageID": "a", "Labels": [label("Why?", ["x"])]}], "Answer is a list"),
    ],
)
def test_unusable_entries_of_2023_are_refused(tmp_path, content, said):
    (tmp_path / "gt.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read(MedvqaGi(), tmp_path)


def prompts(root, text):
    (root / "Dev-Dataset" / "images").mkdir(parents=True)
    (root / "Dev-Dataset" / "images" / f"{TEST}.jpg").touch()
    (root / "Dev-Dataset" / "prompt-gt.csv").write_text(text, encoding="utf-8")
    return root


def test_prompts_of_2024(tmp_path):
    prompts(tmp_path, f'Prompt;Filename\nGenerate a polyp;{TEST}.jpg\n"an image; with text";{TEST}\nGenerate a polyp;{TEST}.jpg\n')
    found = read(MedvqaGi2024(), tmp_path)
    assert {s.prompt for s in found} == {"Generate a polyp", "an image; with text"}
    assert {(s.group, s.images[0].path, s.images[0].role) for s in found} == {(TEST, f"Dev-Dataset/images/{TEST}.jpg", "target")}
    said = MedvqaGi2024().remarks(tmp_path, found, {})
    assert said[1].startswith("2 prompts describe 1 images")
    assert said[2].startswith("1 of the 3 rows repeat")


def test_centres_are_a_column_where_somebody_says_them(tmp_path):
    prompts(tmp_path, f"Prompt;Filename\nGenerate a polyp;{TEST}.jpg\n")
    assert read(MedvqaGi2024(), tmp_path)[0].meta == {}
    centres = tmp_path / "Dev-Dataset" / "centres.csv"
    centres.write_text(f"Filename;Centre;Remark\n{TEST}.jpg;Oslo;x\n{TEST};Oslo;y\nother.jpg;elsewhere;z\n", encoding="utf-8")
    assert read(MedvqaGi2024(), tmp_path)[0].meta == {"centre": "Oslo"}
    centres.write_text(f"Filename;Centre\n{TEST}.jpg;Oslo\n{TEST}.jpg;Bergen\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 3: .* is of Oslo and of Bergen"):
        read(MedvqaGi2024(), tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Prompt,Filename\na,b\n", "no column 'Prompt'"),
        ("Prompt;Filename\na\n", "line 2: 1 fields"),
        ("Prompt;Filename\na;../b.jpg\n", "line 2: the path '../b.jpg' leads out"),
        ("Prompt;Filename\n ;b.jpg\n", "line 2: Prompt is empty"),
    ],
)
def test_unusable_prompts_are_refused(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        read(MedvqaGi2024(), prompts(tmp_path, text))


ROWS = [
    ("HyperKvasir", "Is there text?", "no", TEST),
    ("HyperKvasir", "Where in the image is the abnormality?", "center", TEST),
    ("HyperKvasir", "Where in the image is the abnormality?", "lower-left", TEST),
]


def kvasir_table(root):
    (root / "images").mkdir()
    (root / "images" / f"{TEST}.jpg").touch()
    lines = ["source,question,answer,img_id", *(",".join(row) for row in ROWS)]
    (root / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def test_a_question_that_stands_twice_gets_a_second_id(tmp_path):
    found = read(KvasirVqa(), kvasir_table(tmp_path))
    first, second, third = found[0], *found[1:]
    twice = [s for s in (first, second, third) if "abnormality" in s.prompt]
    assert twice[1].id == f"{twice[0].id}-2"
    assert [s.references for s in twice] == [("center",), ("lower-left",)]
    assert {s.meta["answer_type"] for s in found} == {"CLOSED", "OPEN"}
    said = KvasirVqa().remarks(tmp_path, found, {})
    assert said[1].startswith("1 of the 1 images have more than one question")
    assert said[2].startswith("1 of the 3 questions repeat")


def test_table_and_parquet_give_the_same_questions(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from PIL import Image as Pil
    from pyarrow import parquet

    raw = io.BytesIO()
    Pil.new("RGB", (4, 4), (200, 0, 0)).save(raw, format="PNG")
    (tmp_path / "p" / "data").mkdir(parents=True)
    (tmp_path / "t").mkdir()
    table = dict(zip(("source", "question", "answer", "img_id"), map(list, zip(*ROWS, strict=True)), strict=True))
    table["image"] = [{"bytes": raw.getvalue(), "path": None}] * len(ROWS)
    parquet.write_table(pa.table(table), tmp_path / "p" / "data" / "raw-0.parquet")
    ours, theirs = read(KvasirVqa(), kvasir_table(tmp_path / "t")), read(KvasirVqa(), tmp_path / "p")
    assert [(s.id, s.prompt, s.references, s.meta) for s in ours] == [(s.id, s.prompt, s.references, s.meta) for s in theirs]
    assert {s.images[0].path for s in theirs} == {"data/raw-0.parquet#image:0"}
    assert KvasirVqa().check(tmp_path / "p") == []
    (tmp_path / "p" / "data" / "raw-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read(KvasirVqa(), tmp_path / "p")


def test_the_twins_have_the_flaws_of_the_originals(tmp_path):
    MedvqaGi().write_twin(tmp_path / "a", 0, 6)
    entries = json.loads((tmp_path / "a" / "gt.json").read_text(encoding="utf-8"))
    questions = Counter(row["Question"] for entry in entries for row in entry["Labels"])
    assert questions["Is there a green/black box artefact?"]
    assert questions["How many instrumnets are in the image?"]
    assert {row["AnswerType"] for entry in entries for row in entry["Labels"]} == {"String", "Number", "segmentation"}
    masks = [row["Answer"][0] for entry in entries for row in entry["Labels"] if row["AnswerType"] == "segmentation"]
    assert masks
    assert all((tmp_path / "a" / "masks" / name).is_file() for name in masks)
    assert any("no answer" in remark for remark in MedvqaGi().remarks(tmp_path / "a", [], {}))
    MedvqaGi2024().write_twin(tmp_path / "b", 0, 3)
    text = (tmp_path / "b" / "Dev-Dataset" / "prompt-gt.csv").read_text(encoding="utf-8")
    assert text.startswith("Prompt;Filename\n")
    assert len(set(text.splitlines())) == len(text.splitlines()) - 1
    KvasirVqa().write_twin(tmp_path / "c", 0, 3)
    assert (tmp_path / "c" / "metadata.csv").read_text(encoding="utf-8").startswith("source,question,answer,img_id\n")
    assert any("repeat" in remark for remark in KvasirVqa().remarks(tmp_path / "c", [], {}))


def test_a_parquet_file_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = dict(zip(("source", "question", "answer", "img_id"), map(list, zip(*ROWS, strict=True)), strict=True))
    parquet.write_table(pa.table(table | {"image": [b"x" * 5000] * 3}), tmp_path / "raw.parquet", use_dictionary=False)
    monkeypatch.setattr("medbench.builtin.datasets.parquet.MAX_BYTES", 2000)
    assert len(read(KvasirVqa(), tmp_path)) == 3
    monkeypatch.setattr("medbench.builtin.datasets.parquet.MAX_BYTES", 20)
    with pytest.raises(DataError, match=r"raw\.parquet: row group 0 unpacks to"):
        read(KvasirVqa(), tmp_path)
