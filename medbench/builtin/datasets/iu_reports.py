"""The reports of IU X-ray as Open-I gives them out (one XML each) and in Kaggle's form (two CSV files)."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from medbench.builtin.datasets.iu_annotation import ANNOTATION, PICTURES
from medbench.builtin.datasets.strict import inner_path
from medbench.builtin.datasets.tables import filled, read_table, refuse
from medbench.errors import DataError
from medbench.types import Struct

Layout = Literal["r2gen", "original", "kaggle"]

XML_FOLDERS = ("ecgen-radiology", "NLMCXR_reports/ecgen-radiology")
ARCHIVE = "NLMCXR_reports.tgz"
PNG = "NLMCXR_png"
REPORTS = "indiana_reports.csv"
PROJECTIONS = "indiana_projections.csv"
NORMALIZED = ("images/images_normalized", "images_normalized")

MAX_XML = 1 << 20
"""Largest report that is read, in bytes; the largest real one has 10 KB."""

MAX_REPORTS = 100_000

_DOUBLED = ("CXR1_IM-0001", "CXR1_1_IM-0001")
"""Kaggle's names drop `CXR`, and for the one report whose images repeat its number (CXR1_1_IM-0001-3001) that number too."""


class Study(Struct):
    """One report and its images."""

    uid: str
    """`CXR2384`."""
    findings: str
    impression: str
    indication: str
    comparison: str
    mesh: tuple[str, ...]
    """Major terms: `Cardiomegaly/mild`."""
    images: tuple[tuple[str, str], ...]
    """(image id, path under the root), sorted by id."""

    @property
    def name(self) -> str:
        """The name that R2Gen gives a study: the id of its first image without the last number; empty: it has no image.

        In the real data 13 studies have images of two series; there R2Gen may have named the other one.
        """
        return self.images[0][0].rpartition("-")[0] if self.images else ""


def layouts(root: Path) -> list[Layout]:
    """Return the layouts that stand in a folder."""
    found: list[Layout] = []
    if _xml_folder(root) or (root / ARCHIVE).is_file():
        found.append("original")
    if (root / REPORTS).is_file():
        found.append("kaggle")
    if (root / ANNOTATION).is_file() and (not found or any((root / PICTURES).glob("CXR*"))):
        found.insert(0, "r2gen")
    return found


def read_studies(root: Path, layout: Layout) -> list[Study]:
    """Return all reports of a folder in the order of their uids.

    Raises:
        DataError: a report is torn, a uid is there twice, or an image belongs to no report.
    """
    studies = list(_kaggle(root) if layout == "kaggle" else _original(root))
    seen: set[str] = set()
    for study in studies:
        if study.uid in seen:
            raise DataError(f"{root}: two reports have the uid {study.uid}", hint="fetch the reports again")
        seen.add(study.uid)
    return sorted(studies, key=lambda study: (len(study.uid), study.uid))


# --- Open-I: one XML a report -----------------------------------------------------------------------------------------


def _xml_folder(root: Path) -> Path | None:
    return next((root / name for name in XML_FOLDERS if (root / name).is_dir()), None)


def _original(root: Path) -> Iterator[Study]:
    folder = _xml_folder(root)
    pictures = f"{PNG}/" if (root / PNG).is_dir() else ""
    for name, raw in _xml_files(folder) if folder else _xml_members(root / ARCHIVE):
        yield _study(name, raw, pictures)


def _xml_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob("*.xml")):
        try:
            with path.open("rb") as file:
                yield str(path), file.read(MAX_XML + 1)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})", hint="fetch the reports again") from error


