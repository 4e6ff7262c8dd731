"""ChestX-ray14, CheXpert, RSNA, MS-CXR, MS-CXR-T, PadChest and VinDr-Mammo from tables written by hand, odd rows and broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from medbench.builtin.datasets import chexpert, ms_cxr, ms_cxr_t, nih_cxr14, padchest, rsna, vindr_mammo
from medbench.builtin.datasets.chexpert_labels import LABELS
from medbench.builtin.datasets.layout import hashed_split
from medbench.builtin.datasets.padchest import label_list
from medbench.builtin.twins import chexpert as chexpert_twin
from medbench.builtin.twins import nih_cxr14 as nih_twin
from medbench.builtin.twins import padchest as padchest_twin
from medbench.builtin.twins import vindr_mammo as vindr_twin
from medbench.errors import DataError, UsageError
from medbench.types import Box

DICOM = "aaaaaaaa-bbbbbbbb-cccccccc-dddddddd-eeeeeeee"


def put(root, name, lines):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return root


def read(reader, root, split="test", **params):
    return list(reader.read(root, split, params))


# --- ChestX-ray14 -----------------------------------------------------------------------------------------------------

NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
NIH_BOXES = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


def nih(root, rows, test="00000001_000.png", train="00000002_000.png", boxes=()):
    put(root, "Data_Entry_2017.csv", [NIH_HEADER, *rows])
    put(root, "test_list.txt", test.split())
    put(root, "train_val_list.txt", train.split())
    put(root, "images_002/images/00000001_000.png", [])
    return put(root, "BBox_List_2017.csv", [NIH_BOXES, *boxes]) if boxes else root


ROW_1 = "00000001_000.png,Cardiomegaly|Pleural_Thickening,0,1,058Y,M,PA,2682,2749,0.143,0.143"
ROW_2 = "00000002_000.png,No Finding,3,2,81,F,AP,2500,2048,0.168,0.168"


def test_nih_rows(tmp_path):
    assert ",".join(nih_twin.HEADER) == NIH_HEADER
    assert ",".join(nih_twin.BOX_HEADER) == NIH_BOXES
    boxes = ["00000001_000.png,Infiltrate,1.5,2,30,40.25,,,", "00000001_000.png,Cardiomegaly,5,6,7,8"]
    root = nih(tmp_path, [ROW_1, ROW_2], boxes=boxes)
    (sample,) = read(nih_cxr14.NihCxr14(), root)
    assert (sample.id, sample.group, sample.images[0].path) == ("00000001_000.png", "00000001", "images_002/images/00000001_000.png")
    assert {name for name, value in sample.labels.items() if value} == {"Cardiomegaly", "Pleural_Thickening"}
    assert sample.boxes[0] == Box(label="Infiltration", x=1.5, y=2, width=30, height=40.25)
    assert sample.meta == {"view": "PA", "sex": "M", "age": "58", "follow_up": "0"}
    (other,) = read(nih_cxr14.NihCxr14(), root, "train")
    assert set(other.labels.values()) == {0.0}
    assert other.images[0].path == "images/00000002_000.png"
    assert nih_cxr14.NihCxr14().check(root) == []


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ([ROW_1, ROW_2.replace("No Finding", "Nofinding")], {}, r"line 3: Finding Labels is 'Nofinding'"),
        ([ROW_1.replace("Cardiomegaly|", "No Finding|"), ROW_2], {}, "line 2: Finding Labels"),
        ([ROW_1, ROW_1, ROW_2], {}, "line 3: the image 00000001_000.png is there twice"),
        ([ROW_1, ROW_2], {"test": "00000001_000.png 00000009_000.png"}, "no row for 00000009_000.png"),
        ([ROW_1, ROW_2], {"test": "00000001_000.png 00000001_000.png"}, "00000001_000.png is there twice"),
        ([ROW_1.replace("00000001_000.png", "../1.png")], {}, "is no name of a picture"),
        ([ROW_1, ROW_2], {"boxes": ["00000001_000.png,Mass,1,2,x,4,,,"]}, "line 2: w is 'x'"),
        ([ROW_1, ROW_2], {"boxes": ["00000001_000.png,Tumour,1,2,3,4,,,"]}, "Finding Label is 'Tumour'"),
        ([ROW_1[:40]], {}, "line 2: 2 fields|line 2: 3 fields"),
    ],
)
def test_nih_refusals(tmp_path, rows, more, said):
    root = nih(tmp_path, rows, **more)
    with pytest.raises(DataError, match=said):
        read(nih_cxr14.NihCxr14(), root) + read(nih_cxr14.NihCxr14(), root, "train")


def test_nih_shared_patients_are_remarked(tmp_path):
    root = nih(tmp_path, [ROW_1, ROW_2.replace("00000002", "00000001")], train="00000001_001.png")
    put(root, "Data_Entry_2017.csv", [NIH_HEADER, ROW_1, ROW_1.replace("_000", "_001")])
    reader = nih_cxr14.NihCxr14()
    assert "1 patients have images in train and in test" in reader.remarks(root, read(reader, root), {})
    with pytest.raises(UsageError, match="no split val"):
        read(reader, root, "val")


# --- CheXpert ---------------------------------------------------------------------------------------------------------

CHEXPERT_HEADER = "Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(LABELS)
BLANK = "," * (len(LABELS) - 1)


def chexpert_row(path, side="Frontal", position="AP", labels=f"1.0{BLANK}"):
    return f"{path},Female,0,{side},{position},{labels}"


def test_chexpert_rows(tmp_path):
    assert ",".join(chexpert_twin.HEADER) == CHEXPERT_HEADER
    small = "CheXpert-v1.0-small/train"
    rows = [
        chexpert_row(f"{small}/patient00001/study1/view1_lateral.jpg", "Lateral", ""),
        chexpert_row(f"{small}/patient00001/study1/view2_frontal.jpg"),
        chexpert_row(f"{small}\\patient00001\\study1\\view3_frontal.jpg".replace("/", "\\"), position="PA"),
        chexpert_row(f"{small}/patient00002/study1/view1_lateral.jpg", "Lateral", "LL", f"-1.0{BLANK}"),
    ]
    root = put(tmp_path, "CheXpert-v1.0-small/train.csv", [CHEXPERT_HEADER, *rows])
    reader = chexpert.CheXpert()
    (sample,) = read(reader, root, "train")
    assert (sample.id, sample.group) == ("patient00001/study1", "patient00001")
    assert sample.images[0].path == "CheXpert-v1.0-small/train/patient00001/study1/view3_frontal.jpg"
    assert sample.labels["No Finding"] == 1.0
    every, odd = read(reader, root, "train", views="all", uncertain="ones")
    assert [(image.path[-17:], image.role) for image in every.images] == [
        ("view3_frontal.jpg", "image"),
        ("view2_frontal.jpg", "image"),
        ("view1_lateral.jpg", "lateral"),
    ]
    assert odd.labels["No Finding"] == 1.0
    remarks = reader.remarks(root, [sample], {})
    assert "1 of the 2 studies have no frontal view: they are left out" in remarks
    assert {"images with view LL: 1", "images with age 0: 4"} <= set(remarks)
    assert "no valid.csv" in reader.check(root)[0].message


def test_chexpert_test_labels_have_fewer_columns(tmp_path):
    root = put(tmp_path, "test_labels.csv", ["Path," + ",".join(LABELS), f"test/patient64741/study1/view1_frontal.jpg,{'0,' * 13}1"])
    (sample,) = read(chexpert.CheXpert(), root)
    assert (sample.labels["Support Devices"], sample.meta["view"]) == (1.0, "frontal")
    assert chexpert.CheXpert().check(root) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([chexpert_row("train/patient1/study1/view1_frontal.jpg")] * 2, "line 3: train/patient1/.* is there twice"),
        ([chexpert_row("train/patient1/study1/view1_frontal.jpg", labels=f"maybe{BLANK}")], "line 2: No Finding is 'maybe'"),
        ([chexpert_row("../patient1/view1_frontal.jpg")], "line 2: Path is"),
        (
            [
                chexpert_row("train/patient1/study1/view1_frontal.jpg"),
                chexpert_row("train/patient1/study1/view2_frontal.jpg", labels=f"0.0{BLANK}"),
            ],
            "line 3: patient1/study1 has other labels than in line 2",
        ),
    ],
)
def test_chexpert_refusals(tmp_path, rows, said):
    root = put(tmp_path, "train.csv", [CHEXPERT_HEADER, *rows])
    with pytest.raises(DataError, match=said):
        read(chexpert.CheXpert(), root, "train")


# --- RSNA -------------------------------------------------------------------------------------------------------------

RSNA_HEADER = "patientId,x,y,width,height,Target"


def rsna_root(root, rows, classes=()):
    (root / "stage_2_train_images").mkdir()
    put(root, "stage_2_detailed_class_info.csv", ["patientId,class", *classes])
    return put(root, "stage_2_train_labels.csv", [RSNA_HEADER, *rows])


def test_rsna_rows(tmp_path):
    names = [f"{k:08x}-0000-4000-8000-000000000000" for k in range(60)]
    rows = [f"{names[0]},1,2,3,4,1", f"{names[0]},5,6,7,8.5,1", *(f"{name},,,,,0" for name in names[1:])]
    classes = [f"{names[0]},Lung Opacity"] * 2 + [f"{name},No Lung Opacity / Not Normal" for name in names[1:]]
    root = rsna_root(tmp_path, rows, classes)
    reader = rsna.Rsna()
    found = {split: read(reader, root, split) for split in ("train", "val", "test")}
    assert {s.id for samples in found.values() for s in samples} == set(names)
    assert all(hashed_split(rsna.SALT, s.id) == split for split, samples in found.items() for s in samples)
    first = next(s for samples in found.values() for s in samples if s.id == names[0])
    assert (len(first.boxes), first.boxes[1].height, first.labels, first.meta) == (2, 8.5, {"Pneumonia": 1.0}, {"class": "Lung Opacity"})
    assert reader.check(root) == []
    assert any("negatives are not normal" in r for r in reader.remarks(root, found["test"], {}))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["a,1,2,3,4,2"], "line 2: Target is '2'"),
        (["a,1,2,3,,1"], "line 2: Target is '1' with the box"),
        (["a,1,2,3,4,0"], "line 2: Target is '0'"),
        (["a,,,,,0", "a,1,2,3,4,1"], "line 3: a is there twice"),
        (["a,1,2,3,4,1", "a,,,,,0"], "line 3: a is there twice"),
        (["../a,,,,,0"], "is no id"),
        (["a,1,2,nan,4,1"], "a side of the box is 'nan'"),
    ],
)
def test_rsna_refusals(tmp_path, rows, said):
    with pytest.raises(DataError, match=said):
        read(rsna.Rsna(), rsna_root(tmp_path, rows))


# --- MS-CXR and MS-CXR-T ----------------------------------------------------------------------------------------------

PATH = f"files/p10/p10000032/s50414267/{DICOM}.jpg"
MS_HEADER = "category_name,label_text,path,x,y,w,h,image_width,image_height,dicom_id,split"


def test_ms_cxr_rows(tmp_path):
    rows = [
        f'Pleural Effusion,"small, bilateral effusions",{PATH},1,2,3,4,2544,3056,{DICOM},train',
        f'Pleural Effusion,"small, bilateral effusions",{PATH},11,12,13,14,2544,3056,{DICOM},train',
        f"Edema,mild edema,{PATH},5,6,7,8,2544,3056,{DICOM},train",
    ]
    root = put(tmp_path, "ms-cxr/1.1.0/MS_CXR_Local_Alignment_v1.1.0.csv", [MS_HEADER, *rows])
    reader = ms_cxr.MsCxr()
    effusion, edema = read(reader, root, "train")
    assert (effusion.prompt, effusion.group, effusion.images[0].path) == ("small, bilateral effusions", "10000032", PATH)
    assert [(box.x, box.height) for box in effusion.boxes] == [(1, 4), (11, 14)]
    assert effusion.id != edema.id
    assert effusion.id.startswith(f"{DICOM}:")
    assert reader.check(root) == []
    remarks = reader.remarks(root, [effusion, edema], {})
    assert remarks[0].startswith("2 phrases on pictures of MIMIC-CXR")
    assert remarks[1].startswith("1 of the 2 phrases have more than one box")
    put(tmp_path, "mimic-cxr-2.0.0-split.csv", ["dicom_id,study_id,subject_id,split", f"{DICOM},50414267,10000032,train"])
    assert reader.remarks(root, [effusion], {})[0] == "1 of the 1 phrases stand on pictures of MIMIC-CXR's train split"
    earlier = put(tmp_path / "old", "MS_CXR_Local_Alignment_v1.0.0.csv", [MS_HEADER[:-6], *(row[:-6] for row in rows)])
    assert [s.id for s in read(reader, earlier)] == [effusion.id, edema.id]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (f"Edema,mild edema,{PATH},5,6,7,wide,1,1,{DICOM},test", "line 3: h is 'wide'"),
        (f"Edema,,{PATH},5,6,7,8,1,1,{DICOM},test", "line 3: dicom_id or label_text is empty"),
        (f"Edema,mild edema,../../x.jpg,5,6,7,8,1,1,{DICOM},test", "leads out of the data folder"),
        (f"Edema,old edema,{PATH},5,6,7,8,1,1,{DICOM},train", "line 3: the phrase has another path or split"),
        (f"Edema,mild edema,{PATH},5,6,7,8,1,1,{DICOM},holdout", "unknown split 'holdout'"),
    ],
)
def test_ms_cxr_refusals(tmp_path, row, said):
    first = f"Edema,old edema,{PATH},5,6,7,8,1,1,{DICOM},test"
    root = put(tmp_path, "MS_CXR_Local_Alignment_v1.1.0.csv", [MS_HEADER, first, row])
    with pytest.raises(DataError, match=said):
        read(ms_cxr.MsCxr(), root)


CHANGES = ",".join(f"{finding}_progression" for finding in ms_cxr_t.FINDINGS)
T_HEADER = f"subject_id,study_id,dicom_id,previous_study_id,previous_dicom_id,{CHANGES}"


def test_ms_cxr_t_rows(tmp_path):
    row = f"10002428,55758034,p10/p10002428/s55758034/{DICOM},s51000000,p10/p10002428/s51000000/{DICOM[::-1]},improving,,Stable,,"
    root = put(tmp_path, "MS_CXR_T_temporal_image_classification_v1.0.0.csv", [T_HEADER, row])
    reader = ms_cxr_t.MsCxrT()
    consolidation, effusion = read(reader, root)
    assert (consolidation.id, effusion.id) == (f"{DICOM}:consolidation", f"{DICOM}:pleural_effusion")
    assert (effusion.prompt, effusion.references) == ("pleural effusion", ("stable",))
    assert consolidation.labels == {"improving": 1.0, "stable": 0.0, "worsening": 0.0}
    assert [(image.role, image.path) for image in effusion.images] == [
        ("current", f"files/p10/p10002428/s55758034/{DICOM}.jpg"),
        ("prior", f"files/p10/p10002428/s51000000/{DICOM[::-1]}.jpg"),
    ]
    assert reader.remarks(root, [consolidation, effusion], {}) == [
        "improving/stable/worsening: consolidation 1/0/0, pleural_effusion 0/1/0"
    ]
    with pytest.raises(UsageError, match="no split train"):
        read(reader, root, "train")
    put(tmp_path, "MS_CXR_T_temporal_image_classification_v1.0.0.csv", [T_HEADER, row, row])
    with pytest.raises(DataError, match=f"line 3: the dicom_id {DICOM} is there twice"):
        read(reader, root)


def test_ms_cxr_t_refuses_unknown_classes(tmp_path):
    row = f"10002428,55758034,{DICOM},51000000,{DICOM},better,,,,"
    root = put(tmp_path, "MS_CXR_T_temporal_image_classification_v1.0.0.csv", [T_HEADER, row])
    with pytest.raises(DataError, match="line 2: consolidation_progression is 'better'"):
        read(ms_cxr_t.MsCxrT(), root)


# --- PadChest ---------------------------------------------------------------------------------------------------------


def padchest_row(name, patient, labels, projection="PA", method="Physician"):
    values = dict.fromkeys(padchest_twin.HEADER, "")
    values |= {"ImageID": name, "ImageDir": "3", "PatientID": patient, "PatientBirth": "1950.0", "PatientSex_DICOM": "F"}
    values |= {"Projection": projection, "MethodLabel": method, "Labels": labels}
    return ",".join(f'"{value}"' for value in values.values())


def test_padchest_rows(tmp_path):
    assert len(padchest_twin.HEADER) == 36
    patient = next(str(k) for k in range(100) if hashed_split(padchest.SALT, str(k)) == "test")
    rows = [
        padchest_row("a.png", patient, "['pleural effusion', ' pneumonia', 'pacemaker']"),
        padchest_row("b.png", patient, "['cardiomegaly' 'laminar atelectasis']", "AP_horizontal", "RNN_model"),
        padchest_row("c.png", patient, ""),
        padchest_row("d.png", patient, "['normal']", "L"),
    ]
    root = put(tmp_path, padchest.TABLE, [",".join(padchest_twin.HEADER), *rows])
    reader = padchest.PadChest()
    first, second = read(reader, root)
    assert {name for name, value in first.labels.items() if value} == {"Effusion", "Pneumonia"}
    assert {name for name, value in second.labels.items() if value} == {"Cardiomegaly", "Atelectasis"}
    assert set(first.labels) == set(nih_cxr14.LABELS)
    assert (first.group, first.images[0].path, first.meta["birth"]) == (patient, "a.png", "1950")
    assert [s.id for s in read(reader, root, labelled_by="physician")] == ["a.png"]
    assert [s.id for s in read(reader, root, views="all")] == ["a.png", "b.png", "d.png"]
    (tmp_path / "3").mkdir()
    assert read(reader, root)[0].images[0].path == "3/a.png"
    remarks = reader.remarks(root, [first, second], {})
    assert any(r.startswith("1 images have no label") for r in remarks)
    assert any(r.startswith("1 of the 2 images were labelled by a network") for r in remarks)


@pytest.mark.parametrize("text", ["normal", "['normal'", "[normal]", "__import__('os')", "['a'] + ['b']"])
def test_padchest_labels_are_never_run(text):
    with pytest.raises(DataError, match="line 4: Labels is"):
        label_list(Path("t.csv"), 4, text)


def test_padchest_labels_come_in_several_spellings():
    for text in ("", "nan", "[]", " "):
        assert label_list(Path("t.csv"), 4, text) == []
    assert label_list(Path("t.csv"), 4, """['a', "it's b" ' c']""") == ["a", "it's b", "c"]


def test_padchest_refuses_an_image_twice(tmp_path):
    rows = [padchest_row("a.png", "1", "['normal']")] * 2
    root = put(tmp_path, padchest.TABLE, [",".join(padchest_twin.HEADER), *rows])
    with pytest.raises(DataError, match=r"line 3: the image a\.png is there twice"):
        read(padchest.PadChest(), root)


# --- VinDr-Mammo ------------------------------------------------------------------------------------------------------


def vindr_row(image, side="L", view="MLO", category="BI-RADS 4", split="test"):
    return f"aa11,ff00,{image},{side},{view},3518,2800,{category},DENSITY C,{split}"


def vindr(root, rows):
    (root / "images").mkdir()
    return put(root, vindr_mammo.TABLE, [",".join(vindr_twin.HEADER), *rows])


def test_vindr_rows(tmp_path):
    rows = [vindr_row("b1"), vindr_row("b2", view="CC"), vindr_row("c1", "R", "CC", "BI-RADS 1"), vindr_row("d1", split="training")]
    root = vindr(tmp_path, rows[:3])
    reader = vindr_mammo.VinDrMammo()
    left, right = read(reader, root)
    assert [(image.path, image.role) for image in left.images] == [("images/aa11/b2.dicom", "cc"), ("images/aa11/b1.dicom", "mlo")]
    assert (left.id, left.group, left.references) == ("aa11:L", "aa11", ("BI-RADS 4",))
    assert [name for name, value in left.labels.items() if value] == ["BI-RADS 4"]
    assert reader.remarks(root, [left, right], {}) == [
        "BI-RADS 1 to 5: 1, 0, 0, 1, 0 breasts",
        "1 breasts have another number of views than two",
    ]
    assert reader.check(root) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (vindr_row("b1"), "line 3: the image b1 is there twice"),
        (vindr_row("b2", category="BI-RADS 7"), "line 3: breast_birads is 'BI-RADS 7'"),
        (vindr_row("b2", category="BI-RADS 2"), "line 3: the L breast of aa11 has another split or BI-RADS"),
        (vindr_row("b2", split="holdout"), "line 3: unknown split 'holdout'"),
        (vindr_row("../b2"), "is no id"),
    ],
)
def test_vindr_refusals(tmp_path, row, said):
    with pytest.raises(DataError, match=said):
        read(vindr_mammo.VinDrMammo(), vindr(tmp_path, [vindr_row("b1"), row]))


# --- all --------------------------------------------------------------------------------------------------------------

READERS = [nih_cxr14.NihCxr14, chexpert.CheXpert, rsna.Rsna, ms_cxr.MsCxr, ms_cxr_t.MsCxrT, padchest.PadChest, vindr_mammo.VinDrMammo]


@pytest.mark.parametrize("reader", READERS)
def test_an_empty_folder_is_explained(reader, tmp_path):
    assert "no such folder" in reader().check(tmp_path / "none")[0].message
    assert reader().check(tmp_path)[0].message.startswith(f"{tmp_path}: no ")
    with pytest.raises(DataError, match=r"cannot be read|: no "):
        read(reader(), tmp_path)
    with pytest.raises(UsageError, match="no split dev"):
        read(reader(), tmp_path, "dev")
    with pytest.raises((UsageError, DataError), match="no reader parameter colour"):
        read(reader(), tmp_path, colour="red")
