from __future__ import annotations

import pytest

from medbench.builtin.datasets.roco import Roco, modalities_in
from medbench.errors import DataError, UsageError

READER = Roco()


def v1(root, split, figures, subset="radiology", pictures=None):
    """Write figures (number, caption, cuis, article, licence) as ROCO has them."""
    folder = root / split / subset
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names = [f"ROCO_{number:05d}" for number, *_ in figures]
    files = {
        "captions.txt": [f"{name}\t {caption}" for name, (_, caption, *_) in zip(names, figures, strict=True)],
        "cuis.txt": [f"{name}\t" + "".join(f"\t{cui}" for cui in cuis) for name, (_, _, cuis, *_) in zip(names, figures, strict=True)],
        "licences.txt": ["ROCO_ID,PMC_ID,CC", *(f"{n},{f[3]},{f[4]}" for n, f in zip(names, figures, strict=True))],
    }
    for file, lines in files.items():
        (folder / file).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for name in names if pictures is None else pictures:
        (folder / "images" / f"{name}.jpg").touch()
    return root


@pytest.fixture
def root(tmp_path):
    v1(tmp_path, "train", [(1, "Chest X-ray.", ["C1", "C2"], "PMC1", "CC BY"), (2, "CT of the brain.", ["C2"], "PMC2", "NO-CC CODE")])
    v1(tmp_path, "validation", [(3, "MRI.", [], "PMC3", "CC BY")])
    figures = [
        (12, "Ünusual sonogram, a\ttab inside.", ["C2", "C9"], "PMC2", "CC BY"),
        (11, "Figure of the chest.", [], "PMC4", "CC BY"),
        (13, "CT angiography.", ["C1"], "PMC4", "CC BY"),
        (14, "Withdrawn CT.", ["C1"], "PMC5", "CC BY"),
        (15, "Figure of the chest.", ["C1"], "PMC5", "CC BY"),
    ]
    v1(tmp_path, "test", figures, pictures=[f"ROCO_{number:05d}" for number in (11, 12, 13, 15)])
    return v1(tmp_path, "test", [(99, "A diagram.", [], "PMC9", "CC BY")], "non-radiology")


def read(root, split="test", **params):
    return list(READER.read(root, split, params))


def test_captions_articles_and_concepts_are_read(root):
    found = read(root)
    assert [s.id for s in found] == ["ROCO_00011", "ROCO_00012", "ROCO_00013", "ROCO_00015"]
    second = found[1]
    assert second.references == ("Ünusual sonogram, a\ttab inside.",)
    assert (second.group, second.images[0].path) == ("PMC2", "test/radiology/images/ROCO_00012.jpg")
    assert second.meta == {"modality": "ultrasound", "cuis": "C2;C9", "first_cui": "C2", "licence": "CC BY", "subset": "radiology"}
    assert second.labels == {}
    assert [s.id for s in read(root, subset="non-radiology")] == ["ROCO_00099"]
    assert len(read(root, subset="all")) == 5
    assert READER.check(root) == []


def test_leaks_coverage_and_licences_are_remarked(root):
    found = READER.remarks(root, read(root), {})
    assert found[0].startswith("1 of the 5 test pictures (20.0 %) are not there and left out")
    assert found[1].startswith("2 of the 4 captions occur more than once")
    assert found[2] == "1 of the 3 test articles, with 1 of the 4 test pictures, also have figures in train"
    assert READER.remarks(root, read(root, "train"), {}) == ["1 of the 2 pictures (50.0 %) bear no Creative Commons licence"]


def test_a_modality_is_the_only_one_that_the_caption_names(root):
    (found,) = read(root, labels="modality")
    assert found.id == "ROCO_00012"
    assert found.labels == {"ct": 0, "mri": 0, "ultrasound": 1, "fluoroscopy": 0, "x-ray": 0, "angiography": 0}
    assert "3 of 4 figures are left out" in READER.remarks(root, [found], {"labels": "modality"})[1]


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("Axial CT scan", ["ct"]),
        ("CT and MR images", ["ct", "mri"]),
        ("T2-weighted image", ["mri"]),
        ("Echocardiogram, Doppler", ["ultrasound"]),
        ("Panoramic radiograph", ["x-ray"]),
        ("Chest X-rays of a doctor", ["x-ray"]),
        ("Coronary angiogram", ["angiography"]),
        ("Direct effect of the director", []),
        ("Barium under fluoroscopic control", ["fluoroscopy"]),
    ],
)
def test_words_for_modalities(caption, named):
    assert modalities_in(caption) == named


