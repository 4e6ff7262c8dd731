from __future__ import annotations

import gzip
import json
import shutil
import zipfile

import pytest

from medbench.builtin.datasets.chexpert_labels import LABELS
from medbench.builtin.datasets.mimic_cxr import MimicCxr
from medbench.builtin.datasets.mimic_exceptions import STAND_INS
from medbench.builtin.datasets.mimic_layout import CHEXPERT, METADATA, RADIOLOGIST, REPORTS, SPLIT, has_reports
from medbench.builtin.datasets.mimic_packagings import chat_file
from medbench.builtin.datasets.mimic_studies import moment
from medbench.errors import DataError, UsageError
from medbench.files import FileDigests
from medbench.index import read_index, remarks_on
from medbench.roots import MARKER

READER = MimicCxr()
JPG = "mimic-cxr-jpg/2.1.0"
TEXT = "mimic-cxr/2.1.0"


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    root = tmp_path_factory.mktemp("mimic") / "twin"
    READER.write_twin(root, 3, 3)
    return root


@pytest.fixture
def copy(twin, tmp_path):
    """A copy that claims to be real, so that it may be changed."""
    shutil.copytree(twin, tmp_path / "data")
    (tmp_path / "data" / MARKER).unlink()
    return tmp_path / "data"


def read(root, split="test", variant="frontal", **params):
    return list(READER.read(root, split, {"variant": variant, **params}))


def rewrite(path, old, new):
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new, 1).encode()))


def rows(path):
    lines = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode().splitlines()
    return lines[0].split(","), [line.split(",") for line in lines[1:]]


def test_reports_give_one_sample_per_study_with_a_frontal_view_and_findings(twin):
    samples = read(twin)
    assert len({s.id for s in samples}) == len(samples)
    for sample in samples:
        (image,) = sample.images
        assert (twin / image.path).is_file()
        assert image.path.startswith(f"{JPG}/files/p{sample.group[:2]}/p{sample.group}/{sample.id}/")
        assert sample.meta["view"] in ("PA", "AP")
        assert sample.references[0].strip() == sample.references[0] != ""
    # the first patient has one report of each shape: two have no such section, one no frontal view, one no known view
    first = {s.id for s in samples if s.group == "10000001"}
    assert {f"s{50000001 + k}" for k in (0, 1, 3, 4, 5, 9)} == first
    impressions = read(twin, section="impression")
    assert {"s50000004", "s50000002"}.isdisjoint(s.id for s in impressions)
    assert "s50000009" in {s.id for s in read(twin, section="impression")}
    assert len(read(twin, section="conclusion", views="all")) == len(read(twin, "test", "radiologist", views="all"))


def test_pa_comes_before_ap_and_laterals_last(twin):
    by_id = {s.id: s for s in read(twin, "test", "chexpert", views="all")}
    assert [image.role for image in by_id["s50000007"].images] == ["image", "image", "lateral"]
    assert by_id["s50000007"].meta["view"] == "PA"
    assert [image.role for image in by_id["s50000008"].images] == ["lateral"]
    assert [image.role for image in by_id["s50000003"].images] == ["other"]
    one = {s.id: s for s in read(twin, "test", "chexpert")}
    assert one["s50000007"].images == by_id["s50000007"].images[:1]
    assert "s50000008" not in one


def test_times_get_their_zeros_back(twin):
    assert moment("21800506", "80556.875") == "2180-05-06T08:05:56"
    assert (moment("21800506", ""), moment("", "80556.875"), moment("21800506", "x")) == ("2180-05-06", "", "2180-05-06")
    assert any("T08:" in s.meta["taken"] for s in read(twin))


def test_labels_follow_their_policies(twin):
    header, table = rows(twin / JPG / f"{CHEXPERT}.gz")
    fields = {f"s{row[1]}": dict(zip(header, row, strict=True)) for row in table}
    raw = {"1.0": 1.0, "0.0": 0.0}
    for uncertain, blank, minus, empty in (("ignore", "zeros", None, 0.0), ("ones", "ignore", 1.0, None), ("zeros", "zeros", 0.0, 0.0)):
        for sample in read(twin, "train", "chexpert", uncertain=uncertain, blank=blank):
            assert list(sample.labels) == list(LABELS)
            for name, value in sample.labels.items():
                assert value == raw.get(fields[sample.id][name], minus if fields[sample.id][name] == "-1.0" else empty)
    samples = {s.id: s for s in read(twin, "test", "chexpert", views="all")}
    assert set(samples["s50000006"].labels.values()) == {0.0}
    assert "s50000005" not in samples
    assert "s50000005" in {s.id for s in read(twin, "test", "radiologist", views="all")}
    assert [s.labels for s in read(twin, "test", "negbio")] != [s.labels for s in read(twin, "test", "chexpert")]


