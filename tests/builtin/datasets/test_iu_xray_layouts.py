"""The three layouts of IU X-ray: one sample set, and clear words about broken reports."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile

import pytest

from medbench.builtin.datasets.iu_reports import layouts, read_studies
from medbench.builtin.datasets.iu_xray import IuXray, hash_split
from medbench.builtin.datasets.novelty import COLUMN
from medbench.builtin.twins.iu_xray import FIRST_UID, LEFT_OUT
from medbench.builtin.twins.marker import read_marker
from medbench.errors import DataError, StorageError
from medbench.roots import MARKER

READER = IuXray()
SPLITS = ("train", "val", "test")
SIZE = 6
SEED = 12
"""A seed whose small twin has a test reference that stands in train."""


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """The same studies in the three layouts."""
    base = tmp_path_factory.mktemp("iu")
    for layout in ("r2gen", "original", "kaggle"):
        READER.write_twin(base / layout, SEED, SIZE, layout)
    return base


@pytest.fixture
def original(twins, tmp_path):
    return shutil.copytree(twins / "original", tmp_path / "original")


def unmarked(root):
    (root / MARKER).unlink()
    return root


def read(root, variant="r2gen", splits=SPLITS):
    return [sample for split in splits for sample in READER.read(root, split, {"variant": variant})]


def facts(root, samples, pictures=True):
    """What a sample set is, apart from where files lie: the first pictures by their bytes."""
    return {
        s.id: (s.group, s.references, [hashlib.sha256((root / i.path).read_bytes()).hexdigest() for i in s.images[:1]] if pictures else [])
        for s in samples
    }


def test_three_layouts_give_one_sample_set(twins):
    sets = [facts(twins / layout, read(twins / layout)) for layout in ("r2gen", "original", "kaggle")]
    assert sets[0] == sets[1] == sets[2]
    assert len(sets[0]) == sum(read_marker(twins / "r2gen").counts.values())


def test_with_the_annotation_beside_them_the_splits_are_the_same_too(twins, tmp_path):
    annotation = twins / "r2gen" / "annotation.json"
    wanted = {s.id: s.split for s in read(twins / "r2gen")}
    for layout in ("original", "kaggle"):
        root = shutil.copytree(twins / layout, tmp_path / layout)
        shutil.copy(annotation, root)
        assert layouts(root) == [layout]
        assert {s.id: s.split for s in read(root)} == wanted
        assert not any("medbench-iu-v1" in remark for remark in READER.remarks(root, read(root, splits=["test"]), {}))


def test_without_it_the_split_is_a_hash_of_the_uid_and_says_so(twins):
    for layout in ("original", "kaggle"):
        samples = read(twins / layout)
        assert {s.id: s.split for s in samples} == {s.id: hash_split(s.group) for s in samples}
        remarks = READER.remarks(twins / layout, read(twins / layout, splits=["test"]), {})
        assert any("the split is medbench-iu-v1 (70/10/20 by hash of the uid), not R2Gen's" in remark for remark in remarks)
    counted = [hash_split(f"CXR{number}") for number in range(1, 4000)]
    assert [counted.count(split) / len(counted) for split in SPLITS] == pytest.approx([0.7, 0.1, 0.2], abs=0.015)


def test_an_annotation_takes_only_what_it_lists(twins, tmp_path):
    root = shutil.copytree(twins / "original", tmp_path / "x")
    first = read(twins / "r2gen", splits=["test"])[0]
    (root / "annotation.json").write_text(f'{{"test": [{{"id": "{first.id}", "report": "x", "image_path": ["a/0.png"]}}]}}')
    assert [(s.id, s.split, s.references) for s in read(root)] == [(first.id, "test", first.references)]
    assert any("studies are not in annotation.json" in remark for remark in READER.remarks(root, [], {}))


def test_variants_differ_in_what_they_take(twins):
    root = twins / "original"
    studies = read_studies(root, "original")
    whole = [s for s in studies if s.images and s.findings.strip()]
    findings = read(root, "findings")
    assert {s.group for s in findings} == {s.uid for s in whole}
    assert {len(s.images) for s in findings} == {1, 2, 3}
    assert {len(s.images) for s in read(root)} == {2}
    assert {s.split for s in read(root, "all")} == {"test"}
    assert {s.group for s in read(root, "all")} == {s.uid for s in whole}
    both = read(root, "findings-impression")
    assert {s.group for s in both} == {s.uid for s in studies if s.images and (s.findings + s.impression).strip()}
    example = next(s for s in studies if s.uid == both[0].group)
    assert both[0].references == (f"{example.findings}\n{example.impression}",)
    assert any("indication" in s.meta for s in findings)
    assert {s.meta["mesh"] for s in findings} >= {"normal"}


def test_both_report_layouts_say_the_same(twins):
    original, kaggle = (read_studies(twins / layout, layout) for layout in ("original", "kaggle"))
    for one, other in zip(original, kaggle, strict=True):
        assert one.uid == other.uid
        assert [name for name, _ in one.images] == [name for name, _ in other.images]
        assert (one.findings, one.impression, one.indication, one.comparison, one.mesh) == (
            (other.findings, other.impression, other.indication, other.comparison, other.mesh)
        )


def test_the_edge_rows_of_the_original_are_there(twins):
    studies = read_studies(twins / "original", "original")
    assert {len(s.images) for s in studies} == {0, 1, 2, 3, 4}
    assert any(not s.findings and s.impression for s in studies)
    assert any(not s.findings and not s.impression for s in studies)
    assert any("XXXX" in s.findings for s in studies)
    assert {s.uid for s in studies} == {f"CXR{FIRST_UID + index}" for index in range(len(studies))}
    assert any(len({name.split("_IM-")[1][:4] for name, _ in s.images}) > 1 for s in studies)
    assert {name.count("-") for s in studies for name, _ in s.images} == {2, 3}
    assert any(name.count("_") == 2 for s in studies for name, _ in s.images)
    texts = [s.findings for s in studies if s.findings]
    assert len(set(texts)) < len(texts)
    assert any(not path.read_text(encoding="utf-8").isascii() for path in (twins / "original").rglob("*.xml"))
    marker = read_marker(twins / "original")
    assert marker.counts["reports"] == len(studies) == marker.counts["studies"] + len(LEFT_OUT)


@pytest.mark.parametrize("layout", ["original", "kaggle"])
def test_layouts_are_the_same_bytes_again_and_refused_when_cut(tmp_path, layout):
    root = tmp_path / layout
    for folder in (root, tmp_path / "again"):
        READER.write_twin(folder, 5, 1, layout)
    names = sorted(p.relative_to(root) for p in root.rglob("*") if p.is_file())
    assert all((root / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)
    assert READER.check(root) == []
    if layout == "original":
        next(iter((root / "ecgen-radiology").iterdir())).unlink()
    else:
        path = root / "indiana_reports.csv"
        path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-1]), encoding="utf-8")
        (root / "indiana_projections.csv").write_text("uid,filename,projection\n", encoding="utf-8")
    assert any("its marker says" in problem.message for problem in READER.check(root))
    with pytest.raises(DataError, match="its marker says"):
        read(root)


def test_one_layout_replaces_another(tmp_path):
    READER.write_twin(tmp_path / "x", 0, 1, "kaggle")
    READER.write_twin(tmp_path / "x", 0, 1, "original")
    assert layouts(tmp_path / "x") == ["original"]
    (tmp_path / "x" / "NLMCXR_png" / "CXR1_1_IM-0001-3001.png").touch()
    with pytest.raises(StorageError, match="CXR1_1_IM"):
        READER.write_twin(tmp_path / "x", 0, 1)


def test_reports_are_read_from_the_archive_as_downloaded(original):
    unpacked = facts(original, read(unmarked(original)))
    with tarfile.open(original / "NLMCXR_reports.tgz", "w:gz") as archive:
        archive.add(original / "ecgen-radiology", "ecgen-radiology")
    shutil.rmtree(original / "ecgen-radiology")
    assert READER.check(original) == []
    assert facts(original, read(original)) == unpacked
    whole = (original / "NLMCXR_reports.tgz").read_bytes()
    (original / "NLMCXR_reports.tgz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"NLMCXR_reports\.tgz: broken archive"):
        read(original)


def test_a_bomb_in_the_archive_is_refused(original):
    unmarked(original)
    shutil.rmtree(original / "ecgen-radiology")
    with tarfile.open(original / "NLMCXR_reports.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("ecgen-radiology/1.xml")
        member.size = 1 << 24
        archive.addfile(member, io.BytesIO(bytes(1 << 24)))
    with pytest.raises(DataError, match=r"1\.xml has 16,777,216 bytes"):
        read(original)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"<eCitation><uId id='CXR9001'/>", r"9001\.xml: not valid XML at line 1, column 31"),
        (b"<eCitation/>", "no uId such as CXR1"),
        (b"<eCitation><uId id='9001'/></eCitation>", "no uId such as CXR1"),
        (b"<eCitation><uId id='CXR9002'/></eCitation>", "two reports have the uid CXR9002"),
        (b"<!DOCTYPE x [<!ENTITY a 'ha'>]><eCitation><uId id='CXR9001'/>&a;</eCitation>", "it defines entities"),
        (b"<eCitation><uId id='CXR9001'/>\xff</eCitation>", "not valid XML at line 1"),
        (b"<eCitation>" + b" " * (1 << 20) + b"</eCitation>", "more than 1,048,576 bytes"),
        (
            b"<eCitation><uId id='CXR9001'/><parentImage id='../../x'/></eCitation>",
            r"CXR9001: the path 'NLMCXR_png/../../x\.png' leads out",
        ),
    ],
)
def test_broken_reports_are_refused_with_the_place(original, raw, said):
    (unmarked(original) / "ecgen-radiology" / "9001.xml").write_bytes(raw)
    with pytest.raises(DataError, match=said):
        read(original)


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("indiana_reports.csv", "x,,,,,,,", r"indiana_reports\.csv: line 2: uid is 'x'"),
        ("indiana_reports.csv", "9001,a", r"indiana_reports\.csv: line 2: 2 fields, the header has 8"),
        ("indiana_reports.csv", "9002,,,,,,a,b", "two reports have the uid CXR9002"),
        ("indiana_projections.csv", "9001,9002_IM-1-1.dcm.png,Frontal", r"line 2: 9002_IM-1-1\.dcm\.png does not begin with its uid"),
        ("indiana_projections.csv", "9001,../9001_IM-1-1.dcm.png,Frontal", "line 2: the path .* leads out"),
        ("indiana_projections.csv", "77,77_IM-1-1.dcm.png,Frontal", r"line 2: uid 77 is in no row of indiana_reports\.csv"),
    ],
)
def test_broken_tables_are_refused_with_the_line(twins, tmp_path, file, line, said):
    root = unmarked(shutil.copytree(twins / "kaggle", tmp_path / "kaggle"))
    rows = (root / file).read_text(encoding="utf-8").splitlines()
    rows[1] = line
    (root / file).write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read(root)


def test_kaggles_name_of_the_first_report_is_mended(tmp_path):
    (tmp_path / "indiana_reports.csv").write_text(
        "uid,MeSH,Problems,image,indication,comparison,findings,impression\n1,normal,normal,Xray,,,Clear.,None.\n"
    )
    (tmp_path / "indiana_projections.csv").write_text(
        "uid,filename,projection\n1,1_IM-0001-4001.dcm.png,Frontal\n1,1_IM-0001-3001.dcm.png,Lateral\n"
    )
    (sample,) = read(tmp_path)
    assert sample.id == "CXR1_1_IM-0001"
    assert [image.path for image in sample.images] == [f"images/images_normalized/1_IM-0001-{n}001.dcm.png" for n in (3, 4)]


def test_variants_that_need_the_reports_say_so(twins, tmp_path):
    (problem,) = READER.check(twins / "r2gen", "findings")
    assert "variant findings needs the reports" in problem.message
    (tmp_path / "indiana_reports.csv").touch()
    (problem,) = READER.check(tmp_path)
    assert "no indiana_projections.csv" in problem.message


def test_copied_references_are_marked(twins):
    samples = read(twins / "r2gen")
    train = {s.references[0].strip() for s in samples if s.split == "train"}
    assert all(COLUMN not in s.meta for s in samples if s.split == "train")
    others = [s for s in samples if s.split != "train"]
    assert {s.id: s.meta[COLUMN] == "yes" for s in others} == {s.id: s.references[0].strip() in train for s in others}
    assert {s.meta[COLUMN] for s in others} == {"yes", "no"}