def test_concepts_are_labels_in_the_order_of_their_frequency_in_train(root):
    found = read(root, labels="cui")
    assert [list(s.labels.items()) for s in found] == [[("C2", 1), ("C1", 0)], [("C2", 0), ("C1", 1)], [("C2", 0), ("C1", 1)]]
    assert list(read(root, labels="cui", concepts=1)[0].labels) == ["C2"]
    with pytest.raises(UsageError, match="concepts is '0'"):
        read(root, labels="cui", concepts=0)
    with pytest.raises(UsageError, match="labels is 'cuis'"):
        read(root, labels="cuis")
    with pytest.raises(UsageError, match="no reader parameter label"):
        read(root, label="cui")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"ROCO_00011", "line 6: there is no tab after the id"),
        (b"ROCO_00011\t again", "line 6: the id ROCO_00011 is there twice"),
        (b"\t no id", "line 6: the id is empty"),
        (b"ROCO_00020\t caf\xe9", "not UTF-8 at line 6, column 16"),
    ],
)
def test_unusable_lines_are_refused_with_their_place(root, line, said):
    path = root / "test" / "radiology" / "captions.txt"
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(DataError, match=said) as caught:
        read(root)
    assert "captions.txt" in caught.value.message


def v2(root, split, rows, folder=None, name="ID", caption="Caption"):
    lines = [f"{name},{caption}", *(f'{i},"{text}"' for i, text, _ in rows)]
    (root / f"{split}_captions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / f"{split}_concepts.csv").write_text("\n".join(["ID,CUIs", *(f"{i},{cuis}" for i, _, cuis in rows)]) + "\n", encoding="utf-8")
    pictures = root / (folder or f"{split}_images/{split}")
    pictures.mkdir(parents=True)
    for figure, _, _ in rows:
        (pictures / f"{figure}.jpg").touch()


@pytest.mark.parametrize("folder", ["test_images/test", "test_images", "test"])
def test_the_second_edition(tmp_path, folder):
    for split in ("train", "valid"):
        v2(tmp_path, split, [(f"ROCOv2_2023_{split}_000001", "MRI", "C1")])
    v2(tmp_path, "test", [("ROCOv2_2023_test_000001", "CT, with a comma\nand a line", "C1;C2")], folder, name=" ID", caption="Caption ")
    (tmp_path / "license_information.csv").write_text(
        "ID, Attribution,Link\nROCOv2_2023_test_000001,CC BY-NC [A. Author],https://x/PMC77/\n", encoding="utf-8"
    )
    (found,) = read(tmp_path, variant="v2")
    assert (found.group, found.references) == ("PMC77", ("CT, with a comma\nand a line",))
    assert found.images[0].path == f"{folder}/ROCOv2_2023_test_000001.jpg"
    assert found.meta["cuis"] == "C1;C2"
    assert found.meta["licence"] == "CC BY-NC"
    assert READER.check(tmp_path, "v2") == []
    assert "--variant v2" in READER.check(tmp_path)[0].hint


def test_a_torn_table_is_refused(tmp_path):
    v2(tmp_path, "test", [("a", "one", ""), ("b", "two", "")])
    path = tmp_path / "test_captions.csv"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match=r"test_captions\.csv: line 3"):
        read(tmp_path, variant="v2")
    with pytest.raises(DataError, match="train_captions"):
        read(tmp_path, "train", variant="v2")


def test_the_twin_has_the_flaws_of_the_original(tmp_path):
    READER.write_twin(tmp_path / "t", 0, 12)
    root = tmp_path / "t"
    captions = (root / "data" / "test" / "radiology" / "captions.txt").read_text(encoding="utf-8")
    assert all(line.partition("\t")[2].startswith(" ") for line in captions.splitlines())
    assert any(line.endswith("\t") for line in (root / "data/train/radiology/cuis.txt").read_text(encoding="utf-8").splitlines())
    assert not captions.isascii()
    said = " ".join(READER.remarks(root, read(root), {}) + READER.remarks(root, read(root, "train"), {}))
    for fact in ("also have figures in train", "not there and left out", "more than once", "no Creative Commons"):
        assert fact in said
    assert READER.check(root, "v2") == []
    for labels in ("modality", "cui"):
        assert len(read(root, "train", variant="v2", labels=labels)) == len(read(root, "train", labels=labels)) > 20
    assert {s.meta.get("modality") for s in read(root, "train")} == {"ct", "mri", "ultrasound", "fluoroscopy", "x-ray", "angiography", None}