def test_the_radiologists_names_are_the_usual_ones(twin):
    header, table = rows(twin / JPG / RADIOLOGIST)
    assert header[:2] == ["study_id", "Airspace Opacity"]
    judged = {f"s{row[0]}": float(row[1]) for row in table}
    samples = read(twin, "test", "radiologist")
    assert {s.id: s.labels["Lung Opacity"] for s in samples} == {s.id: judged[s.id] for s in samples}
    assert read(twin, "train", "radiologist") == []


def test_packagings_have_one_sample_per_picture(twin):
    listed = json.loads((twin / "mimic_cxr" / "annotation.json").read_text())["test"]
    r2gen = read(twin, "test", "r2gen")
    assert [s.id for s in r2gen] == [item["id"] for item in listed]
    assert [s.references[0] for s in r2gen] == [item["report"] for item in listed]
    assert all(s.group == str(item["subject_id"]) for s, item in zip(r2gen, listed, strict=True))
    assert all((twin / s.images[0].path).is_file() for s in r2gen)
    text = (twin / "llava-rad-mimic-cxr-annotation/1.0.0" / chat_file("test")).read_text()
    assert "NaN" in text
    chats = [i for i in json.loads(text) if i["generate_method"] == "rule-based" and isinstance(i["conversations"][1]["value"], str)]
    llavarad = read(twin, "test", "llavarad")
    assert [s.aliases["llavarad-id"] for s in llavarad] == [i["id"] for i in chats]
    assert len({s.id for s in llavarad}) == len(llavarad) > len({s.aliases["llavarad-id"] for s in llavarad})
    told = {s.meta["reason_given"] for s in llavarad}
    assert told == {"yes", "no"}
    for sample in llavarad:
        indicated = "given the following indication: " in sample.prompt
        assert indicated == (sample.meta["reason_given"] == "yes")
    assert all(s.references[0] for s in read(twin, "test", "llavarad", method="gpt4"))
    assert {s.id for s in llavarad} & {s.id for s in r2gen}


def test_novel_references_are_marked_on_demand(twin):
    assert all("reference_in_train" not in s.meta for s in read(twin, "test", "r2gen"))
    train = {s.references[0].strip() for s in read(twin, "train", "r2gen")}
    marked = read(twin, "test", "r2gen", novelty="on")
    assert [s.meta["reference_in_train"] == "yes" for s in marked] == [s.references[0].strip() in train for s in marked]


def test_files_may_lie_in_one_folder_and_reports_unpacked(copy, tmp_path):
    expected = [(s.id, s.references) for s in read(copy)]
    flat = tmp_path / "flat"
    shutil.move(copy / JPG, flat)
    with zipfile.ZipFile(copy / TEXT / REPORTS) as archive:
        archive.extractall(flat / "mimic-cxr-reports")
    assert READER.check(flat) == []
    assert [(s.id, s.references) for s in read(flat)] == expected
    assert all((flat / s.images[0].path).is_file() for s in read(flat))
    for name in (SPLIT, METADATA, CHEXPERT):
        (flat / name).write_bytes(gzip.decompress((flat / f"{name}.gz").read_bytes()))
        (flat / f"{name}.gz").unlink()
    shutil.move(flat / "mimic-cxr-reports" / "files", flat / "texts")
    shutil.rmtree(flat / "mimic-cxr-reports")
    assert not has_reports(flat)
    assert READER.check(flat)[0].message.endswith("no reports")
    assert READER.check(flat, "chexpert") == []
    shutil.copytree(flat / "texts", flat / "files", dirs_exist_ok=True)
    assert [(s.id, s.references) for s in read(flat)] == expected


def test_dicom_is_read_where_there_is_no_jpg(copy):
    for picture in (copy / JPG / "files").rglob("*.jpg"):
        picture.rename(picture.with_suffix(".dcm"))
    assert {s.images[0].path[-4:] for s in read(copy, "test", "r2gen") + read(copy)} == {".dcm"}
    assert {s.images[0].path[-4:] for s in read(copy, pixels="jpg")} == {".jpg"}


def test_remarks_count_who_is_left_out(twin):
    reports = READER.remarks(twin, read(twin), {"variant": "frontal"})
    assert any("have no view marked PA or AP: they are left out" in r for r in reports)
    assert any("have no findings section: they are left out" in r for r in reports)
    assert any("hold ___ for words that were removed" in r for r in reports)
    few = read_index(READER, twin, "test", {"variant": "frontal"}, FileDigests(), limit=6)
    assert [r for r in remarks_on(few, READER, twin, {"variant": "frontal"}) if "left out" in r] == [r for r in reports if "left out" in r]
    labels = READER.remarks(twin, read(twin, "test", "chexpert", views="all"), {"variant": "chexpert", "views": "all"})
    assert any(r.startswith("1 of") and "have no row in mimic-cxr-2.0.0-chexpert.csv" in r for r in labels)
    pictures = READER.remarks(twin, read(twin, "test", "r2gen"), {"variant": "r2gen"})
    assert any("studies count more than once" in r for r in pictures)