def _xml_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Read the reports out of the archive as it was downloaded."""
    try:
        with tarfile.open(path, "r|gz") as archive:
            for number, member in enumerate(archive):
                if number > MAX_REPORTS:
                    raise DataError(f"{path}: more than {MAX_REPORTS:,} files", hint="is this the right archive?")
                if member.isfile() and member.name.endswith(".xml"):
                    if member.size > MAX_XML:
                        raise DataError(f"{path}: {member.name} has {member.size:,} bytes", hint="is this the right archive?")
                    file = archive.extractfile(member)
                    yield f"{path}: {member.name}", file.read(MAX_XML + 1) if file else b""
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: broken archive ({error})", hint="fetch it again, or unpack it") from error


def _study(where: str, raw: bytes, pictures: str) -> Study:
    if len(raw) > MAX_XML:
        raise DataError(f"{where}: more than {MAX_XML:,} bytes", hint="is this a report of Open-I?")
    if b"<!ENTITY" in raw:
        raise DataError(f"{where}: it defines entities", hint="no report of Open-I does; fetch it again")
    try:
        tree = ET.fromstring(raw)  # noqa: S314 - bounded, and without entities of its own
    except ET.ParseError as error:
        line, column = error.position
        raise DataError(f"{where}: not valid XML at line {line}, column {column + 1}", hint="fetch the reports again") from error
    identity = tree.find(".//uId")
    uid = identity.get("id", "") if identity is not None else ""
    if not re.fullmatch(r"CXR\d+", uid):
        raise DataError(f"{where}: no uId such as CXR1", hint="is this a report of Open-I?")
    sections = {element.get("Label", ""): "".join(element.itertext()) for element in tree.iter("AbstractText")}
    names = sorted({element.get("id", "") for element in tree.iter("parentImage")} - {""})
    return Study(
        uid=uid,
        findings=sections.get("FINDINGS", ""),
        impression=sections.get("IMPRESSION", ""),
        indication=sections.get("INDICATION", ""),
        comparison=sections.get("COMPARISON", ""),
        mesh=tuple((element.text or "").strip() for element in tree.iterfind(".//MeSH/major")),
        images=tuple((name, inner_path(Path(where), f"{pictures}{name}.png", uid)) for name in names),
    )


# --- Kaggle: two tables -----------------------------------------------------------------------------------------------


def _kaggle(root: Path) -> Iterator[Study]:
    path = root / REPORTS
    images = _projections(root)
    known: set[str] = set()
    columns = ("uid", "findings", "impression", "indication", "comparison")
    for line, (number, findings, impression, indication, comparison, mesh) in read_table(path, columns, optional=("MeSH",)):
        uid = _uid(path, line, number)
        if uid in known:
            refuse(path, line, f"two reports have the uid {uid}", "fetch both files again")
        known.add(uid)
        yield Study(
            uid=uid,
            findings=findings,
            impression=impression,
            indication=indication,
            comparison=comparison,
            mesh=tuple(term.strip() for term in mesh.split(";") if term.strip()),
            images=tuple(sorted((name, place) for name, place, _ in images.get(uid, []))),
        )
    for uid in images.keys() - known:
        refuse(root / PROJECTIONS, images[uid][0][2], f"uid {uid.removeprefix('CXR')} is in no row of {REPORTS}", "fetch both files again")


def _projections(root: Path) -> dict[str, list[tuple[str, str, int]]]:
    """Return uid -> (image id, path, line) of the second table."""
    path = root / PROJECTIONS
    folder = next((name for name in NORMALIZED if (root / name).is_dir()), NORMALIZED[0])
    found: dict[str, list[tuple[str, str, int]]] = {}
    for line, (number, filename) in read_table(path, ("uid", "filename")):
        uid = _uid(path, line, number)
        inner = inner_path(path, filename, f"line {line}")
        name = "CXR" + inner.removesuffix(".png").removesuffix(".dcm")
        if name.startswith(_DOUBLED[0]):
            name = name.replace(*_DOUBLED, 1)
        if name.partition("_")[0] != uid:
            refuse(path, line, f"{filename} does not begin with its uid {number}")
        found.setdefault(uid, []).append((name, f"{folder}/{inner}", line))
    return found


def _uid(path: Path, line: int, text: str) -> str:
    number = filled(path, line, "uid", text)
    if not number.isdecimal():
        refuse(path, line, f"uid is {number!r}, expected a number")
    return f"CXR{int(number)}"