def test_reports_that_the_authors_cut_by_hand_are_counted(copy):
    by_hand = "50913680"
    assert by_hand in STAND_INS
    found = read(copy)
    for name in (SPLIT, METADATA):
        rewrite(copy / JPG / f"{name}.gz", found[0].id[1:], by_hand)
    remarks = READER.remarks(copy, found, {"variant": "frontal"})
    assert any(r.startswith("studies whose report the authors of the data cut by hand: 1;") for r in remarks)


def test_reports_in_another_encoding_are_read_when_it_is_named(copy):
    path = copy / TEXT / REPORTS
    with zipfile.ZipFile(path) as archive:
        texts = {name: archive.read(name).replace(b"FINDINGS:", b"FINDINGS:  Caf\xe9.") for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    with pytest.raises(DataError, match=r"s5\d+\.txt: not UTF-8 at line \d+") as caught:
        read(copy)
    assert "--param reader.encoding=latin-1" in caught.value.hint
    assert any("Café." in s.references[0] for s in read(copy, encoding="latin-1"))


def test_missing_parts_are_named(tmp_path):
    said = [p.message.rpartition(": ")[2] for p in READER.check(tmp_path, "chexpert")]
    assert said == [f"no {name} (or {name}.gz)" for name in (SPLIT, METADATA, CHEXPERT)]
    assert "annotation.json" in READER.check(tmp_path, "r2gen")[0].message
    assert "chat_test" in READER.check(tmp_path, "llavarad")[0].message
    assert "no variant r2" in READER.check(tmp_path, "r2")[0].message
    assert "no such folder" in READER.check(tmp_path / "none")[0].message
    with pytest.raises(DataError, match=r"no mimic-cxr-2\.0\.0-split\.csv"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"split": "dev"}, "no split dev"),
        ({"variant": "findings"}, "no variant findings"),
        ({"view": "all"}, "no reader parameter view"),
        ({"views": "lateral"}, "reader parameter views is 'lateral'"),
    ],
)
def test_unknown_words_are_refused(twin, params, said):
    with pytest.raises(UsageError, match=said):
        read(twin, params.pop("split", "test"), **params)


@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        (SPLIT, ",validate", ",holdout", r"split.csv.gz: line \d+: unknown split 'holdout'"),
        (SPLIT, ",50000001,", ",../../x,", r"split.csv.gz: line \d+: study_id is '../../x'"),
        (SPLIT, ",50000003,10000001", ",50000002,10000099", "the study 50000002 belongs to two subjects"),
        (CHEXPERT, "1.0", "2.0", r"chexpert.csv.gz: line \d+: .* is '2.0'"),
        (METADATA, "ViewPosition", "View", "line 1: no column 'ViewPosition'"),
    ],
)
def test_unusable_tables_are_refused_with_the_line(copy, table, old, new, said):
    rewrite(copy / JPG / f"{table}.gz", old, new)
    with pytest.raises(DataError, match=said):
        [read(copy, split, "chexpert", views="all") for split in ("train", "val", "test")]


def test_twice_the_same_picture_is_refused(copy):
    path = copy / JPG / f"{SPLIT}.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join([*lines, lines[1]])))
    with pytest.raises(DataError, match=rf"line {len(lines) + 1}: the dicom_id .* is there twice"):
        read(copy)


def test_reports_that_cannot_be_read_are_refused(copy):
    path = copy / TEXT / REPORTS
    with zipfile.ZipFile(path) as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    first = next(name for name in texts if "s50000001" in name)
    for changed, said in ((b" \xe9\n", "not UTF-8 at line 1, column 2"), (b"0" * (2 << 20), "unpacks to more"), (None, "no report p10/")):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in (texts | {first: changed}).items():
                if text is not None:
                    archive.writestr(name, text)
        with pytest.raises(DataError, match=said):
            read(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": "holdout"}, "unknown split 'holdout'"),
        ({"image_path": "x.jpg"}, "image_path is no list"),
        ({"image_path": ["../../etc/x.jpg"]}, "leads out of the data folder"),
        ({"report": 3}, "report is no text"),
        ({"id": ""}, "id is missing"),
    ],
)
def test_unusable_items_are_refused_with_the_line(copy, change, said):
    path = copy / "mimic_cxr" / "annotation.json"
    listed = json.loads(path.read_text())
    listed["test"][1] |= change
    path.write_text(json.dumps(listed, indent=1))
    with pytest.raises(DataError, match=rf"annotation.json: line \d+.*{said}"):
        read(copy, "test", "r2gen")
